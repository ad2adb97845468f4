"""Which foreign keys the mapping need not read, since the keys they refer to hold all of their identifiers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, Decision, Profile, Token, TokenMode, Verdict
from wardlake.pipelines.refresh.mapping import covered_columns

TOKEN = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="patient"))
VISITS = TableSpec(name="visits", references=(Reference(columns=("patient",), table="patients", to=("id",)),))
PATIENTS = TableSpec(name="patients", primary_key=("id",))
CLINIC = SourceSpec(
    name="clinic", kind=SourceKind.CSV, location="", schema_version="1", tables={"patients": PATIENTS, "visits": VISITS}
)
WHOLE = {"visits.patient -> patients.id"}


def decided(visit: Decision = TOKEN) -> Classification:
    return Classification(
        source="clinic",
        profile=Profile.EXPERT,
        token_mode=TokenMode.KEYED,
        tables={"patients": {"id": TOKEN, "mother": TOKEN}, "visits": {"patient": visit}},
    )


@pytest.fixture(scope="module")
def frames(spark: SparkSession) -> dict[str, object]:
    return {"patients": spark.sql("SELECT 'p' id, 'q' mother"), "visits": spark.sql("SELECT 'p' patient")}


def test_a_key_without_orphans_is_covered_by_the_key_it_refers_to(frames) -> None:
    assert covered_columns(CLINIC, decided(), frames, WHOLE) == {"visits": {"patient"}}


def test_a_key_with_orphans_is_not(frames) -> None:
    assert covered_columns(CLINIC, decided(), frames, set()) == {}


def test_a_key_of_another_domain_is_not(frames) -> None:
    other = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="visit"))
    assert covered_columns(CLINIC, decided(other), frames, WHOLE) == {}


def test_keys_that_refer_to_each_other_in_a_circle_are_all_listed(frames) -> None:
    there, back = (
        Reference(columns=("mother",), table="patients", to=("id",)),
        Reference(columns=("id",), table="patients", to=("mother",)),
    )
    circle = replace(CLINIC, tables={"patients": replace(PATIENTS, references=(there, back)), "visits": VISITS})
    whole = {*WHOLE, "patients.mother -> patients.id", "patients.id -> patients.mother"}
    assert covered_columns(circle, decided(), frames, whole) == {}
