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
TOKEN_HEX = 32  # 128 bits: among a billion identifiers the odds of any collision are below 2e-21


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


def token_column(value: Column, data_type: DataType, *, domain: str, prefix: str = "") -> Column:
    """The token of `value` in `domain`, of the same type. Null stays null and empty text stays empty.

    Text becomes `prefix` and 32 hexadecimal digits or, without a prefix, a UUID where the value looks like one. Integers and
    decimals without a fraction are permuted within their range and keep their sign, so two never share a token. Raises
    `ConfigurationError` for other types, and for a prefix on what is not text.
    """
    if prefix and not isinstance(data_type, StringType):
        raise ConfigurationError(what=f"A token of type {data_type.simpleString()} cannot have a prefix.")
    match data_type:
        case StringType():
            return _text_token(value, domain, prefix)
        case BinaryType():
            return F.unhex(F.left(_hmac(value, domain, KeyUse.TOKEN), F.lit(TOKEN_HEX)))
        case IntegerType() | LongType():
            return permute_integer(value, data_type, pad=pad_column(domain, KeyUse.NUMBER))
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
    """Whether the text has a UUID's length and hyphens: enough to give its token that shape."""
    return value.like("________-____-____-____-____________")


def uuid_of_hex(digits: Column) -> Column:
    """32 hexadecimal digits as a version 4 UUID (RFC 9562), 122 bits less two of the variant kept.

    Each step names its input once: naming the hash five times could compute it five times.
    """
    text = F.overlay(digits, F.lit("-4"), 13, 1)
    text = F.overlay(text, F.lit("-a"), 18, 1)
    text = F.overlay(text, F.lit("-"), 9, 0)
    return F.overlay(text, F.lit("-"), 24, 0)


def _text_token(value: Column, domain: str, prefix: str) -> Column:
    digits = F.left(_hmac(F.when(value != "", value), domain, KeyUse.TOKEN), F.lit(TOKEN_HEX))
    token = F.concat(F.lit(prefix), digits) if prefix else F.when(looks_like_uuid(value), uuid_of_hex(digits)).otherwise(digits)
    return F.coalesce(token, F.left(value, F.lit(0)))  # empty for empty, null for null, never the value


def _hmac(value: Column, domain: str, use: KeyUse) -> Column:
    inner = F.sha2(F.concat(pad_column(domain, use, "inner"), value.cast("string").cast("binary")), 256)
    return F.sha2(F.concat(pad_column(domain, use, "outer"), F.unhex(inner)), 256)


def _field(domain: str, use: KeyUse, side: str) -> str:
    return f"{domain}/{use.value}/{side}"
