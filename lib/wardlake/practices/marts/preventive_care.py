"""Gaps in preventive care: who is due, and for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.codes import (
    COLONOSCOPY,
    CT_COLONOGRAPHY,
    DEPRESSION_SCREENING,
    FAECAL_BLOOD_TEST,
    INFLUENZA_VACCINES,
    MAMMOGRAPHY,
    SIGMOIDOSCOPY,
    STOOL_DNA_TEST,
)
from wardlake.practices.marts.mart import Mart
from wardlake.practices.marts.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: who of those seen this year is due, and which patients had it in time."""

    name: str
    measure: str
    due: Column
    had: Callable[[Records], DataFrame]


def build(records: Records) -> DataFrame:
    """By service: `due`, `had` and `gap` patients. Exclusions of the measures (hospice, frailty, surgery) are not applied."""
    seen = records.ages().join(records.seen_this_year(), ["practice_id", "patient_id"])
    return reduce(DataFrame.unionByName, [_of_service(seen, each, records) for each in _services()])


def _services() -> tuple[Service, ...]:
    age, is_woman = F.col("age"), F.col("sex") == "F"
    return (
        Service(name="breast cancer screening", measure="CMS125", due=is_woman & age.between(42, 74), had=_mammography),
        Service(name="colorectal cancer screening", measure="CMS130", due=age.between(46, 75), had=_colorectal),
        Service(name="depression screening", measure="CMS2", due=F.col("age_then") >= 12, had=_depression),  # noqa: PLR2004
        Service(name="influenza vaccination", measure="", due=age >= 0, had=_influenza),
    )


def _of_service(seen: DataFrame, service: Service, records: Records) -> DataFrame:
    had = service.had(records).select("practice_id", "patient_id").distinct().withColumn("had", F.lit(1))
    due = seen.where(service.due).join(had, ["practice_id", "patient_id"], "left")
    counted = due.groupBy("practice_id").agg(F.count("*").alias("due"), F.count("had").alias("had"))
    return counted.select(
        "practice_id",
        F.lit(service.name).alias("service"),
        F.lit(service.measure).alias("measure"),
        "due",
        "had",
        (F.col("due") - F.col("had")).alias("gap"),
    )


def _mammography(records: Records) -> DataFrame:
    """From October two years before the measurement period."""
    begin = records.year_begins.replace(year=records.year_begins.year - 2, month=10)
    return _procedures(records, MAMMOGRAPHY).where(F.col("day") >= F.lit(begin))


def _colorectal(records: Records) -> DataFrame:
    """In years with the period's: colonoscopy 10, sigmoidoscopy and CT colonography 5, a stool DNA test 3, a test for blood 1."""
    found = [
        _since(records, codes, records.year_begins.year - years + 1)
        for codes, years in (
            (COLONOSCOPY, 10),
            (SIGMOIDOSCOPY, 5),
            (CT_COLONOGRAPHY, 5),
            (STOOL_DNA_TEST, 3),
            (FAECAL_BLOOD_TEST, 1),
        )
    ]
    return reduce(DataFrame.unionByName, found)


def _since(records: Records, codes: tuple[str, ...], year: int) -> DataFrame:
    return _procedures(records, codes).where(F.year("day") >= F.lit(year))


def _depression(records: Records) -> DataFrame:
    return _since(records, DEPRESSION_SCREENING, records.year_begins.year)


def _influenza(records: Records) -> DataFrame:
    """From July of the year before: the season that the period begins in."""
    begin = records.year_begins.replace(year=records.year_begins.year - 1, month=7)
    given = records.by_local_day("immunisations", "given_at").where(F.col("code").isin(*INFLUENZA_VACCINES))
    return given.where(F.col("day") >= F.lit(begin))


def _procedures(records: Records, codes: tuple[str, ...]) -> DataFrame:
    return records.by_local_day("procedures", "done_at").where(F.col("code").isin(*codes))


def total(records: Records) -> DataFrame:
    """Services that those seen this year are due for."""
    seen = records.ages().join(records.seen_this_year(), ["practice_id", "patient_id"], "semi")
    services = sum((F.coalesce(each.due, F.lit(False)).cast("int") for each in _services()), start=F.lit(0))
    return seen.groupBy("practice_id").agg(F.sum(services).alias("total"))


MART = Mart(
    name="preventive_care",
    title="Gaps in preventive care",
    grain=("practice_id", "service"),
    needs=("patients", "visits", "procedures", "immunisations", "practices"),
    build=build,
    tied="due",
    total=total,
    measure="CMS125, CMS130, CMS2",
)
