"""Blood-pressure control: patients with hypertension whose last pressure of the year is under 140/90 (eCQM CMS165)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.codes import DIASTOLIC, HYPERTENSION, SYSTOLIC
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import AMBULATORY, Records

SYSTOLIC_LIMIT, DIASTOLIC_LIMIT = 140.0, 90.0  # mmHg


def build(records: Records) -> DataFrame:
    """One row a practice: `denominator`, `controlled` (the numerator: higher is better), `not_measured`.

    Denominator: 18 to 85 years on the day, hypertension that began by the end of June, a visit in the period. Of the last day
    with pressures the lowest count. Exclusions (renal disease, pregnancy, hospice, frailty) are not applied.
    """
    by_june = min(records.as_of, records.year_begins.replace(month=6, day=30))
    of_age = records.ages().where(F.col("age").between(18, 85)).select("practice_id", "patient_id")
    ill = records.with_condition(HYPERTENSION, begun_by=by_june)
    denominator = of_age.join(ill, ["practice_id", "patient_id"]).join(records.seen_this_year(), ["practice_id", "patient_id"])
    rows = denominator.join(_last_pressures(records), ["practice_id", "patient_id"], "left")
    is_controlled = (F.col("systolic") < SYSTOLIC_LIMIT) & (F.col("diastolic") < DIASTOLIC_LIMIT)
    return rows.groupBy("practice_id").agg(
        F.count("*").alias("denominator"),
        F.count_if(is_controlled).alias("controlled"),
        F.count_if(F.col("systolic").isNull() | F.col("diastolic").isNull()).alias("not_measured"),
    )


def _last_pressures(records: Records) -> DataFrame:
    """The last day of each patient with both pressures, outside of hospital: its lowest systolic and diastolic, in mmHg."""
    outside = records["visits"].where(F.col("visit_class").isin(*AMBULATORY)).select("practice_id", "visit_id")
    taken = records.in_period("observations", "observed_at").where(F.col("code").isin(SYSTOLIC, DIASTOLIC))
    value = F.col("value").try_cast("double")
    days = (
        taken.join(outside, ["practice_id", "visit_id"])
        .groupBy("practice_id", "patient_id", "day")
        .agg(
            F.min(F.when(F.col("code") == SYSTOLIC, value)).alias("systolic"),
            F.min(F.when(F.col("code") == DIASTOLIC, value)).alias("diastolic"),
        )
        .where(F.col("systolic").isNotNull() & F.col("diastolic").isNotNull())
    )
    last = days.groupBy("practice_id", "patient_id").agg(F.max_by(F.struct("systolic", "diastolic"), "day").alias("last"))
    return last.select("practice_id", "patient_id", "last.systolic", "last.diastolic")


def total(records: Records) -> DataFrame:
    """Patients with hypertension, of age and seen."""
    by_june = min(records.as_of, records.year_begins.replace(month=6, day=30))
    ill = records.with_condition(HYPERTENSION, begun_by=by_june)
    seen = ill.join(records.seen_this_year(), ["practice_id", "patient_id"], "semi")
    of_age = records.ages().where((F.col("age") >= 18) & (F.col("age") <= 85))  # noqa: PLR2004 - the measure's ages
    return seen.join(of_age, ["practice_id", "patient_id"], "semi").groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="blood_pressure_control",
    title="Blood-pressure control of patients with hypertension",
    grain=("practice_id",),
    needs=("patients", "conditions", "visits", "observations", "practices"),
    build=build,
    tied="denominator",
    total=total,
    measure="CMS165",
)
