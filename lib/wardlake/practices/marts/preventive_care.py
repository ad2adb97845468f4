"""Gaps in preventive care: who is due, and for what (eCQMs CMS125, CMS130 and CMS2, 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.depression_screening import depression_screenings, had_screening, is_left_out
from wardlake.practices.marts.exclusions import NEEDS, SHARED, is_past_care
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records
from wardlake.practices.marts.signs import Sign, begun_since, ever, find_signs
from wardlake.practices.marts.value_sets import screening as codes
from wardlake.practices.marts.value_sets.panels import INFLUENZA_VACCINES

_PATIENT = ["practice_id", "patient_id"]
_DONE = ("procedures", "observations")

ASKED: Mapping[str, tuple[Sign, ...]] = {
    **SHARED,
    "had_mammography": (Sign(of=codes.MAMMOGRAPHY, kinds=_DONE, when=begun_since(2, month=10)),),
    "had_colon_looked_at": (
        Sign(of=codes.COLONOSCOPY, kinds=_DONE, when=begun_since(9)),
        Sign(of=codes.SIGMOIDOSCOPY, kinds=_DONE, when=begun_since(4)),
        Sign(of=codes.CT_COLONOGRAPHY, kinds=_DONE, when=begun_since(4)),
        Sign(of=codes.STOOL_DNA_TEST, kinds=("observations",), when=begun_since(2), has_value=True),
        Sign(of=codes.FAECAL_BLOOD_TEST, kinds=("observations",), when=begun_since(0), has_value=True),
    ),
    "lost_both_breasts": (
        Sign(of=codes.BILATERAL_MASTECTOMY, kinds=("procedures",), when=ever),
        Sign(of=codes.BILATERAL_MASTECTOMY_HISTORY, kinds=("conditions",), when=ever),
    ),
    "lost_left_breast": (
        Sign(of=codes.LEFT_MASTECTOMY, kinds=("procedures",), when=ever),
        Sign(of=codes.LEFT_MASTECTOMY_HISTORY, kinds=("conditions",), when=ever),
    ),
    "lost_right_breast": (
        Sign(of=codes.RIGHT_MASTECTOMY, kinds=("procedures",), when=ever),
        Sign(of=codes.RIGHT_MASTECTOMY_HISTORY, kinds=("conditions",), when=ever),
    ),
    "had_bowel_cancer": (
        Sign(of=codes.COLORECTAL_CANCER, kinds=("conditions",), when=ever),
        Sign(of=codes.TOTAL_COLECTOMY, kinds=("procedures",), when=ever),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service, of a patient who was seen: whether it is due by age and sex, whether excluded, whether had in time."""

    name: str
    measure: str
    due: Column
    excluded: Column
    had: Column


def build(records: Records) -> DataFrame:
    """By service: `due`, `had` and `gap` patients of those seen this year, and `excluded` ones, whom none of these counts.

    CMS125: women of 42 to 74 years; a mammography since October two years before the period. Excluded: both breasts lost.
    CMS130: 46 to 75 years; in years with the period's a colonoscopy in 10, a sigmoidoscopy or CT colonography in 5, a stool DNA
    test with a result in 3, a test for blood with a result in 1. Excluded: colorectal cancer or a total colectomy ever.
    Excluded of both: hospice or palliative care in the period, from 66 years on a nursing home, or frailty with advanced illness.
    What of these the records cannot tell stands in `exclusions`; a mastectomy whose side is not told by its code is of no side.
    CMS2: from 12 years on, as `depression_screening` has it. Influenza vaccines, since July of the year before: no measure.
    """
    patients = (
        _seen(records)
        .join(find_signs(records, ASKED), _PATIENT, "left")
        .join(depression_screenings(records), _PATIENT, "left")
        .join(_influenza(records), _PATIENT, "left")
    )
    offered = [
        F.struct(
            F.lit(each.name).alias("service"),
            F.lit(each.measure).alias("measure"),
            each.due.alias("is_due"),
            F.coalesce(each.excluded, F.lit(False)).alias("is_excluded"),
            F.coalesce(each.had, F.lit(False)).alias("was_had"),
        )
        for each in _services()
    ]
    rows = patients.select("practice_id", F.inline(F.array(*offered))).where("is_due")
    counts = ~F.col("is_excluded")
    return rows.groupBy("practice_id", "service", "measure").agg(
        F.count_if(counts).alias("due"),
        F.count_if(counts & F.col("was_had")).alias("had"),
        F.count_if(counts & ~F.col("was_had")).alias("gap"),
        F.count_if("is_excluded").alias("excluded"),
    )


def _seen(records: Records) -> DataFrame:
    return records.ages().join(records.seen_this_year(), _PATIENT)


def _services() -> tuple[Service, ...]:
    age, is_woman, adolescent = F.col("age"), F.col("sex") == "F", 12
    no_breasts = F.col("lost_both_breasts") | (F.col("lost_left_breast") & F.col("lost_right_breast"))
    return (
        Service(
            name="breast cancer screening",
            measure="CMS125",
            due=is_woman & age.between(42, 74),
            excluded=is_past_care() | no_breasts,
            had=F.col("had_mammography"),
        ),
        Service(
            name="colorectal cancer screening",
            measure="CMS130",
            due=age.between(46, 75),
            excluded=is_past_care() | F.col("had_bowel_cancer"),
            had=F.col("had_colon_looked_at"),
        ),
        Service(
            name="depression screening",
            measure="CMS2",
            due=F.col("age_then") >= adolescent,
            excluded=is_left_out(),
            had=had_screening(),
        ),
        Service(
            name="influenza vaccination", measure="", due=age >= 0, excluded=F.lit(False), had=F.col("had_influenza_vaccine")
        ),
    )


def _influenza(records: Records) -> DataFrame:
    """From July of the year before: the season that the period begins in."""
    begin = records.year_begins.replace(year=records.year_begins.year - 1, month=7)
    given = records.by_local_day("immunisations", "given_at").where(records.is_of(INFLUENZA_VACCINES))
    in_season = given.where(F.col("day") >= F.lit(begin)).select(*_PATIENT).distinct()
    return in_season.withColumn("had_influenza_vaccine", F.lit(True))


def total(records: Records) -> DataFrame:
    """Services that those seen this year are of age and sex for, whoever is excluded."""
    seen = records.ages().join(records.seen_this_year(), _PATIENT, "semi")
    services = sum((F.coalesce(each.due, F.lit(False)).cast("int") for each in _services()), start=F.lit(0))
    return seen.groupBy("practice_id").agg(F.sum(services).alias("total"))


MART = Mart(
    name="preventive_care",
    title="Gaps in preventive care",
    grain=("practice_id", "service"),
    needs=(*NEEDS, "immunisations"),
    build=build,
    tied="due + excluded",
    total=total,
    measure="CMS125, CMS130, CMS2",
)
