"""Geography: ZIP codes to three digits."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.column_types import is_number, is_text, is_whole, unsuitable

NOT_ALLOWED = "000"
_NOTHING = r"[^\s\S]"


def cut_zip(value: Column, data_type: DataType, *, allowed: Collection[str]) -> Column:
    """The first three digits of a ZIP where that prefix is on the allow-list, else `000`.

    Input: ZIP, ZIP+4 with or without its dash, as text or number; leading zeros that a number lost are put back.
    Output: the same type (a number keeps no leading zeros); null stays null.
    Guarantee: nothing but a listed prefix or `000`, whatever the text is.
    Source: 45 CFR 164.514(b)(2)(i)(B).
    """
    digits = _digits(value, data_type)
    prefix = F.substring(digits, 1, 3)
    listed = F.when(prefix.rlike(_any_of(allowed)), prefix).otherwise(NOT_ALLOWED)
    return F.when(value.isNotNull(), listed).cast(data_type)


def _any_of(prefixes: Collection[str]) -> str:
    """An expression that matches these prefixes of three digits alone: a list of nine hundred is as many nodes."""
    tens = sorted({prefix[:2] for prefix in prefixes})
    choices = [f"{ten}[{''.join(sorted(prefix[2] for prefix in prefixes if prefix[:2] == ten))}]" for ten in tens]
    return f"^(?:{'|'.join(choices or [_NOTHING])})$"


def _digits(value: Column, data_type: DataType) -> Column:
    """Five or nine digits, or null where the value is no ZIP."""
    if is_text(data_type):
        text = F.regexp_replace(F.trim(value), r"^(\d{5})-(\d{4})$", "$1$2")
        text = F.regexp_replace(text, r"^(\d{3,9})\.0$", "$1")  # an integer that was read as a decimal number
    elif is_whole(data_type):
        text = value.cast("string")
    elif is_number(data_type):
        text = F.when(value.cast("double").between(0, 999_999_999), value.cast("decimal(10,0)").cast("string"))
    else:
        raise unsuitable("zip3", data_type)
    return F.when(text.rlike(r"^\d{3,5}$"), F.lpad(text, 5, "0")).when(text.rlike(r"^\d{7,9}$"), F.lpad(text, 9, "0"))
