"""Claims ageing: what is still owed, by how long ago the service was."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records

_MONEY = "decimal(18,2)"


def build(records: Records) -> DataFrame:
    """By days since the service: `claims` with something owed, and how much: charges less payments of each claim."""
    posted = records.by_local_day("transactions", "posted_at")
    change = F.when(F.col("kind") == "CHARGE", F.col("charged")).when(F.col("kind") == "PAYMENT", -F.col("paid"))
    owed = posted.groupBy("practice_id", "claim_id").agg(F.sum(change).cast(_MONEY).alias("owed"))
    days = F.date_diff(F.lit(records.as_of), F.col("day"))
    band = F.when(days <= 30, "0-30").when(days <= 60, "31-60").when(days <= 90, "61-90").when(days <= 120, "91-120")  # noqa: PLR2004
    claims = records.by_local_day("claims", "serviced_at")
    return (
        claims.join(owed.where(F.col("owed") > 0), ["practice_id", "claim_id"])
        .withColumn("days", band.otherwise("over 120"))
        .groupBy("practice_id", "days")
        .agg(F.count("*").alias("claims"), F.sum("owed").cast(_MONEY).alias("owed"))
    )


def total(records: Records) -> DataFrame:
    """The balances of known claims that are above nothing."""
    posted = records["transactions"].where(records.is_past("posted_at") & F.col("kind").isin("CHARGE", "PAYMENT"))
    known = posted.join(records["claims"].where(records.is_past("serviced_at")), ["practice_id", "claim_id"], "semi")
    amount = F.when(F.col("kind") == "CHARGE", F.col("charged")).otherwise(-F.col("paid"))
    balances = known.groupBy("practice_id", "claim_id").agg(F.sum(amount).cast(_MONEY).alias("balance"))
    return balances.where(F.col("balance") > 0).groupBy("practice_id").agg(F.sum("balance").alias("total"))


MART = Mart(
    name="claims_ageing",
    title="Claims ageing",
    grain=("practice_id", "days"),
    needs=("claims", "transactions", "practices"),
    build=build,
    tied="owed",
    total=total,
)
