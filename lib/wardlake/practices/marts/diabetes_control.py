"""HbA1c control: patients with diabetes whose last HbA1c of the year is over 9 %, or missing (eCQM CMS122)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.codes import DIABETES, HBA1C
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records

POOR_CONTROL_PERCENT = 9.0


def build(records: Records) -> DataFrame:
    """One row a practice: `denominator`, `poor_control` (the numerator: lower is better), of these `not_tested`.

    A last test without a number is a missing one. `mean_hba1c`: of those tested, in %. Denominator: 18 to 75 years on the day,
    diabetes, a visit in the period. Exclusions (hospice, frailty) are not applied.
    """
    of_age = records.ages().where(F.col("age").between(18, 75)).select("practice_id", "patient_id")
    denominator = of_age.join(records.with_condition(DIABETES), ["practice_id", "patient_id"]).join(
        records.seen_this_year(), ["practice_id", "patient_id"]
    )
    tests = records.in_period("observations", "observed_at").where(F.col("code") == HBA1C)
    value = F.col("value").try_cast("double")
    last = tests.groupBy("practice_id", "patient_id").agg(F.max_by(value, F.struct("observed_at", value)).alias("hba1c"))
    rows = denominator.join(last, ["practice_id", "patient_id"], "left")
    poor = F.col("hba1c").isNull() | (F.col("hba1c") > POOR_CONTROL_PERCENT)
    return rows.groupBy("practice_id").agg(
        F.count("*").alias("denominator"),
        F.count_if(poor).alias("poor_control"),
        F.count_if(F.col("hba1c").isNull()).alias("not_tested"),
        F.round(F.avg("hba1c"), 2).alias("mean_hba1c"),
    )


def total(records: Records) -> DataFrame:
    """Patients with diabetes, of age and seen."""
    ill = records.with_condition(DIABETES).join(records.seen_this_year(), ["practice_id", "patient_id"], "semi")
    of_age = records.ages().where((F.col("age") >= 18) & (F.col("age") <= 75))  # noqa: PLR2004 - the measure's ages
    return ill.join(of_age, ["practice_id", "patient_id"], "semi").groupBy("practice_id").agg(F.count("*").alias("total"))


MART = Mart(
    name="diabetes_control",
    title="HbA1c control of patients with diabetes",
    grain=("practice_id",),
    needs=("patients", "conditions", "visits", "observations", "practices"),
    build=build,
    tied="denominator",
    total=total,
    measure="CMS122",
)
