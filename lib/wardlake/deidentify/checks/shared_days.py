"""Days that too many patients share for a date shift to hide: placeholders that nobody declared.

A placeholder moves by its patient's offset like any other day, so that who knows it reads the offset off. What gives it away is
that nothing else stands near it: of the cells within the shift's reach of the day, most are the day itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NullType

from wardlake.deidentify.column_types import find_plain
from wardlake.deidentify.rules.dates import day_that_moves
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import DateShift, Decision

_BITS = 64  # of a count of patients: each sets one by its hash, so that ten of them set nine or ten


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDayLimits:
    """`conf/disclosure/shared_days.yaml`: from how many patients and what share of its surroundings on a day stands out."""

    version: str
    patients: int
    share: float


@dataclass(frozen=True, slots=True)
class ShiftedColumn:
    """A column of dates that are moved by their patient's offset, whose days are to be counted."""

    path: str
    rule: DateShift
    by: str


class DayCount(NamedTuple):
    """A row of `count_days`."""

    place: int
    day: int
    cells: int
    patients: int


def shifted_columns(df: DataFrame, *, table: TableSpec, decisions: Mapping[str, Decision]) -> list[ShiftedColumn]:
    """The columns and struct fields under `date_shift`, but for those where shared days are accepted.

    Elements of arrays and maps, and values within JSON texts, are not counted.
    """
    return [
        ShiftedColumn(path, rule, rule.by or table.patient)
        for path, decision in decisions.items()
        if isinstance(rule := decision.rule, DateShift)
        and rule.shared_days == "halt"
        and (rule.by or table.patient) in df.schema.names
        and find_plain(df.schema, path) is not None
    ]


def count_days(df: DataFrame, columns: Sequence[ShiftedColumn]) -> DataFrame:
    """How often each day stands in each of the columns, in one pass over the rows.

    Output: one row per column and day that a shift moves: `place` (the column's place in `columns`), `day` (days since 1970),
    `cells`, and `patients`, 64 bits of which each patient sets one. Holds days, no one's name: restricted.
    """
    cells = F.explode(F.array(*[_cell(df, place, column) for place, column in enumerate(columns)])).alias("cell")
    moved = df.select(cells).select("cell.*").where("day IS NOT NULL AND bit IS NOT NULL")
    return moved.groupBy("place", "day").agg(F.count(F.lit(1)).alias("cells"), F.bit_or("bit").alias("patients"))


def find_shared_days(counted: Iterable[DayCount], columns: Sequence[ShiftedColumn], limits: SharedDayLimits) -> list[str]:
    """The paths of columns in which a day is shared by more patients than the limits allow."""
    days: dict[int, list[DayCount]] = {place: [] for place in range(len(columns))}
    for each in counted:
        days[each.place].append(each)
    return [column.path for place, column in enumerate(columns) if any(_stand_out(days[place], column.rule.days, limits))]


def _cell(df: DataFrame, place: int, column: ShiftedColumn) -> Column:
    data_type = find_plain(df.schema, column.path) or NullType()
    value, by = F.col(".".join(map(quote_name, column.path.split(".")))), F.col(quote_name(column.by))
    day = day_that_moves(value, data_type, days=column.rule.days, sentinels=column.rule.sentinels)
    bit = F.call_function("shiftleft", F.lit(1).cast("bigint"), F.pmod(F.xxhash64(by), F.lit(_BITS)).cast("int"))
    return F.struct(F.lit(place).alias("place"), F.unix_date(day).alias("day"), F.when(by.isNotNull(), bit).alias("bit"))


def _stand_out(counted: Iterable[DayCount], reach: int, limits: SharedDayLimits) -> Iterator[bool]:
    """For each day of a column, whether many patients share it and few cells lie near it."""
    ordered = sorted(counted)
    days = [each.day for each in ordered]
    until = [0, *accumulate(each.cells for each in ordered)]
    for each in ordered:
        near = until[bisect_right(days, each.day + reach)] - until[bisect_left(days, each.day - reach)]
        yield each.cells >= limits.share * near and _count_patients(each.patients) >= limits.patients


def _count_patients(bits: int) -> int:
    """How many patients set these bits, about: linear counting (Whang, Vander-Zanden and Taylor, 1990)."""
    clear = _BITS - (bits & (2**_BITS - 1)).bit_count()
    return round(-_BITS * log(max(clear, 0.5) / _BITS))
