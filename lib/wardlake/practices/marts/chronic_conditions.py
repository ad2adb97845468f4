"""Panels of chronic conditions."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records
from wardlake.practices.marts.value_sets.panels import CHRONIC_CONDITIONS


def build(records: Records) -> DataFrame:
    """By condition, living patients who have it: `patients`, and of these `seen_this_year` by the practice."""
    seen = records.seen_this_year().withColumn("seen", F.lit(1))
    living = records.ages().select("practice_id", "patient_id")
    found = reduce(
        DataFrame.unionByName,
        [records.with_condition(ill).withColumn("condition", F.lit(name)) for name, ill in CHRONIC_CONDITIONS.items()],
    )
    of_patients = found.join(living, ["practice_id", "patient_id"]).join(seen, ["practice_id", "patient_id"], "left")
    return of_patients.groupBy("practice_id", "condition").agg(
        F.count("*").alias("patients"), F.count("seen").alias("seen_this_year")
    )


def total(records: Records) -> DataFrame:
    """Patients and conditions, each pair once."""
    ill = records["conditions"].where(F.col("started_on") <= F.lit(records.as_of))
    lasting = ill.where(F.coalesce(F.col("ended_on"), F.lit(records.as_of)) >= F.lit(records.year_begins))
    names = {code: name for name, ill in CHRONIC_CONDITIONS.items() for code in records.codes(ill)}
    pairs = F.create_map(*(F.lit(text) for pair in names.items() for text in pair))
    named = lasting.withColumn("condition", F.try_element_at(pairs, F.col("code"))).where(F.col("condition").isNotNull())
    living = records.ages().select("practice_id", "patient_id")
    counted = (
        named.join(living, ["practice_id", "patient_id"], "semi").select("practice_id", "patient_id", "condition").distinct()
    )
    return counted.groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="chronic_conditions",
    title="Patients with chronic conditions",
    grain=("practice_id", "condition"),
    needs=("conditions", "patients", "visits", "practices"),
    build=build,
    tied="patients",
    total=total,
)
