"""What measures of control share: who is ill, of age and seen, and who of them does not count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.records import Records
from wardlake.practices.marts.signs import Sign, find_signs
from wardlake.practices.marts.value_sets.value_set import ValueSet

_PATIENT = ["practice_id", "patient_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The denominator of a measure of control, in years on the day; `ill_by_june`: the illness began by the end of June.

    `excluded`: whether a patient does not count, of `age` and the signs that are asked for.
    """

    ill: ValueSet
    youngest: int
    oldest: int
    asked: Mapping[str, tuple[Sign, ...]]
    excluded: Callable[[], Column]
    ill_by_june: bool = False

    def begun_by(self, records: Records) -> date:
        june = records.year_begins.replace(month=6, day=30)
        return min(records.as_of, june) if self.ill_by_june else records.as_of

    def population(self, records: Records) -> DataFrame:
        """Patients who are ill, of age and seen in the period: `practice_id`, `patient_id`, `is_excluded`."""
        of_age = records.ages().where(F.col("age").between(self.youngest, self.oldest)).select(*_PATIENT, "age")
        ill = of_age.join(records.with_condition(self.ill, begun_by=self.begun_by(records)), _PATIENT)
        seen = ill.join(records.seen_this_year(), _PATIENT).join(find_signs(records, self.asked), _PATIENT, "left")
        return seen.select(*_PATIENT, F.coalesce(self.excluded(), F.lit(False)).alias("is_excluded"))

    def total(self, records: Records) -> DataFrame:
        """Patients who are ill, of age and seen, whoever is excluded: those that the mart counts and those that it leaves out."""
        begun = records["conditions"].where(records.is_of(self.ill) & (F.col("started_on") <= F.lit(self.begun_by(records))))
        ill = begun.where(F.coalesce("ended_on", F.lit(records.as_of)) >= F.lit(records.year_begins)).select(*_PATIENT).distinct()
        of_age = records.ages().where((F.col("age") >= self.youngest) & (F.col("age") <= self.oldest))
        seen = ill.join(records.seen_this_year(), _PATIENT, "semi").join(of_age, _PATIENT, "semi")
        return seen.groupBy("practice_id").agg(F.count("*").alias("total"))
