"""The amplifier every benchmark stands on."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.benchmarks.amplify import amplify

PATIENT, VISIT, DOCTOR = (f"{digit * 8}-aaaa-bbbb-cccc-dddddddddddd" for digit in "123")


@pytest.fixture(scope="module")
def export(spark: SparkSession) -> dict[str, DataFrame]:
    """One patient with one visit, their provider and the patient's insurance."""
    patients = "Id string, BIRTHDATE date, SSN string, FIRST string, MIDDLE string, LAST string, MAIDEN string, GENDER string"
    rows = [(PATIENT, date(1980, 5, 1), "999-35-9473", "Jessie665", None, "Foster87", None, "F")]
    visits = "Id string, START timestamp, STOP timestamp, PATIENT string, PROVIDER string"
    stay = (VISIT, datetime(2020, 1, 1, 8), datetime(2020, 1, 3, 9), PATIENT, DOCTOR)
    return {
        "patients": spark.createDataFrame(rows, patients),
        "encounters": spark.createDataFrame([stay], visits),
        "providers": spark.createDataFrame([(DOCTOR, "Ann1 Lee2", "F")], "Id string, NAME string, GENDER string"),
        "payer_transitions": spark.createDataFrame(
            [(PATIENT, "Jessie665 Foster87"), (PATIENT, "Kim3 Foster87")], "PATIENT string, OWNER_NAME string"
        ),
    }


@pytest.fixture(scope="module")
def copies(export: dict[str, DataFrame]) -> dict[str, list]:
    return {name: rows.collect() for name, rows in amplify(export, 20, 1).items()}


def test_every_copy_has_keys_of_its_own(copies: dict[str, list]) -> None:
    ids = {row["Id"] for row in copies["patients"]}
    assert len(ids) == 20
    assert PATIENT not in ids
    assert len({row["Id"] for row in copies["encounters"]}) == 20


def test_foreign_keys_lead_to_the_same_copy(copies: dict[str, list]) -> None:
    ids = {row["Id"] for row in copies["patients"]}
    assert {row["PATIENT"] for row in copies["encounters"]} == ids
    assert {row["PROVIDER"] for row in copies["encounters"]} == {row["Id"] for row in copies["providers"]}


def test_providers_grow_slower_than_patients(copies: dict[str, list]) -> None:
    assert len(copies["providers"]) == 2


def test_names_are_new_and_carry_no_digits(copies: dict[str, list]) -> None:
    names = {row["FIRST"] + row["LAST"] for row in copies["patients"]}
    assert len(names) > 15
    assert all(name.isalpha() for name in names)


def test_the_owner_of_a_plan_is_the_patient_where_it_was(copies: dict[str, list]) -> None:
    owners = {(row["PATIENT"], row["OWNER_NAME"]) for row in copies["payer_transitions"]}
    patients = {(row["Id"], f"{row['FIRST']} {row['LAST']}") for row in copies["patients"]}
    assert patients < owners
    assert len(owners) == 40


def test_what_is_missing_stays_missing(copies: dict[str, list]) -> None:
    assert {row["MIDDLE"] for row in copies["patients"]} == {None}


def test_a_patients_dates_move_together_and_intervals_stay(copies: dict[str, list]) -> None:
    births = {row["Id"]: (date(1980, 5, 1) - row["BIRTHDATE"]).days for row in copies["patients"]}
    visits = {row["PATIENT"]: (datetime(2020, 1, 1, 8) - row["START"]).days for row in copies["encounters"]}
    assert births == visits
    assert len(set(births.values())) > 15
    assert {row["STOP"] - row["START"] for row in copies["encounters"]} == {datetime(2020, 1, 3, 9) - datetime(2020, 1, 1, 8)}


def test_the_seed_decides(export: dict[str, DataFrame], copies: dict[str, list]) -> None:
    again, other = (amplify(export, 20, seed)["patients"].collect() for seed in (1, 2))
    assert sorted(again) == sorted(copies["patients"])
    assert not {row["Id"] for row in other} & {row["Id"] for row in again}
