"""Prescriptions by month and drug."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records


def build(records: Records) -> DataFrame:
    """By month and RxNorm code: `drug` (one description), `prescriptions`, `patients`, `dispenses`, `total_cost`."""
    rows = records.by_local_day("prescriptions", "started_at")
    return rows.groupBy("practice_id", F.trunc("day", "month").alias("month"), "code").agg(
        F.max("description").alias("drug"),
        F.count("*").alias("prescriptions"),
        F.count_distinct("patient_id").alias("patients"),
        F.sum("dispenses").alias("dispenses"),
        F.sum("total_cost").cast("decimal(18,2)").alias("total_cost"),
    )


def total(records: Records) -> DataFrame:
    """Prescriptions by the end of the day."""
    return records["prescriptions"].where(records.is_past("started_at")).groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="prescriptions",
    title="Prescriptions by month and drug",
    grain=("practice_id", "month", "code"),
    needs=("prescriptions", "practices"),
    build=build,
    tied="prescriptions",
    total=total,
)
