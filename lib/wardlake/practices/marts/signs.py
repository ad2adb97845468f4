"""What a patient's records say: whether one has a code of a value set, in time. All that a mart asks is one pass over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.records import Records
from wardlake.practices.marts.value_sets.value_set import ValueSet

_BEGINS = {"procedures": "done_at", "observations": "observed_at", "prescriptions": "started_at"}


def in_period(records: Records) -> Column:
    """Some day of it is in the measurement period; what has not ended lasts."""
    return F.col("ends").isNull() | (F.col("ends") >= F.lit(records.year_begins))


def ever(records: Records) -> Column:  # noqa: ARG001 - one of the times that a sign may have
    """It began by the end of the measurement period."""
    return F.lit(True)


def begun_since(years: int, *, month: int = 1) -> Callable[[Records], Column]:
    """It began in the measurement period or since that month, so many years before."""

    def begun(records: Records) -> Column:
        return F.col("begins") >= F.lit(records.year_begins.replace(year=records.year_begins.year - years, month=month))

    return begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A code `of` a value set in records of some `kinds`, at a time.

    `told`: the observation must hold one of these; `is_last`: it is the last of its set that must. `has_value`: any will do.
    """

    of: ValueSet
    kinds: tuple[str, ...]
    when: Callable[[Records], Column] = in_period
    told: ValueSet | None = None
    is_last: bool = False
    has_value: bool = False


def find_signs(records: Records, asked: Mapping[str, tuple[Sign, ...]]) -> DataFrame:
    """Which of the signs that are asked for a patient shows.

    Input: the records of every kind that a sign names. Output: one row a patient with any such record, `practice_id`,
    `patient_id` and a boolean by name. Guarantee: one pass over each kind of record, one exchange of rows.
    """
    signs = [sign for each in asked.values() for sign in each]
    kinds = sorted({kind for sign in signs for kind in sign.kinds})
    events = reduce(DataFrame.unionByName, [_events(records, kind, signs) for kind in kinds])
    shown = [
        F.coalesce(reduce(Column.__or__, [_is_shown(records, sign) for sign in each]), F.lit(False)).alias(name)
        for name, each in asked.items()
    ]
    return events.groupBy("practice_id", "patient_id").agg(*shown)


def _is_shown(records: Records, sign: Sign) -> Column:
    """Over a patient's events."""
    is_it = F.col("kind").isin(*sign.kinds) & records.is_of(sign.of) & sign.when(records)
    told = F.lit(True) if sign.told is None else records.tells(sign.told)
    if sign.is_last:
        return F.coalesce(F.max_by(F.coalesce(told, F.lit(False)), F.when(is_it, F.col("at"))), F.lit(False))
    held = F.col("value").isNotNull() if sign.has_value else F.lit(True)
    return F.coalesce(F.bool_or(is_it & told & held), F.lit(False))


def _events(records: Records, kind: str, signs: list[Sign]) -> DataFrame:
    """Records of a kind up to the day that have a code that is asked for: `begins`, `ends` (null: it lasts), `at`, `value`."""
    codes = sorted({code for sign in signs if kind in sign.kinds for code in records.codes(sign.of)})
    nothing = F.lit(None).cast("string")
    match kind:
        case "conditions":
            rows = records[kind].where(F.col("started_on") <= F.lit(records.as_of))
            found = (F.col("started_on"), F.col("ended_on"), F.lit(None).cast("timestamp"), nothing)
        case "visits":
            rows = records.by_local_day(kind, "started_at")
            ends = F.to_date(F.from_utc_timestamp("ended_at", F.col("time_zone")))
            found = (F.col("day"), ends, F.col("started_at"), nothing)
        case "procedures" | "observations" | "prescriptions":
            rows = records.by_local_day(kind, _BEGINS[kind])
            found = (F.col("day"), F.col("day"), F.col(_BEGINS[kind]), F.col("value") if kind == "observations" else nothing)
        case _:
            raise ValueError(f"no such kind of record: {kind}")
    columns = [each.alias(name) for name, each in zip(("begins", "ends", "at", "value"), found, strict=True)]
    asked = F.col("code").isin(*codes) if codes else F.lit(False)
    return rows.where(asked).select("practice_id", "patient_id", F.lit(kind).alias("kind"), "code", *columns)
