"""Who counts for a measure and who does not: each case is a practice of one patient, so that one build shows all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.spec.practices.test_marts import Row, built, records

from wardlake.model.practices import FileCapture, OwnCodes, PracticesSpec
from wardlake.practices.marts.records import Records
from wardlake.practices.marts.sources import select_records
from wardlake.practices.marts.value_sets.control import DIABETES
from wardlake.practices.marts.value_sets.every import VALUE_SETS
from wardlake.practices.marts.value_sets.frailty import FRAILTY_ENCOUNTER, NURSING_HOME

DAY = date(2026, 12, 31)
Case = Mapping[str, Any]

HOSPICE_VISIT, HOSPICE_CARE, HOSPICE_SEEN = "305336008", "385763009", "305911006"
PALLIATIVE_CARE, PALLIATIVE_SEEN = "103735009", "441874000"
FRAIL, FALL, DEMENTIA, DEMENTIA_DRUG, WHEELCHAIR = "404904002", "217082002", "52448006", "997229", "228869008"
HOUSING, HOME, AT_HOME = "71802-3", "Lives in nursing home (finding)", "I have housing"
DIALYSIS, TRANSPLANT, TRANSPLANTED, FAILED_KIDNEYS, PREGNANT = "265764009", "70536003", "161665007", "46177005", "77386006"
BOTH_BREASTS, LEFT_BREAST, RIGHT_BREAST, RIGHT_BREAST_LOST = "27865001", "428571003", "429400009", "429242008"
COLON, BOWEL_CANCER = "26390003", "363406005"
BIPOLAR, DECLINED = "13746004", "720834000"
ALL = {"CMS122", "CMS125", "CMS130", "CMS165"}
BORN_65, BORN_66, BORN_80, BORN_81 = "1961-01-01", "1960-12-31", "1946-01-01", "1945-12-31"  # years on the last day


def ill(code: str, begun: str = "2026-05-01", ended: str | None = None) -> Row:
    return {"code": code, "started_on": date.fromisoformat(begun), "ended_on": date.fromisoformat(ended) if ended else None}


def done(code: str, at: str = "2026-05-01 12:00") -> Row:
    return {"code": code, "done_at": datetime.fromisoformat(at)}


def seen(code: str, at: str = "2026-05-01 12:00", until: str | None = None, kind: str = "hospice") -> Row:
    begun, ended = datetime.fromisoformat(at), datetime.fromisoformat(until) if until else None
    return {"visit_id": f"{at}{kind}", "code": code, "started_at": begun, "ended_at": ended, "visit_class": kind}


def told(code: str, value: str | None, at: str = "2026-05-01 12:00", **rest: Any) -> Row:
    return {"code": code, "observed_at": datetime.fromisoformat(at), "value": value, **rest}


def given(code: str, at: str = "2026-05-01 12:00") -> Row:
    return {"code": code, "started_at": datetime.fromisoformat(at)}


def of(cases: Mapping[str, Case], spark: SparkSession) -> Records:
    """Each case as a practice in New York of one woman, born in 1956 unless it says so, with these rows of hers."""
    rows: dict[str, list[Row]] = {"patients": []}
    for name, case in cases.items():
        born = date.fromisoformat(case.get("born", "1956-06-01"))
        rows["patients"].append({"practice_id": name, "patient_id": "she", "born_on": born, "sex": "F"})
        for kind in case.keys() - {"born"}:
            rows.setdefault(kind, []).extend({"practice_id": name, "patient_id": "she", **row} for row in case[kind])
    practices = [{"practice_id": name, "time_zone": "America/New_York"} for name in cases]
    return records(spark, DAY, practices=practices, **rows)


def known(case: Case) -> Case:
    """With diabetes, hypertension and a visit."""
    illnesses = [ill("44054006", "2020-01-01"), ill("59621000", "2020-01-01"), *case.get("conditions", [])]
    return {**case, "conditions": illnesses, "visits": [seen("", "2026-03-01 15:00", kind="wellness"), *case.get("visits", [])]}


EXCLUSIONS: Mapping[str, tuple[Case, set[str]]] = {
    "nothing": ({}, set()),
    "hospice, care on the first day": ({"procedures": [done(HOSPICE_CARE, "2026-01-01 05:00")]}, ALL),
    "hospice, care the day before": ({"procedures": [done(HOSPICE_CARE, "2026-01-01 04:59")]}, set()),
    "hospice, care on the last day": ({"procedures": [done(HOSPICE_CARE, "2027-01-01 04:59")]}, ALL),
    "hospice, care the day after": ({"procedures": [done(HOSPICE_CARE, "2027-01-01 05:00")]}, set()),
    "hospice, a stay into the year": ({"visits": [seen(HOSPICE_VISIT, "2025-12-01 12:00", "2026-01-01 12:00")]}, ALL),
    "hospice, a stay before the year": ({"visits": [seen(HOSPICE_VISIT, "2025-12-01 12:00", "2025-12-31 12:00")]}, set()),
    "hospice, a diagnosis": ({"conditions": [ill(HOSPICE_SEEN)]}, ALL),
    "hospice, an assessment": ({"observations": [told("45755-6", "373066001")]}, ALL),
    "hospice, an assessment that says no": ({"observations": [told("45755-6", "No")]}, set()),
    "hospice at 45": ({"born": "1981-01-01", "procedures": [done(HOSPICE_CARE)]}, {"CMS122", "CMS125", "CMS165"}),
    "palliative care": ({"procedures": [done(PALLIATIVE_CARE)]}, ALL),
    "palliative care, a visit": ({"visits": [seen(PALLIATIVE_SEEN)]}, ALL),
    "palliative care, an assessment": ({"observations": [told("71007-9", None)]}, ALL),
    "palliative care until last year": ({"conditions": [ill(PALLIATIVE_SEEN, "2025-01-01", "2025-12-31")]}, set()),
    "nursing home at 66": ({"born": BORN_66, "observations": [told(HOUSING, HOME, "2020-05-01 12:00")]}, ALL),
    "nursing home at 65": ({"born": BORN_65, "observations": [told(HOUSING, HOME)]}, set()),
    "nursing home, left": ({"observations": [told(HOUSING, HOME), told(HOUSING, AT_HOME, "2026-06-01 12:00")]}, set()),
    "nursing home, entered": ({"observations": [told(HOUSING, AT_HOME), told(HOUSING, "160734000", "2026-06-01 12:00")]}, ALL),
    "frail and ill at 66": ({"born": BORN_66, "conditions": [ill(FRAIL), ill(DEMENTIA, "2025-01-01")]}, ALL),
    "frail and ill at 65": ({"born": BORN_65, "conditions": [ill(FRAIL), ill(DEMENTIA, "2025-01-01")]}, set()),
    "frail alone": ({"conditions": [ill(FRAIL)]}, set()),
    "ill alone": ({"conditions": [ill(DEMENTIA)]}, set()),
    "frail, ill since before last year": ({"conditions": [ill(FRAIL), ill(DEMENTIA, "2024-12-31")]}, set()),
    "frail last year and ill": ({"conditions": [ill(FALL, "2025-05-01", "2025-12-31"), ill(DEMENTIA)]}, set()),
    "frail with a drug": ({"conditions": [ill(FALL)], "prescriptions": [given(DEMENTIA_DRUG, "2025-02-01 12:00")]}, ALL),
    "frail with an old drug": ({"conditions": [ill(FALL)], "prescriptions": [given(DEMENTIA_DRUG, "2024-02-01 12:00")]}, set()),
    "a wheelchair": ({"conditions": [ill(DEMENTIA)], "observations": [told("98181-1", WHEELCHAIR)]}, ALL),
    "frail alone at 80": ({"born": BORN_80, "conditions": [ill(FRAIL)]}, set()),
    "frail alone at 81": ({"born": BORN_81, "conditions": [ill(FRAIL)]}, {"CMS165"}),
    "pregnant until the first day": (
        {"born": "1990-01-01", "conditions": [ill(PREGNANT, "2025-04-01", "2026-01-01")]},
        {"CMS165"},
    ),
    "pregnant until the year before": ({"born": "1990-01-01", "conditions": [ill(PREGNANT, "2025-04-01", "2025-12-31")]}, set()),
    "kidneys that failed": ({"conditions": [ill(FAILED_KIDNEYS, "2015-05-01")]}, {"CMS165"}),
    "dialysis long ago": ({"procedures": [done(DIALYSIS, "2015-05-01 12:00")]}, {"CMS165"}),
    "a kidney given": ({"procedures": [done(TRANSPLANT, "2027-01-01 04:59")]}, {"CMS165"}),
    "a kidney given later": ({"procedures": [done(TRANSPLANT, "2027-01-01 05:00")]}, set()),
    "a kidney received": ({"conditions": [ill(TRANSPLANTED, "2015-05-01")]}, {"CMS165"}),
    "both breasts at once": ({"procedures": [done(BOTH_BREASTS, "2010-05-01 12:00")]}, {"CMS125"}),
    "one breast": ({"procedures": [done(LEFT_BREAST), done(LEFT_BREAST, "2010-05-01 12:00")]}, set()),
    "one breast, then the other": ({"procedures": [done(LEFT_BREAST), done(RIGHT_BREAST, "2010-05-01 12:00")]}, {"CMS125"}),
    "one breast, and one told": (
        {"procedures": [done(LEFT_BREAST)], "conditions": [ill(RIGHT_BREAST_LOST, "2010-05-01", "2010-06-01")]},
        {"CMS125"},
    ),
    "bowel cancer that was": ({"conditions": [ill(BOWEL_CANCER, "2010-05-01", "2012-05-01")]}, {"CMS130"}),
    "no colon": ({"procedures": [done(COLON, "2010-05-01 12:00")]}, {"CMS130"}),
    "bowel cancer to come": ({"conditions": [ill(BOWEL_CANCER, "2027-01-01")]}, set()),
}


@pytest.fixture(scope="module")
def excluded(spark: SparkSession) -> Mapping[str, set[str]]:
    """By case, the measures that exclude its patient; whoever is excluded is not in the denominator, and the other way round."""
    records_of = of({name: known(case) for name, (case, _) in EXCLUSIONS.items()}, spark)
    found: dict[str, set[str]] = {name: set() for name in EXCLUSIONS}
    for mart, measure in (("diabetes_control", "CMS122"), ("blood_pressure_control", "CMS165"), ("preventive_care", "")):
        for row in built(mart, records_of):
            assert row.get("denominator", row.get("due")) + row["excluded"] == 1
            if row["excluded"]:
                found[row["practice_id"]].add(row.get("measure", measure))
    return found


@pytest.mark.parametrize("case", EXCLUSIONS)
def test_a_measure_excludes_whom_its_specification_excludes_and_no_neighbour(excluded: Mapping[str, set[str]], case: str) -> None:
    assert excluded[case] == EXCLUSIONS[case][1]


VISIT, ADULT = "2026-03-10 15:00", "1980-01-01"
PHQ_2, PHQ_9, TEENS, ADULTS = "55758-7", "44261-6", "89204-2", "73832-8"
REFERRAL, FLUOXETINE, MIRTAZAPINE = "308477009", "310385", "311725"
POSITIVE = [told(PHQ_9, "10", VISIT)]
BORN_11, BORN_12, BORN_17, BORN_18 = "2014-01-02", "2014-01-01", "2009-01-01", "2008-01-01"  # years on the first day
NOT_DUE, HAD, GAP, EXCLUDED = "not due", "had", "gap", "excluded"
DEPRESSION: Mapping[str, tuple[Case, str]] = {
    "no screening": ({}, GAP),
    "a procedure without a result": ({"procedures": [done("171207006", VISIT)]}, GAP),
    "negative": ({"observations": [told(PHQ_2, "2.0", VISIT)]}, HAD),
    "positive, nothing follows": ({"observations": [told(PHQ_2, "3.0", VISIT)]}, GAP),
    "a small finding that the larger one clears": (
        {"observations": [told(PHQ_2, "3.0", VISIT), told(PHQ_9, "9", VISIT)]},
        HAD,
    ),
    "the last one counts": ({"observations": [told(PHQ_9, "3", "2026-03-09 15:00"), *POSITIVE]}, GAP),
    "told by a finding": ({"observations": [told(ADULTS, "Depression screening negative (finding)", VISIT)]}, HAD),
    "told by a positive finding": ({"observations": [told(ADULTS, "428181000124104", VISIT)]}, GAP),
    "fourteen days before": ({"observations": [told(PHQ_9, "3", "2026-02-24 15:00")]}, HAD),
    "fifteen days before": ({"observations": [told(PHQ_9, "3", "2026-02-23 15:00")]}, GAP),
    "after the visit": ({"observations": [told(PHQ_9, "3", "2026-03-11 15:00")]}, GAP),
    "referred two days after": ({"observations": POSITIVE, "procedures": [done(REFERRAL, "2026-03-12 15:00")]}, HAD),
    "referred three days after": ({"observations": POSITIVE, "procedures": [done(REFERRAL, "2026-03-13 15:00")]}, GAP),
    "referred the day before": ({"observations": POSITIVE, "procedures": [done(REFERRAL, "2026-03-09 15:00")]}, GAP),
    "a drug": ({"observations": POSITIVE, "prescriptions": [given(MIRTAZAPINE, VISIT)]}, HAD),
    "bipolar the day before": ({"conditions": [ill(BIPOLAR, "2026-03-09", "2026-03-09")]}, EXCLUDED),
    "bipolar since the visit": ({"conditions": [ill(BIPOLAR, "2026-03-10")]}, GAP),
    "declined": ({"conditions": [ill(DECLINED, "2026-03-10")]}, EXCLUDED),
    "declined another day": ({"conditions": [ill(DECLINED, "2026-03-11")]}, GAP),
    "declined and screened": ({"observations": [told(ADULTS, "720834000", VISIT), *POSITIVE]}, GAP),
    "eleven": ({"born": BORN_11, "observations": [told(TEENS, "3", VISIT)]}, NOT_DUE),
    "twelve": ({"born": BORN_12, "observations": [told(TEENS, "3", VISIT)]}, HAD),
    "twelve with an adult's form": ({"born": BORN_12, "observations": [told(ADULTS, "428171000124102", VISIT)]}, GAP),
    "twelve with an adult's drug": (
        {"born": BORN_12, "observations": POSITIVE, "prescriptions": [given(MIRTAZAPINE, VISIT)]},
        GAP,
    ),
    "twelve with a drug": ({"born": BORN_12, "observations": POSITIVE, "prescriptions": [given(FLUOXETINE, VISIT)]}, HAD),
    "seventeen": ({"born": BORN_17, "observations": [told(TEENS, "3", VISIT)]}, HAD),
    "eighteen with a teen's form": ({"born": BORN_18, "observations": [told(TEENS, "3", VISIT)]}, GAP),
}


@pytest.fixture(scope="module")
def screened(spark: SparkSession) -> Mapping[str, Mapping[str, Any]]:
    visit = seen("", VISIT, "2026-03-10 16:00", kind="wellness")
    cases = {name: {"born": ADULT, **case, "visits": [visit]} for name, (case, _) in DEPRESSION.items()}
    rows = built("preventive_care", of(cases, spark))
    return {row["practice_id"]: row for row in rows if row["measure"] == "CMS2"}


@pytest.mark.parametrize("case", DEPRESSION)
def test_depression_is_screened_for_when_a_negative_result_or_a_follow_up_stands_by_a_visit(
    screened: Mapping[str, Mapping[str, Any]], case: str
) -> None:
    row = screened.get(case, {})
    shown = [name for name in ("had", "gap", "excluded") if row.get(name)] or [NOT_DUE]
    assert shown == [DEPRESSION[case][1]]


def test_screening_and_control_count_by_the_day_and_the_result(spark: SparkSession) -> None:
    """Numerators at their edges; `colon`: the screening for colorectal cancer."""
    home = [told("8480-6", "139"), told("8462-4", "89")]
    ward = seen("", "2026-06-01 12:00", kind="emergency")
    there = [told(code, "190", "2026-06-01 12:00", visit_id=ward["visit_id"]) for code in ("8480-6", "8462-4")]
    cases: dict[str, Case] = {
        "colon: a test": {"observations": [told("57905-2", "8.2", "2026-01-01 05:00")]},
        "colon: a test without a result": {"observations": [told("57905-2", None)]},
        "colon: last year's test": {"observations": [told("57905-2", "8.2", "2026-01-01 04:59")]},
        "colon: a stool DNA test": {"observations": [told("77354-9", "Negative", "2024-01-01 12:00")]},
        "colon: an old colonoscopy": {"procedures": [done("73761001", "2016-12-31 12:00")]},
        "colon: a colonoscopy": {"procedures": [done("73761001", "2017-01-01 12:00")]},
        "sugar: lowest of the day": {"observations": [told("4548-4", "9.5"), told("17856-6", "8.9"), told("4548-4", None)]},
        "sugar: by a sensor": {"observations": [told("97506-0", "7.1")]},
        "sugar: poor": {"observations": [told("4548-4", "9.1")]},
        "pressure: at home": {"observations": home, "visits": [ward]},
        "pressure: not of an emergency": {"observations": [*home, *there], "visits": [ward]},
        "pressure: in an emergency alone": {"observations": there, "visits": [ward]},
    }
    found = of({name: known(case) for name, case in cases.items()}, spark)
    had = {row["practice_id"] for row in built("preventive_care", found) if row["measure"] == "CMS130" and row["had"]}
    assert had == {"colon: a test", "colon: a stool DNA test", "colon: a colonoscopy"}
    well = {row["practice_id"] for row in built("diabetes_control", found) if not row["poor_control"]}
    assert well == {"sugar: lowest of the day", "sugar: by a sensor"}
    controlled = {row["practice_id"] for row in built("blood_pressure_control", found) if row["controlled"]}
    assert controlled == {"pressure: at home", "pressure: not of an emergency"}


def test_value_sets_have_names_of_their_own_and_codes_with_names() -> None:
    assert VALUE_SETS
    for name, value_set in VALUE_SETS.items():
        assert name == value_set.name
        assert all(code.strip() and text.strip() for code, text in value_set.codes.items())
        assert value_set.codes or value_set.oid, f"{name} is empty and names no concept to fill it with"


def test_a_source_s_own_codes_are_added_or_stand_alone(spark: SparkSession) -> None:
    own = {
        "diabetes": OwnCodes(add=("E11.9",)),
        "nursing_home": OwnCodes(replace=("NH",)),
        "frailty_encounter": OwnCodes(add=("x",)),
    }
    spec = PracticesSpec(name="clinics", practice_column="practice", capture=FileCapture(folder="/dropped"), value_sets=own)
    made = select_records(spark, {}, spec, ["north"], DAY)
    assert made.codes(DIABETES) == (*DIABETES.codes, "E11.9")
    assert (made.codes(NURSING_HOME), made.codes(FRAILTY_ENCOUNTER)) == (("NH",), ("x",))
