"""Visits by day, type and hour."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records


def build(records: Records) -> DataFrame:
    """`visits`, `patients` and `minutes` (of visits that ended) by day and hour in the practice's own time."""
    rows = records.by_local_day("visits", "started_at")
    return rows.groupBy("practice_id", "day", "visit_class", F.hour("local_at").alias("hour")).agg(
        F.count("*").alias("visits"),
        F.count_distinct("patient_id").alias("patients"),
        F.sum(F.timestamp_diff("MINUTE", F.col("started_at"), F.col("ended_at"))).alias("minutes"),
    )


def total(records: Records) -> DataFrame:
    """Visits that began by the end of the day."""
    return records["visits"].where(records.is_past("started_at")).groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="visits",
    title="Visits by day, type and hour",
    grain=("practice_id", "day", "visit_class", "hour"),
    needs=("visits", "practices"),
    build=build,
    tied="visits",
    total=total,
)
