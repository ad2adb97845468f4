"""HbA1c control: patients with diabetes whose last HbA1c of the year is over 9 %, or missing (eCQM CMS122, 2026)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.exclusions import NEEDS, SHARED, is_past_care
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.measure import Control
from wardlake.practices.marts.records import Records
from wardlake.practices.marts.value_sets.control import DIABETES, GLYCAEMIC_STATUS

POOR_CONTROL_PERCENT = 9.0
CONTROL = Control(ill=DIABETES, youngest=18, oldest=75, asked=SHARED, excluded=is_past_care)


def build(records: Records) -> DataFrame:
    """One row a practice: `denominator`, `poor_control` (the numerator: lower is better), of these `not_tested`, and `excluded`.

    Of the last day with a test, or a glucose management indicator, the lowest counts; a day without a number is a missing test.
    `mean_hba1c`: of those tested, in %. Denominator: 18 to 75 years on the day, diabetes, a visit in the period by its class.
    Left out, and counted as `excluded`: hospice or palliative care in the period, from 66 years on a nursing home, or frailty
    with advanced illness. What of these the records cannot tell stands in `exclusions`.
    """
    rows = CONTROL.population(records).join(_last_tests(records), ["practice_id", "patient_id"], "left")
    counts, hba1c = ~F.col("is_excluded"), F.col("hba1c")
    return rows.groupBy("practice_id").agg(
        F.count_if(counts).alias("denominator"),
        F.count_if(counts & (hba1c.isNull() | (hba1c > POOR_CONTROL_PERCENT))).alias("poor_control"),
        F.count_if(counts & hba1c.isNull()).alias("not_tested"),
        F.round(F.avg(F.when(counts, hba1c)), 2).alias("mean_hba1c"),
        F.count_if("is_excluded").alias("excluded"),
    )


def _last_tests(records: Records) -> DataFrame:
    """Of each patient's last day with a test, the lowest number in %, or null."""
    value = F.col("value").try_cast("double")
    tests = records.in_period("observations", "observed_at").where(records.is_of(GLYCAEMIC_STATUS))
    order = F.struct((-F.unix_date("day")).alias("before"), value.isNull().alias("is_missing"), value.alias("hba1c"))
    return tests.groupBy("practice_id", "patient_id").agg(F.min(order)["hba1c"].alias("hba1c"))


MART = Mart(
    name="diabetes_control",
    title="HbA1c control of patients with diabetes",
    grain=("practice_id",),
    needs=NEEDS,
    build=build,
    tied="denominator + excluded",
    total=CONTROL.total,
    measure="CMS122",
)
