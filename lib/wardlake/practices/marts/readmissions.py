"""Readmissions within 30 days, to the same practice: another practice's admissions are not its own to see."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import INPATIENT, Records

WITHIN_DAYS = 30
NEVER = date(9999, 12, 31)
_PATIENT = ("practice_id", "patient_id")


def build(records: Records) -> DataFrame:
    """By month of discharge: `discharges` of living patients, and `readmitted` ones: admitted again within 30 days.

    An admission by the day of discharge, as from one ward to another, is one stay with the one before. One that has not ended
    counts as a readmission, not as a discharge. Months whose 30 days are not over are counted with what is known by the day.
    """
    order = Window.partitionBy(*_PATIENT).orderBy("admitted", "stay")
    after = F.date_diff(F.lead("admitted").over(order), F.col("discharged"))
    rows = _ended_alive(_stays(records).withColumn("after", after), records)
    return rows.groupBy("practice_id", F.trunc("discharged", "month").alias("month")).agg(
        F.count("*").alias("discharges"), F.count_if(F.col("after") <= WITHIN_DAYS).alias("readmitted")
    )


def _ended_alive(stays: DataFrame, records: Records) -> DataFrame:
    died = records["patients"].select(*_PATIENT, "died_on")
    alive = F.col("died_on").isNull() | (F.col("died_on") > F.col("discharged"))
    return stays.where(F.col("discharged").isNotNull()).join(died, list(_PATIENT), "left").where(alive)


def _stays(records: Records) -> DataFrame:
    """Inpatient visits that follow each other on the same day, as one: `admitted`, and `discharged` by the day or null."""
    visits = records.by_local_day("visits", "started_at").where(F.col("visit_class").isin(*INPATIENT))
    left = F.to_date(F.from_utc_timestamp("ended_at", F.col("time_zone")))
    by_now = F.when(left <= F.lit(records.as_of), left)
    days = visits.select(*_PATIENT, F.col("day").alias("admitted"), by_now.alias("discharged"), _or_never(by_now).alias("until"))
    order = Window.partitionBy(*_PATIENT).orderBy("admitted", "until")
    before = F.max("until").over(order.rowsBetween(Window.unboundedPreceding, -1))
    begins = before.isNull() | (F.col("admitted") > before)
    numbered = days.withColumn("begins", begins.cast("int")).withColumn("stay", F.sum("begins").over(order))
    ends = F.when(F.max("until") < _or_never(F.lit(None).cast("date")), F.max("discharged"))
    return numbered.groupBy(*_PATIENT, "stay").agg(F.min("admitted").alias("admitted"), ends.alias("discharged"))


def _or_never(day: Column) -> Column:
    return F.coalesce(day, F.lit(NEVER))


def total(records: Records) -> DataFrame:
    """Stays that ended with the patient alive: days of discharge on or after which nobody of the stay was admitted still."""
    visits = records.by_local_day("visits", "started_at").where(F.col("visit_class").isin(*INPATIENT))
    left = F.to_date(F.from_utc_timestamp("ended_at", F.col("time_zone")))
    one = visits.select(*_PATIENT, F.col("day").alias("begin"), F.when(left <= F.lit(records.as_of), left).alias("end"))
    is_other = (F.col("a.practice_id") == F.col("b.practice_id")) & (F.col("a.patient_id") == F.col("b.patient_id"))
    goes_on = (F.col("b.begin") <= F.col("a.end")) & (F.col("b.end").isNull() | (F.col("b.end") > F.col("a.end")))
    ends = one.alias("a").where(F.col("a.end").isNotNull()).join(one.alias("b"), is_other & goes_on, "anti")
    days = ends.select(*_PATIENT, F.col("end").alias("discharged")).distinct()
    return _ended_alive(days, records).groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="readmissions",
    title="Readmissions within 30 days by month of discharge",
    grain=("practice_id", "month"),
    needs=("visits", "patients", "practices"),
    build=build,
    tied="discharges",
    total=total,
)
