"""Dates: moved by one offset per patient, or cut to the year."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampNTZType, TimestampType

from wardlake.deidentify.column_types import is_text, is_whole, unsuitable
from wardlake.deidentify.rules.date_text import blank_time, read_written_date, write_date

_FIRST, _LAST = date.min, date.max
_OLDEST_AGE = 90  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one class
_HEX_DIGITS = 13  # 52 bits of the digest: the remainder's bias is below 1e-12


def offset_days(digest: Column, days: int) -> Column:
    """The offset of one patient in days, from the patient's keyed digest (hex text).

    1 to `days` days forwards or backwards, never 0, each equally likely; null where the digest is null.
    """
    draw = F.conv(F.substring(digest, 1, _HEX_DIGITS), 16, 10).cast("bigint") % F.lit(2 * days)
    return (F.when(draw < days, draw - days).otherwise(draw - days + 1)).cast("int")


def shift_date(value: Column, data_type: DataType, *, offset: Column, days: int, sentinels: tuple[str, ...]) -> Column:
    """Move a date by its patient's offset.

    Input: a date, timestamp or text date; `offset` in days, at most `days` either way.
    Output: the same type and, for text, the same form; the time of day stays. Null where the offset is null (no patient: no
    offset) or the text is no date.
    Guarantee: differences and order among one patient's dates stay, except for what is no real date: a declared
    sentinel stays as it is, and dates within `days` of the calendar's ends, which stand for "unknown" and "no end", become
    the end itself (0001-01-01, 9999-12-31). Moved, either would give the offset away.
    """
    match data_type:
        case DateType():
            moved = _shift_day(value, days, F.date_add(value, offset))
        case TimestampType() | TimestampNTZType():
            moved = _shift_instant(value, offset, days, data_type)
        case _ if is_text(data_type):
            moved = _shift_text(value, offset, days)
        case _:
            raise unsuitable("date_shift", data_type)
    return F.when(_is_sentinel(value, data_type, sentinels), value).when(offset.isNotNull(), moved)


def day_that_moves(value: Column, data_type: DataType, *, days: int, sentinels: tuple[str, ...]) -> Column:
    """The day that a shift moves; null for what does not move: sentinels, the calendar's ends, text that is no date."""
    match data_type:
        case DateType():
            day = value
        case TimestampType() | TimestampNTZType():
            day = value.cast("date")
        case _ if is_text(data_type):
            day = read_written_date(value).day
        case _:
            raise unsuitable("date_shift", data_type)
    margin = timedelta(days=days)
    stays = _is_sentinel(value, data_type, sentinels) | ~day.between(_day(_FIRST + margin), _day(_LAST - margin))
    return F.when(~stays, day)


def cut_to_year(value: Column, data_type: DataType, *, as_of: date) -> Column:
    """Keep the year of a date only: 1 January, midnight.

    Input: a date, timestamp, text date, or a year as a whole number or four-digit text; `as_of` is the day of the run.
    Output: the same type and, for text, the same form; null where there is no year to read.
    Guarantee: no year before that in which people now 90 were born (birth dates, and any other date that would show
    that its person is over 89); the years 0001 and 9999 stand for "unknown" and "no end" and stay.
    """
    oldest = as_of.year - _OLDEST_AGE
    match data_type:
        case DateType():
            return _first_day(_class_of_year(F.year(value), oldest))
        case TimestampType() | TimestampNTZType():
            return _first_day(_class_of_year(F.year(value), oldest)).cast(data_type)
        case _ if is_whole(data_type):
            year = F.when(value.between(1, _LAST.year), value.cast("int"))
            return _class_of_year(year, oldest).cast(data_type)
        case _ if is_text(data_type):
            return _year_of_text(value, oldest)
        case _:
            raise unsuitable("date_year", data_type)


def _shift_day(day: Column, days: int, moved: Column) -> Column:
    return _at_an_end(day, days, DateType()).otherwise(moved)


def _shift_instant(value: Column, offset: Column, days: int, data_type: DataType) -> Column:
    return _at_an_end(value.cast("date"), days, data_type).otherwise(F.timestamp_add("DAY", offset, value))


def _at_an_end(day: Column, days: int, data_type: DataType) -> Column:
    """The end of the calendar that `day` lies too near to be moved; an open CASE for what lies between."""
    margin = timedelta(days=days)
    too_early, too_late = day < _day(_FIRST + margin), day > _day(_LAST - margin)
    return F.when(too_early, _day(_FIRST).cast(data_type)).when(too_late, _day(_LAST).cast(data_type))


def _day(day: date) -> Column:
    return F.lit(day.isoformat()).cast("date")


def _shift_text(value: Column, offset: Column, days: int) -> Column:
    written = read_written_date(value)
    moved = _shift_day(written.day, days, F.date_add(written.day, offset))
    at_an_end = moved.isin(_day(_FIRST), _day(_LAST))
    rest = F.when(at_an_end, blank_time(written.rest)).otherwise(written.rest)
    return write_date(moved, rest, written.form)


def _is_sentinel(value: Column, data_type: DataType, sentinels: tuple[str, ...]) -> Column:
    if not sentinels:
        return F.lit(False)
    if is_text(data_type):
        return value.isin(*sentinels)
    return value.isin(*[F.lit(sentinel).cast(data_type) for sentinel in sentinels])


def _class_of_year(year: Column, oldest: int) -> Column:
    return F.when(year == _FIRST.year, year).when(year <= _LAST.year, F.greatest(year, F.lit(oldest)))


def _first_day(year: Column) -> Column:
    return F.make_date(year, F.lit(1), F.lit(1))


def _year_of_text(value: Column, oldest: int) -> Column:
    written = read_written_date(value)
    first_day = _first_day(_class_of_year(F.year(written.day), oldest))
    partial = F.when(value.rlike(r"^\d{4}(-\d{2})?$"), F.substring(value, 1, 4).cast("int"))
    shown = F.lpad(_class_of_year(partial, oldest).cast("string"), 4, "0")
    return F.coalesce(
        F.when(F.contains(value, F.lit("-")), F.concat(shown, F.lit("-01"))).otherwise(shown),
        write_date(first_day, blank_time(written.rest), written.form),
    )
