"""Revenue by month."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records


def build(records: Records) -> DataFrame:
    """By the month of posting, in the practice's own time: `charged` and `paid`, in the practice's currency."""
    rows = records.by_local_day("transactions", "posted_at")
    return rows.groupBy("practice_id", F.trunc("day", "month").alias("month")).agg(
        _sum("CHARGE", "charged").alias("charged"), _sum("PAYMENT", "paid").alias("paid")
    )


def _sum(kind: str, amount: str) -> Column:
    return F.coalesce(F.sum(F.when(F.col("kind") == kind, F.col(amount))), F.lit(0)).cast("decimal(18,2)")


def total(records: Records) -> DataFrame:
    """What was paid by the end of the day."""
    paid = records["transactions"].where(records.is_past("posted_at") & (F.col("kind") == "PAYMENT"))
    return paid.groupBy("practice_id").agg(F.sum("paid").alias("total"))


MART = Mart(
    name="revenue",
    title="Revenue by month",
    grain=("practice_id", "month"),
    needs=("transactions", "practices"),
    build=build,
    tied="paid",
    total=total,
)
