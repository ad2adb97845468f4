"""Screening for depression with its follow-up (eCQM CMS2, 2026), patient by patient."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.records import AMBULATORY, Records
from wardlake.practices.marts.value_sets import depression as codes

DAYS_BEFORE_VISIT, DAYS_AFTER_VISIT = 14, 2
# Scores from which a screening is positive. Kroenke et al., Med Care 2003 (PHQ-2) and J Gen Intern Med 2001 (PHQ-9); for teens as
# HEDIS DSF-E has it.
PHQ_2_POSITIVE, PHQ_9_POSITIVE, PHQ_9_TEENS_POSITIVE = 3, 10, 10
OLDEST_ADOLESCENT = YOUNGEST_ADULT = 17  # years when the period began: at 17 either kind of screening counts

_PARTS = {
    "visit": "struct<begins: date, ends: date>",
    "screening": "struct<at: timestamp, is_full: boolean, day: date, is_positive: boolean, young: boolean, adult: boolean>",
    "follow_up": "struct<day: date, young: boolean, adult: boolean>",
    "bipolar": "date",
    "declined": "date",
}


def depression_screenings(records: Records) -> DataFrame:
    """Patients with a visit in the period, as CMS2 sees them.

    Output: one row a patient, `practice_id`, `patient_id`, `was_bipolar` before a visit of the period, and, of screening for the
    young and for adults, whether it `met_...` the numerator and whether its lack is `excepted_...`. A screening counts up to 14
    days before a visit; one that is positive needs a treatment, a referral or a drug from that visit on until two days after it,
    by the day. A PHQ-2 or PHQ-9 counts for both; of two at the same moment the PHQ-9. Not decided: medical reasons for not
    screening.
    """
    events = reduce(DataFrame.unionByName, [_visits(records), _screenings(records), *_follow_ups(records), *_reasons(records)])
    of = events.groupBy("practice_id", "patient_id").agg(*(F.collect_list(name).alias(name) for name in _PARTS))
    visit, known = F.col("visit"), {name: _last_screening(name) for name in ("young", "adult")}
    rows = of.where(F.size(visit) > 0).select("*", *(last.alias(f"last_{name}") for name, last in known.items()))
    declined = F.exists("declined", lambda day: F.exists(visit, lambda each: day.between(each["begins"], each["ends"])))
    return rows.select(
        "practice_id",
        "patient_id",
        F.exists("bipolar", lambda day: F.exists(visit, lambda each: each["begins"] > day)).alias("was_bipolar"),
        *(_is_met(name).alias(f"met_{name}") for name in known),
        *((declined & F.col(f"last_{name}").isNull()).alias(f"excepted_{name}") for name in known),
    )


def had_screening() -> Column:
    """The numerator, of `age_then` and a row of `depression_screenings`."""
    return _for_age(F.col("met_young"), F.col("met_adult"))


def is_left_out() -> Column:
    """The exclusion and, where the numerator is not met, the exception: the patient declined and was not screened."""
    return F.col("was_bipolar") | (~had_screening() & _for_age(F.col("excepted_young"), F.col("excepted_adult")))


def _for_age(young: Column, adult: Column) -> Column:
    age = F.col("age_then")
    return ((age <= OLDEST_ADOLESCENT) & young) | ((age >= YOUNGEST_ADULT) & adult)


def _last_screening(name: str) -> Column:
    """The last screening of this kind that a visit came after in time."""
    return F.array_max(
        F.filter("screening", lambda each: each[name] & F.exists("visit", lambda visit: _is_near(each["day"], visit)))
    )


def _is_near(day: Column, visit: Column) -> Column:
    return F.date_diff(visit["begins"], day).between(0, DAYS_BEFORE_VISIT)


def _is_met(name: str) -> Column:
    """The last screening of this kind is negative, or one of its visits has a follow-up."""
    last = F.col(f"last_{name}")

    def is_followed(visit: Column) -> Column:
        until = F.date_add(visit["ends"], DAYS_AFTER_VISIT)
        done = F.exists("follow_up", lambda each: each[name] & each["day"].between(visit["begins"], until))
        return _is_near(last["day"], visit) & done

    return last.isNotNull() & (~last["is_positive"] | F.exists("visit", is_followed))


def _part(rows: DataFrame, part: str, value: Column) -> DataFrame:
    """Rows with one part of what is gathered by patient; the others are null."""
    nothing = F.lit(None)
    return rows.select(
        "practice_id",
        "patient_id",
        *((value if name == part else nothing).cast(kind).alias(name) for name, kind in _PARTS.items()),
    )


def _visits(records: Records) -> DataFrame:
    rows = records.in_period("visits", "started_at").where(F.col("visit_class").isin(*AMBULATORY))
    ends = F.coalesce(F.to_date(F.from_utc_timestamp("ended_at", F.col("time_zone"))), F.col("day"))
    return _part(rows, "visit", F.struct(F.col("day").alias("begins"), ends.alias("ends")))


def _screenings(records: Records) -> DataFrame:
    """Screenings whose result says something: a finding, or a score."""
    score = F.col("value").try_cast("double")
    phq_2, phq_9, teens = (records.is_of(each) for each in (codes.PHQ_2, codes.PHQ_9, codes.PHQ_9_TEENS))
    young, adult = records.is_of(codes.ADOLESCENT_SCREENING), records.is_of(codes.ADULT_SCREENING)
    is_positive = (
        F.when(phq_2, score >= PHQ_2_POSITIVE)
        .when(phq_9, score >= PHQ_9_POSITIVE)
        .when(teens, score >= PHQ_9_TEENS_POSITIVE)
        .when((young | adult) & records.tells(codes.SCREENING_POSITIVE), F.lit(True))
        .when((young | adult) & records.tells(codes.SCREENING_NEGATIVE), F.lit(False))
    )
    since = F.date_sub(F.lit(records.year_begins), DAYS_BEFORE_VISIT)
    rows = records.by_local_day("observations", "observed_at").where((F.col("day") >= since) & is_positive.isNotNull())
    parts = {
        "at": F.col("observed_at"),
        "is_full": ~phq_2,
        "day": F.col("day"),
        "is_positive": is_positive,
        "young": ~adult,
        "adult": ~young & ~teens,
    }
    return _part(rows, "screening", F.struct(*(value.alias(name) for name, value in parts.items())))


def _follow_ups(records: Records) -> list[DataFrame]:
    """Treatments, referrals and drugs of the period."""
    care = records.in_period("procedures", "done_at").where(records.is_of(codes.FOLLOW_UP) | records.is_of(codes.REFERRAL))
    young, adult = records.is_of(codes.ADOLESCENT_DRUGS), records.is_of(codes.ADULT_DRUGS)
    drugs = records.in_period("prescriptions", "started_at").where(young | adult)
    everybody = F.struct("day", F.lit(True).alias("young"), F.lit(True).alias("adult"))
    return [
        _part(care, "follow_up", everybody),
        _part(drugs, "follow_up", F.struct("day", young.alias("young"), adult.alias("adult"))),
    ]


def _reasons(records: Records) -> list[DataFrame]:
    """What excludes and what excepts: bipolar disorder by when it began, and days on which a screening was declined."""
    begun = records["conditions"].where(F.col("started_on") <= F.lit(records.as_of))
    screening = records.is_of(codes.ADOLESCENT_SCREENING) | records.is_of(codes.ADULT_SCREENING)
    told = records.in_period("observations", "observed_at").where(screening & records.tells(codes.SCREENING_DECLINED))
    done = records.in_period("procedures", "done_at").where(records.is_of(codes.SCREENING_DECLINED))
    return [
        _part(begun.where(records.is_of(codes.BIPOLAR)), "bipolar", F.col("started_on")),
        _part(begun.where(records.is_of(codes.SCREENING_DECLINED)), "declined", F.col("started_on")),
        _part(told, "declined", F.col("day")),
        _part(done, "declined", F.col("day")),
    ]
