"""The records that marts are made of, whatever the practices' database calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.model.practices import OwnCodes
from wardlake.practices.marts.value_sets.value_set import ValueSet

# By kind of record, its columns with their types. Times are in UTC; `born_on` to `died_on` may be null.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "visits": {
        "visit_id": "string",
        "patient_id": "string",
        "started_at": "timestamp",
        "ended_at": "timestamp",
        "visit_class": "string",
        "code": "string",
    },
    "patients": {"patient_id": "string", "born_on": "date", "died_on": "date", "sex": "string"},
    "conditions": {"patient_id": "string", "code": "string", "started_on": "date", "ended_on": "date"},
    "observations": {
        "patient_id": "string",
        "visit_id": "string",
        "code": "string",
        "observed_at": "timestamp",
        "value": "string",
    },
    "prescriptions": {
        "patient_id": "string",
        "code": "string",
        "description": "string",
        "started_at": "timestamp",
        "dispenses": "bigint",
        "total_cost": "decimal(18,2)",
    },
    "procedures": {"patient_id": "string", "code": "string", "done_at": "timestamp"},
    "immunisations": {"patient_id": "string", "code": "string", "given_at": "timestamp"},
    "claims": {"claim_id": "string", "patient_id": "string", "serviced_at": "timestamp"},
    "transactions": {
        "transaction_id": "string",
        "claim_id": "string",
        "kind": "string",  # CHARGE or PAYMENT; others move what is owed and change nothing of it
        "charged": "decimal(18,2)",
        "paid": "decimal(18,2)",
        "posted_at": "timestamp",
    },
    "practices": {"time_zone": "string"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Records of some practices by kind, each row with its `practice_id`, as of a day in the practices' own time.

    `zones`: the time zones of all these practices, by name. The measurement period of yearly measures is the calendar year up to
    and with that day.
    `own_codes`: what the configuration makes of value sets, by name.
    """

    of: Mapping[str, DataFrame]
    zones: Mapping[str, str]
    as_of: date
    own_codes: Mapping[str, OwnCodes] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> DataFrame:
        return self.of[kind]

    @property
    def year_begins(self) -> date:
        return self.as_of.replace(month=1, day=1)

    def ages(self) -> DataFrame:
        """`practice_id`, `patient_id`, `sex`, `age` on the day and `age_then` when the period began, of patients who live."""
        living = self["patients"].where(F.col("died_on").isNull() | (F.col("died_on") > F.lit(self.as_of)))
        now, then = _years(self.as_of), _years(self.year_begins)
        return living.select("practice_id", "patient_id", "sex", now.alias("age"), then.alias("age_then"))

    def seen_this_year(self) -> DataFrame:
        """Patients, by practice, with a visit in the measurement period that counts for measures of ambulatory care."""
        visits = self.in_period("visits", "started_at").where(F.col("visit_class").isin(*AMBULATORY))
        return visits.where(F.col("patient_id").isNotNull()).select("practice_id", "patient_id").distinct()

    def with_condition(self, ill: ValueSet, *, begun_by: date | None = None) -> DataFrame:
        """Patients, by practice, who have one of these conditions in the measurement period."""
        begun = F.col("started_on") <= F.lit(begun_by or self.as_of)
        lasts = F.col("ended_on").isNull() | (F.col("ended_on") >= F.lit(self.year_begins))
        found = self["conditions"].where(self.is_of(ill) & begun & lasts)
        return found.select("practice_id", "patient_id").distinct()

    def codes(self, value_set: ValueSet) -> tuple[str, ...]:
        """The codes of a value set, as the configuration adds to them or replaces them."""
        own = self.own_codes.get(value_set.name, OwnCodes())
        return own.replace or (*value_set.codes, *own.add)

    def is_of(self, value_set: ValueSet, column: str = "code") -> Column:
        """Whether a column holds a code of a value set."""
        codes = self.codes(value_set)
        return F.col(column).isin(*codes) if codes else F.lit(False)

    def tells(self, value_set: ValueSet, column: str = "value") -> Column:
        """Whether what was observed is of a value set, told by a code or by its name."""
        return F.col(column).isin(*self.codes(value_set), *value_set.codes.values())

    def is_past(self, at: str) -> Column:
        """Whether a moment is over when the day is, where the practice is."""
        end = datetime.combine(self.as_of + timedelta(days=1), time())
        ends = {practice: end.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for practice, zone in self.zones.items()}
        by_practice = F.create_map(*(F.lit(value) for pair in ends.items() for value in pair))
        return F.col(at) < F.element_at(by_practice, F.col("practice_id"))

    def by_local_day(self, kind: str, at: str) -> DataFrame:
        """Records up to the day, with `local_at` and its `day`: their time as the practice's clock showed it."""
        local = F.from_utc_timestamp(at, F.col("time_zone"))
        rows = self[kind].join(self["practices"], "practice_id").withColumn("local_at", local)
        return rows.withColumn("day", F.to_date("local_at")).where(F.col("day") <= F.lit(self.as_of))

    def in_period(self, kind: str, at: str) -> DataFrame:
        """Records of the measurement period, with their `day`, by the practice's clock."""
        return self.by_local_day(kind, at).where(F.col("day") >= F.lit(self.year_begins))


def _years(day: date) -> Column:
    """Whole years since birth."""
    return F.floor(F.months_between(F.lit(day), F.col("born_on")) / 12).cast("int")


AMBULATORY = ("ambulatory", "outpatient", "wellness", "urgentcare", "virtual", "home")
INPATIENT = ("inpatient",)
HOSPITAL = ("inpatient", "emergency")
