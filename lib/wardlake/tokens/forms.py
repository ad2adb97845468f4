"""The forms a token takes: one bare token per identifier, shown as prefixed text, UUID, number or bytes.

The mapping keeps the bare form, so that whichever form a person brings from a dataset leads back to the same row.
"""

from __future__ import annotations

import re

import pyspark.sql.functions as F
from pyspark.sql import Column
from pyspark.sql.types import BinaryType, DataType, DecimalType, IntegerType, LongType, StringType

from wardlake.model.errors import ConfigurationError
from wardlake.tokens.keyed import spell_token

_HEX_TOKEN = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$")


def kind_of(data_type: DataType, *, keep_format: bool = False) -> str:
    """The kind of identifier a mapping row is about: identifiers of two kinds are never the same one.

    Raises `ConfigurationError` for a type that has no token, or no format to keep.
    """
    match data_type:
        case StringType():
            return "format" if keep_format else "text"
        case _ if keep_format:
            raise ConfigurationError(
                what=f"There is no format token of type {data_type.simpleString()}.", next_step="use the rule token instead"
            )
        case BinaryType():
            return "binary"
        case IntegerType() | LongType() | DecimalType():
            return data_type.simpleString()
        case _:
            raise ConfigurationError(what=f"There is no token of type {data_type.simpleString()}.")


def identifier_text(value: Column, data_type: DataType) -> Column:
    """An identifier as text, the same for the same identifier; null for null and for empty text, which identify nobody."""
    if isinstance(data_type, BinaryType):
        return F.lower(F.hex(value))
    text = value.cast("string")
    return F.when(text != "", text) if isinstance(data_type, StringType) else text


def bare_column(token: Column, data_type: DataType, *, keep_format: bool = False) -> Column:
    """The bare form of a token as a dataset shows it without a prefix."""
    match data_type:
        case StringType() if not keep_format:
            return _bare_hex(F.replace(token, F.lit("-"), F.lit("")))
        case BinaryType():
            return _bare_hex(F.lower(F.hex(token)))
        case _:
            return token.cast("string")


def bare_token(token: str) -> tuple[str, ...]:
    """Every bare form that a token copied from a dataset can stand for: as it is, and without prefix and hyphens."""
    found = _HEX_TOKEN.search(token.strip().lower())
    if not found:
        return (token.strip(),)
    digits = "".join(found.groups())
    return (token.strip(), f"{digits[:12]}4{digits[13:16]}a{digits[17:]}")


def shown_column(bare: Column, value: Column, data_type: DataType, *, prefix: str = "", keep_format: bool = False) -> Column:
    """A bare token in the form that the column of `value` wants; null where there is no bare token."""
    match data_type:
        case StringType() if keep_format:
            return bare
        case StringType():
            return F.concat(F.lit(prefix), bare) if prefix else spell_token(bare, value)
        case BinaryType():
            return F.unhex(bare)
        case _:
            return bare.cast(data_type)


def _bare_hex(digits: Column) -> Column:
    """The two digits that a UUID fixes are fixed in every bare token."""
    return F.overlay(F.overlay(digits, F.lit("4"), 13, 1), F.lit("a"), 17, 1)
