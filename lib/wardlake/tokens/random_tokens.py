"""Random tokens: drawn by the operating system's generator, once per identifier, from nothing but chance.

Spark's own `uuid()` and `rand()` come from seeded generators that are not meant for secrets; so the draw is a vectorised
function over the new identifiers only. Being random, a draw is of no use until it is written: read it back from the mapping.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pandas as pd
import pyspark.sql.functions as F
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DataType, DecimalType, IntegerType, LongType, StringType

from wardlake.tokens.format_preserving import ALPHABETS, format_of
from wardlake.tokens.permutation import BITS, split_of

_TOKEN_BYTES = 16


def draw_column(value: Column, data_type: DataType, *, keep_format: bool = False) -> Column:
    """A bare random token for each row. Of `value`, only the format is used, and that only where it is to be kept."""
    if keep_format:
        return _drawing(_draw_format)(value)
    match data_type:
        case DecimalType():
            split_of(data_type)
            size = 10**data_type.precision
            return _drawing(lambda _: str(secrets.randbelow(size)))(F.lit(""))
        case IntegerType() | LongType():
            bits = BITS[type(data_type)]
            return _drawing(lambda _: str(secrets.randbits(bits)))(F.lit(""))
        case _:
            return _drawing(lambda _: _draw_hex())(F.lit(""))


def _drawing(draw: Callable[[str], str]) -> Callable[[Column], Column]:
    def draw_each(rows: pd.Series) -> pd.Series:
        return rows.map(draw)

    drawing: Callable[[Column], Column] = pandas_udf(draw_each, StringType()).asNondeterministic()  # type: ignore[call-overload]
    return drawing


def _draw_hex() -> str:
    digits = secrets.token_hex(_TOKEN_BYTES)
    return f"{digits[:12]}4{digits[13:16]}a{digits[17:]}"


def _draw_format(value: str) -> str:
    """Every letter and digit drawn anew; raises `ConfigurationError` where a character could only be copied."""
    return "".join(map(_draw_character, format_of(value))) if value else value


def _draw_character(mark: str) -> str:
    alphabet = ALPHABETS.get(mark)
    return secrets.choice(alphabet) if alphabet else mark  # a separator
