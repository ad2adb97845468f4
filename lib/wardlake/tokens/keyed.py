"""Keyed tokens as native Spark expressions, with the keys as data.

A key written as a literal prints in the query plan, and both HMAC pads with it. Here the pads come from a one-row relation that
is broadcast to every task, so plans, event logs and the UI name a column and show no byte of it. `attach_keys` adds that
column, the expressions below use it, `detach_keys` takes it away:

    keyed = attach_keys(df, ring, ["patient"])
    keyed = keyed.withColumn("PATIENT", token_column(F.col("PATIENT"), StringType(), domain="patient", prefix="pat_"))
    tokens = detach_keys(keyed)

Only the pads that an expression names are broadcast; columns nobody asks for are not read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import (
    BinaryType,
    DataType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from wardlake.model.errors import ConfigurationError
from wardlake.tokens.keyring import KeyRing, KeyUse, hmac_pads
from wardlake.tokens.one_row import one_row
from wardlake.tokens.permutation import permute_decimal, permute_integer

KEYS = "__wardlake_keys"
UUID_LENGTH = 36
TOKEN_HEX = 32  # 128 bits, or 120 without a prefix: among a billion identifiers the odds of a collision are below 1e-18


def attach_keys(df: DataFrame, ring: KeyRing, domains: Iterable[str] = ()) -> DataFrame:
    """`df` with the hidden column that token expressions read: same rows, in the same order, no shuffle.

    `domains` defaults to all of the ring. Raises `KeysUnavailable` for a domain that the ring does not hold.
    """
    fields: list[StructField] = []
    values: list[bytes] = []
    for domain in dict.fromkeys(domains) or ring.domains:
        for use in KeyUse:
            for side, pad in zip(("inner", "outer"), hmac_pads(ring.subkey(domain, use)), strict=True):
                fields.append(StructField(_field(domain, use, side), BinaryType(), nullable=False))
                values.append(pad)
    keys = one_row(df.sparkSession, StructType([StructField(KEYS, StructType(fields), nullable=False)]), [values])
    return df.crossJoin(F.broadcast(keys))


def detach_keys(df: DataFrame) -> DataFrame:
    """`df` without the hidden column."""
    return df.drop(KEYS)


def token_column(value: Column, data_type: DataType, *, domain: str, prefix: str = "", nested: bool = False) -> Column:
    """The token of `value` in `domain`, of the same type. Null stays null and empty text stays empty.

    Text becomes `prefix` and 32 hexadecimal digits; without a prefix the digits alone, or a UUID where the value looks like
    one. Integers and decimals without a fraction are permuted within their range and keep their sign, so two never share a
    token. Raises `ConfigurationError` for other types, and for a prefix on what is not text.

    The token is the same with `nested`, which costs less inside lambdas and conditions and more elsewhere.
    """
    if prefix and not isinstance(data_type, StringType):
        raise ConfigurationError(what=f"A token of type {data_type.simpleString()} cannot have a prefix.")
    match data_type:
        case StringType():
            return _text_token(value, domain, prefix)
        case BinaryType():
            return F.unhex(F.left(_hmac(value, domain, KeyUse.TOKEN), F.lit(TOKEN_HEX)))
        case IntegerType() | LongType():
            return permute_integer(value, data_type, pad=pad_column(domain, KeyUse.NUMBER), nested=nested)
        case DecimalType():
            return permute_decimal(value, data_type, pad=pad_column(domain, KeyUse.NUMBER))
        case _:
            raise ConfigurationError(
                what=f"There is no token of type {data_type.simpleString()}.",
                next_step="tokenise text, binary, int, bigint or decimal(p,0), with p of 6 or more",
            )


def digest_column(value: Column, *, domain: str, label: str) -> Column:
    """64 hexadecimal digits that only a holder of the key can compute from `value`; null stays null.

    `label` is a `KeyUse` (`date`, `surrogate`, `lookup`): digests under two labels have nothing in common. `value` is text,
    binary, or is cast to text.
    """
    return _hmac(value, domain, KeyUse(label))


def pad_column(domain: str, use: KeyUse, side: str = "inner") -> Column:
    """One pad of the hidden column."""
    return F.col(KEYS).getField(_field(domain, use, side))


def looks_like_uuid(value: Column) -> Column:
    """Whether the text has a UUID's length, first and last hyphen: enough to give its token that shape."""
    return (F.octet_length(value) == UUID_LENGTH) & (F.instr(value, "-") == 9) & (F.substring(value, 24, 1) == "-")  # noqa: PLR2004


def spell_token(digits: Column, value: Column) -> Column:
    """32 hexadecimal digits as a token without a prefix: hyphens where `value` looks like a UUID, none elsewhere.

    Digits 13 and 17 become those of a version 4 UUID (RFC 9562); 120 bits remain. No branch stands round `digits`, so that
    Spark computes it once however often it is named here.
    """
    hyphen = F.when(looks_like_uuid(value), F.lit("-")).otherwise(F.lit(""))
    part = functools.partial(F.substring, digits)
    return F.concat(
        part(1, 8), hyphen, part(9, 4), hyphen, F.lit("4"), part(14, 3), hyphen, F.lit("a"), part(18, 3), hyphen, part(21, 12)
    )


def _text_token(value: Column, domain: str, prefix: str) -> Column:
    digest = _hmac(F.when(value != "", value), domain, KeyUse.TOKEN)
    token = F.concat(F.lit(prefix), F.left(digest, F.lit(TOKEN_HEX))) if prefix else spell_token(digest, value)
    return F.coalesce(token, F.left(value, F.lit(0)))  # empty for empty, null for null, never the value


def _hmac(value: Column, domain: str, use: KeyUse) -> Column:
    inner = F.sha2(F.concat(pad_column(domain, use, "inner"), value.cast("string").cast("binary")), 256)
    return F.sha2(F.concat(pad_column(domain, use, "outer"), F.unhex(inner)), 256)


def _field(domain: str, use: KeyUse, side: str) -> str:
    return f"{domain}/{use.value}/{side}"
