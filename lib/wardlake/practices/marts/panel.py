"""The panel: who belongs to the practice, and who is new."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records

PANEL_MONTHS = 24


def build(records: Records) -> DataFrame:
    """By month: `patients_seen`, `new_patients` (first seen in it), `panel` (seen in the 24 months up to its end).

    Months from the first visit on, in the practice's own time; also those without a visit.
    """
    visits = records.by_local_day("visits", "started_at").where(F.col("patient_id").isNotNull())
    seen = visits.select("practice_id", "patient_id", F.trunc("day", "month").alias("month")).distinct()
    first = seen.groupBy("practice_id", "patient_id").agg(F.min("month").alias("month"))
    last = F.trunc(F.lit(records.as_of), "month")
    months = (
        seen.groupBy("practice_id")
        .agg(F.min("month").alias("begin"))
        .select("practice_id", F.explode(F.sequence("begin", last, F.expr("interval 1 month"))).alias("month"))
    )
    counted = seen.groupBy("practice_id", "month").agg(F.count("*").alias("patients_seen"))
    new = first.groupBy("practice_id", "month").agg(F.count("*").alias("new_patients"))
    return (
        months.join(counted, ["practice_id", "month"], "left")
        .join(new, ["practice_id", "month"], "left")
        .join(_panel(seen, months), ["practice_id", "month"], "left")
        .select(
            "practice_id",
            "month",
            *(F.coalesce(name, F.lit(0)).cast("bigint").alias(name) for name in ("patients_seen", "new_patients", "panel")),
        )
    )


def _panel(seen: DataFrame, months: DataFrame) -> DataFrame:
    """A month of a patient's counts for the panel of itself and the months after it."""
    of = months.withColumnRenamed("month", "of")
    near = (F.col("month") <= F.col("of")) & (F.col("month") > F.add_months(F.col("of"), -PANEL_MONTHS))
    counted = seen.join(of, "practice_id").where(near).groupBy("practice_id", "of")
    return counted.agg(F.count_distinct("patient_id").alias("panel")).withColumnRenamed("of", "month")


def total(records: Records) -> DataFrame:
    """Patients who were ever seen: each was new once."""
    seen = records["visits"].where(records.is_past("started_at"))
    return seen.groupBy("practice_id").agg(F.count_distinct("patient_id").alias("total"))


MART = Mart(
    name="panel",
    title="Panel and new patients by month",
    grain=("practice_id", "month"),
    needs=("visits", "practices"),
    build=build,
    tied="new_patients",
    total=total,
)
