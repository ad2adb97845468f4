"""Blood-pressure control: patients with hypertension whose last pressure of the year is under 140/90 (eCQM CMS165, 2026)."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.exclusions import NEEDS, SHARED, is_past_care
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.measure import Control
from wardlake.practices.marts.records import HOSPITAL, Records
from wardlake.practices.marts.signs import Sign, ever
from wardlake.practices.marts.value_sets import control as codes

SYSTOLIC_LIMIT, DIASTOLIC_LIMIT = 140.0, 90.0  # mmHg

ASKED: Mapping[str, tuple[Sign, ...]] = {
    **SHARED,
    "is_pregnant": (Sign(of=codes.PREGNANCY, kinds=("conditions",)),),
    "has_failing_kidneys": (
        Sign(of=codes.END_STAGE_RENAL_DISEASE, kinds=("conditions",)),
        Sign(of=codes.KIDNEY_TRANSPLANT_RECIPIENT, kinds=("conditions",)),
        Sign(of=codes.KIDNEY_TRANSPLANT, kinds=("procedures",), when=ever),
        Sign(of=codes.DIALYSIS, kinds=("procedures",), when=ever),
        Sign(of=codes.MONTHLY_RENAL_SERVICES, kinds=("visits",), when=ever),
    ),
}


def _excluded() -> Column:
    return is_past_care(frail_alone=True) | F.col("is_pregnant") | F.col("has_failing_kidneys")


CONTROL = Control(ill=codes.ESSENTIAL_HYPERTENSION, youngest=18, oldest=85, asked=ASKED, excluded=_excluded, ill_by_june=True)


def build(records: Records) -> DataFrame:
    """One row a practice: `denominator`, `controlled` (the numerator: higher is better), `not_measured`, and `excluded`.

    Denominator: 18 to 85 years on the day, essential hypertension that began by the end of June, a visit in the period by its
    class. Of the last day with pressures outside of hospital the lowest count. Left out, and counted as `excluded`: pregnancy or
    end-stage renal disease in the period, dialysis or a kidney transplant ever, hospice or palliative care in the period, from 66
    years on a nursing home, or frailty with advanced illness, from 81 on frailty alone. What of these the records cannot tell
    stands in `exclusions`.
    """
    rows = CONTROL.population(records).join(_last_pressures(records), ["practice_id", "patient_id"], "left")
    counts = ~F.col("is_excluded")
    is_controlled = (F.col("systolic") < SYSTOLIC_LIMIT) & (F.col("diastolic") < DIASTOLIC_LIMIT)
    return rows.groupBy("practice_id").agg(
        F.count_if(counts).alias("denominator"),
        F.count_if(counts & is_controlled).alias("controlled"),
        F.count_if(counts & F.col("systolic").isNull()).alias("not_measured"),
        F.count_if("is_excluded").alias("excluded"),
    )


def _last_pressures(records: Records) -> DataFrame:
    """The last day of each patient with both pressures, outside of hospital: its lowest systolic and diastolic, in mmHg.

    Those of no visit, as a patient measures at home, count.
    """
    is_systolic, is_diastolic = records.is_of(codes.SYSTOLIC_PRESSURE), records.is_of(codes.DIASTOLIC_PRESSURE)
    in_hospital = records["visits"].where(F.col("visit_class").isin(*HOSPITAL)).select("practice_id", "visit_id")
    taken = records.in_period("observations", "observed_at").where(is_systolic | is_diastolic)
    value = F.col("value").try_cast("double")
    days = (
        taken.join(in_hospital, ["practice_id", "visit_id"], "anti")
        .groupBy("practice_id", "patient_id", "day")
        .agg(F.min(F.when(is_systolic, value)).alias("systolic"), F.min(F.when(is_diastolic, value)).alias("diastolic"))
        .where(F.col("systolic").isNotNull() & F.col("diastolic").isNotNull())
    )
    last = days.groupBy("practice_id", "patient_id").agg(F.max_by(F.struct("systolic", "diastolic"), "day").alias("last"))
    return last.select("practice_id", "patient_id", "last.systolic", "last.diastolic")


MART = Mart(
    name="blood_pressure_control",
    title="Blood-pressure control of patients with hypertension",
    grain=("practice_id",),
    needs=NEEDS,
    build=build,
    tied="denominator + excluded",
    total=CONTROL.total,
    measure="CMS165",
)
