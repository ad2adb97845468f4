"""Each mart on a few records of two practices: what counts, what does not, and that no practice counts for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from wardlake.practices.marts.every import MARTS
from wardlake.practices.marts.mart import find_untied
from wardlake.practices.marts.records import COLUMNS, Records

DAY = date(2026, 6, 30)
Row = Mapping[str, Any]
ZONES = [{"practice_id": "north", "time_zone": "America/New_York"}, {"practice_id": "south", "time_zone": "UTC"}]


def records(spark: SparkSession, as_of: date = DAY, *, practices: Sequence[Row] = ZONES, **rows: Sequence[Row]) -> Records:
    """Records by kind; columns that a row leaves out are null, its practice is north."""
    of = {}
    for kind, columns in COLUMNS.items():
        schema = ", ".join(f"{name} {kind_of}" for name, kind_of in {"practice_id": "string", **columns}.items())
        given = practices if kind == "practices" else rows.pop(kind, [])
        values = [tuple({"practice_id": "north", **row}.get(name) for name in ("practice_id", *columns)) for row in given]
        of[kind] = spark.createDataFrame(values, schema)
    assert not rows
    return Records(of=of, zones={row["practice_id"]: row["time_zone"] for row in practices}, as_of=as_of)


def built(name: str, of: Records) -> list[dict[str, Any]]:
    """A mart's rows in the order of its grain."""
    mart = MARTS[name]
    rows = mart.build(of)
    assert find_untied(mart, rows, of).collect() == []
    return [row.asDict() for row in rows.orderBy(*mart.grain).collect()]


def visit(patient: str, at: str, **rest: Any) -> Row:
    began = datetime.fromisoformat(at)
    return {"visit_id": f"{patient}@{at}", "patient_id": patient, "started_at": began, "visit_class": "ambulatory", **rest}


def patient(name: str, born: str = "1970-01-01", **rest: Any) -> Row:
    return {"patient_id": name, "born_on": date.fromisoformat(born), "sex": "F", **rest}


def test_every_mart_says_its_grain_and_what_it_needs() -> None:
    for name, mart in MARTS.items():
        assert mart.name == name
        assert mart.grain[0] == "practice_id"
        assert set(mart.needs) <= COLUMNS.keys()


@pytest.mark.parametrize("name", sorted(MARTS))
def test_a_practice_without_records_has_no_rows_and_a_mart_names_no_patient(spark: SparkSession, name: str) -> None:
    frame = MARTS[name].build(records(spark))
    assert frame.collect() == []
    assert frame.columns[: len(MARTS[name].grain)] == list(MARTS[name].grain)
    assert "patient_id" not in frame.columns


def test_a_total_that_does_not_tie_names_the_practice(spark: SparkSession) -> None:
    visits = [visit("a", "2026-06-02 12:00"), visit("a", "2026-06-02 12:00", practice_id="south")]
    of, mart = records(spark, visits=visits), MARTS["visits"]
    rows = mart.build(of)
    for wrong in (rows.where("practice_id = 'north'"), rows.unionByName(rows.where("practice_id = 'south'"))):
        assert [tuple(row) for row in find_untied(mart, wrong, of).collect()] == [("south", False)]


@pytest.mark.parametrize("practice", ["'stranger'", "cast(NULL AS string)"])
def test_a_row_of_another_practice_or_of_none_is_foreign(spark: SparkSession, practice: str) -> None:
    of, mart = records(spark, visits=[visit("a", "2026-06-02 12:00")]), MARTS["visits"]
    rows = mart.build(of)
    foreign = rows.withColumn("practice_id", F.expr(practice))
    assert [row["is_foreign"] for row in find_untied(mart, rows.unionByName(foreign), of).collect()] == [True]


def test_visits_stand_in_the_practice_s_own_hours(spark: SparkSession) -> None:
    visits = [
        visit("a", "2026-06-02 03:30", ended_at=datetime(2026, 6, 2, 3, 45)),
        visit("b", "2026-06-02 03:59"),
        visit("a", "2026-06-02 03:10"),
        visit("a", "2026-06-02 03:10", practice_id="south"),
        visit("a", "2026-07-02 03:10"),
    ]
    frame = MARTS["visits"].build(records(spark, visits=visits))
    wanted = spark.createDataFrame(
        [
            ("north", date(2026, 6, 1), "ambulatory", 23, 3, 2, 15),
            ("south", date(2026, 6, 2), "ambulatory", 3, 1, 1, None),
        ],
        "practice_id string, day date, visit_class string, hour int, visits bigint, patients bigint, minutes bigint",
    )
    assert_df_equality(frame, wanted, ignore_nullable=True, ignore_row_order=True)


def test_the_panel_holds_who_was_seen_in_two_years_and_counts_new_patients_once(spark: SparkSession) -> None:
    visits = [
        visit("a", "2024-01-10 15:00"),
        visit("b", "2025-12-10 15:00"),
        visit("a", "2026-02-10 15:00"),
        visit("a", "2026-02-11 15:00"),
    ]
    rows = {row["month"]: row for row in built("panel", records(spark, date(2026, 3, 31), visits=visits))}
    assert len(rows) == 27
    seen = {month.isoformat()[:7]: (row["patients_seen"], row["new_patients"], row["panel"]) for month, row in rows.items()}
    assert (seen["2024-01"], seen["2025-12"], seen["2026-01"]) == ((1, 1, 1), (1, 1, 2), (0, 0, 1))
    assert (seen["2026-02"], seen["2026-03"]) == ((1, 0, 2), (0, 0, 2))


def test_chronic_conditions_are_of_those_who_live_and_still_have_them(spark: SparkSession) -> None:
    ill = {"code": "44054006", "started_on": date(2020, 1, 1)}
    of = records(
        spark,
        patients=[
            patient("a"),
            patient("b"),
            patient("dead", died_on=date(2026, 1, 1)),
            patient("well"),
            patient("a", practice_id="south"),
        ],
        conditions=[
            {"patient_id": "a", **ill},
            {"patient_id": "a", "code": "46635009", "started_on": date(2021, 1, 1)},
            {"patient_id": "b", **ill},
            {"patient_id": "dead", **ill},
            {"patient_id": "well", **ill, "ended_on": date(2025, 12, 31)},
        ],
        visits=[visit("a", "2026-02-01 12:00"), visit("b", "2025-02-01 12:00")],
    )
    assert built("chronic_conditions", of) == [
        {"practice_id": "north", "condition": "diabetes", "patients": 2, "seen_this_year": 1}
    ]


def test_preventive_care_counts_who_is_due_and_who_had_it_in_time(spark: SparkSession) -> None:
    of = records(
        spark,
        patients=[
            patient("a", "1970-01-01"),
            patient("b", "1970-01-01"),
            patient("c", "1970-01-01", sex="M"),
            patient("young", "2018-01-01"),
        ],
        visits=[visit(name, "2026-02-01 12:00") for name in ("a", "b", "c", "young")],
        procedures=[
            {"patient_id": "a", "code": "71651007", "done_at": datetime(2024, 10, 1, 12)},
            {"patient_id": "b", "code": "71651007", "done_at": datetime(2024, 9, 30, 12)},
            {"patient_id": "c", "code": "73761001", "done_at": datetime(2017, 1, 1, 12)},
        ],
        observations=[
            {"patient_id": "b", "code": "57905-2", "observed_at": datetime(2025, 12, 31, 12), "value": "12"},
            {"patient_id": "c", "code": "55758-7", "observed_at": datetime(2026, 2, 1, 12), "value": "2.0"},
        ],
        immunisations=[{"patient_id": "young", "code": "140", "given_at": datetime(2025, 7, 1, 12)}],
    )
    found = {row["service"]: (row["due"], row["had"], row["gap"], row["measure"]) for row in built("preventive_care", of)}
    assert found == {
        "breast cancer screening": (2, 1, 1, "CMS125"),
        "colorectal cancer screening": (3, 1, 2, "CMS130"),
        "depression screening": (3, 1, 2, "CMS2"),
        "influenza vaccination": (4, 1, 3, ""),
    }


def test_diabetes_control_takes_the_last_value_and_a_missing_one_for_poor(spark: SparkSession) -> None:
    names = ("good", "poor", "missing", "unread", "pending", "unseen", "old")
    tested = [
        ("pending", 1, "7.0"),
        ("pending", 3, "pending"),
        ("good", 3, "9.5"),
        ("good", 5, "9.0"),
        ("poor", 4, "9.1"),
        ("poor", 1, "6.0"),
        ("unread", 2, "pending"),
        ("old", 2, "12"),
    ]
    of = records(
        spark,
        patients=[patient(name, "1940-01-01" if name == "old" else "1970-01-01") for name in names],
        conditions=[{"patient_id": name, "code": "44054006", "started_on": date(2020, 1, 1)} for name in names],
        visits=[visit(name, "2026-02-01 12:00") for name in names if name != "unseen"],
        observations=[
            {"patient_id": name, "code": "4548-4", "observed_at": datetime(2026, month, 1, 12), "value": value}
            for name, month, value in tested
        ],
    )
    assert built("diabetes_control", of) == [
        {"practice_id": "north", "denominator": 5, "poor_control": 4, "not_tested": 3, "mean_hba1c": 9.05, "excluded": 0}
    ]


def test_blood_pressure_control_takes_the_lowest_of_the_last_day_outside_of_hospital(spark: SparkSession) -> None:
    names = ("good", "high", "missing", "late")
    began = {"late": date(2026, 7, 1)}
    visits = [visit(name, "2026-02-01 12:00") for name in names]
    ward = visit("high", "2026-05-01 12:00", visit_class="inpatient")
    taken = [("good", 2, "150", "95"), ("good", 2, "139", "89"), ("high", 2, "139", "90"), ("late", 2, "120", "80")]
    pressures = [
        {
            "patient_id": name,
            "visit_id": f"{name}@2026-02-01 12:00",
            "code": code,
            "observed_at": datetime(2026, month, 1, 12),
            "value": value,
        }
        for name, month, *values in taken
        for code, value in zip(("8480-6", "8462-4"), values, strict=True)
    ]
    hospital = [
        {"patient_id": "high", "visit_id": ward["visit_id"], "code": code, "observed_at": datetime(2026, 5, 1, 12), "value": "80"}
        for code in ("8480-6", "8462-4")
    ]
    of = records(
        spark,
        date(2026, 12, 31),
        patients=[patient(name) for name in names],
        conditions=[{"patient_id": name, "code": "59621000", "started_on": began.get(name, date(2020, 1, 1))} for name in names],
        visits=[*visits, ward],
        observations=[*pressures, *hospital],
    )
    assert built("blood_pressure_control", of) == [
        {"practice_id": "north", "denominator": 3, "controlled": 1, "not_measured": 1, "excluded": 0}
    ]


def test_prescriptions_by_month_and_drug(spark: SparkSession) -> None:
    drug = {"code": "860975", "description": "metformin", "dispenses": 3, "total_cost": Decimal("10.50")}
    of = records(
        spark,
        prescriptions=[
            {"patient_id": "a", "started_at": datetime(2026, 2, 1, 3), **drug},
            {"patient_id": "a", "started_at": datetime(2026, 1, 2, 12), **drug},
            {"patient_id": "a", "started_at": datetime(2026, 2, 2, 12), **drug, "practice_id": "south"},
        ],
    )
    rows = [
        (row["practice_id"], row["month"], row["prescriptions"], row["dispenses"], row["total_cost"])
        for row in built("prescriptions", of)
    ]
    assert rows == [
        ("north", date(2026, 1, 1), 2, 6, Decimal("21.00")),
        ("south", date(2026, 2, 1), 1, 3, Decimal("10.50")),
    ]


def test_revenue_and_what_is_owed(spark: SparkSession) -> None:
    def posted(claim: str, kind: str, amount: str, at: str) -> Row:
        return {
            "transaction_id": f"{claim}{kind}{at}",
            "claim_id": claim,
            "kind": kind,
            "paid" if kind == "PAYMENT" else "charged": Decimal(amount),
            "posted_at": datetime.fromisoformat(at),
        }

    of = records(
        spark,
        claims=[
            {"claim_id": each, "serviced_at": datetime.fromisoformat(at)}
            for each, at in (("1", "2026-06-15"), ("2", "2026-02-01"), ("3", "2026-06-01"))
        ],
        transactions=[
            posted("1", "CHARGE", "100", "2026-06-15 12:00"),
            posted("1", "PAYMENT", "40", "2026-06-20 12:00"),
            posted("1", "PAYMENT", "60", "2026-07-20 12:00"),
            posted("2", "CHARGE", "10", "2026-02-01 12:00"),
            posted("2", "TRANSFEROUT", "10", "2026-02-01 12:00"),
            posted("3", "CHARGE", "5", "2026-06-01 12:00"),
            posted("3", "PAYMENT", "5", "2026-06-02 12:00"),
        ],
    )
    assert [(row["month"].month, row["charged"], row["paid"]) for row in built("revenue", of)] == [
        (2, Decimal("10.00"), Decimal("0.00")),
        (6, Decimal("105.00"), Decimal("45.00")),
    ]
    assert [(row["days"], row["claims"], row["owed"]) for row in built("claims_ageing", of)] == [
        ("0-30", 1, Decimal("60.00")),
        ("over 120", 1, Decimal("10.00")),
    ]


def test_readmissions_are_the_practice_s_own_and_a_ward_change_is_none(spark: SparkSession) -> None:
    def stay(who: str, begin: str, end: str, **rest: Any) -> Row:
        return visit(who, begin, ended_at=datetime.fromisoformat(end), visit_class="inpatient", **rest)

    of = records(
        spark,
        patients=[patient("a"), patient("b"), patient("dead", died_on=date(2026, 1, 20))],
        visits=[
            stay("a", "2026-01-01 10:00", "2026-01-04 10:00"),
            stay("a", "2026-01-04 10:00", "2026-01-10 10:00"),
            stay("a", "2026-02-09 10:00", "2026-02-10 10:00"),
            stay("a", "2026-03-13 10:00", "2026-03-14 10:00"),
            stay("b", "2026-01-01 10:00", "2026-01-02 10:00"),
            visit("b", "2026-01-20 10:00", visit_class="inpatient"),
            stay("b", "2026-01-10 10:00", "2026-01-12 10:00", practice_id="south"),
            stay("dead", "2026-01-10 10:00", "2026-01-20 10:00"),
            visit("b", "2026-01-10 10:00"),
        ],
    )
    assert [
        (row["practice_id"], row["month"].month, row["discharges"], row["readmitted"]) for row in built("readmissions", of)
    ] == [
        ("north", 1, 2, 2),
        ("north", 2, 1, 0),
        ("north", 3, 1, 0),
        ("south", 1, 1, 0),
    ]
