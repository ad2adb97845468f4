"""Dates written as text: ISO 8601, compact (HL7) and US forms, with or without a time of day.

A text is split into its date and the rest behind it (time, fraction, zone). Moving by whole days changes the date only, so
the form and the rest stay as they were written. Text in any other form is no date here and becomes null: it could be anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

_ISO_REST = r"^[T ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)?$"
_COMPACT_REST = r"^T?\d{4}(\d{2}(\.\d{1,9})?)?(Z|[+-]\d{4})?$"


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """One text column taken apart: `day` is a date or null, `rest` what follows it, `form` how the day was written."""

    text: Column
    day: Column
    rest: Column
    form: Column  # `iso`, `compact`, `us`


def read_written_date(text: Column) -> WrittenDate:
    """Take a text date apart; `day` is null where the text is in none of the known forms."""
    form = F.when(F.substring(text, 5, 1) == "-", "iso").when(F.substring(text, 3, 1) == "/", "us").otherwise("compact")
    rest = F.substring(text, F.when(form == "compact", 9).otherwise(11), F.length(text))
    whole = (
        (F.length(rest) == 0) | ((form != "compact") & rest.rlike(_ISO_REST)) | ((form == "compact") & rest.rlike(_COMPACT_REST))
    )
    day = F.when(whole, _iso_head(text, form).try_cast("date"))
    return WrittenDate(text, day, rest, form)


def write_date(day: Column, rest: Column, form: Column) -> Column:
    """`day` in the form it was read in, followed by `rest`; null where `day` is null."""
    iso = day.cast("string")
    year, month, number = F.substring(iso, 1, 4), F.substring(iso, 6, 2), F.substring(iso, 9, 2)
    return (
        F.when(form == "iso", F.concat(iso, rest))
        .when(form == "us", F.concat(month, F.lit("/"), number, F.lit("/"), year, rest))
        .otherwise(F.concat(year, month, number, rest))
    )


def blank_time(rest: Column) -> Column:
    """The rest of a text date with every digit a zero: the shape of the time stays, the time goes."""
    return F.translate(rest, "123456789", "000000000")


def _iso_head(text: Column, form: Column) -> Column:
    """The date part as `yyyy-MM-dd`; cast decides whether it is one."""
    us = F.concat_ws("-", F.substring(text, 7, 4), F.substring(text, 1, 2), F.substring(text, 4, 2))
    compact = F.concat_ws("-", F.substring(text, 1, 4), F.substring(text, 5, 2), F.substring(text, 7, 2))
    return (
        F.when(form == "iso", F.substring(text, 1, 10))
        .when((form == "us") & (F.substring(text, 6, 1) == "/"), us)
        .when(text.rlike(r"^\d{8}"), compact)
    )
