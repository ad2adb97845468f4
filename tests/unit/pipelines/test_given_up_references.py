"""A foreign key whose column the decisions take away is told as given up, and not compared."""

from __future__ import annotations

import pytest

from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, Decision, Null, Profile, Token, TokenMode, Verdict
from wardlake.pipelines.refresh.references import split_references

TOKEN = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="patient"))
KEY = "visits.patient -> patients.id"
CLINIC = SourceSpec(
    name="clinic",
    kind=SourceKind.CSV,
    location="",
    schema_version="1",
    tables={
        "patients": TableSpec(name="patients", primary_key=("id",)),
        "visits": TableSpec(name="visits", references=(Reference(columns=("patient",), table="patients", to=("id",)),)),
    },
)


@pytest.mark.parametrize(
    ("visit", "released", "given_up"),
    [
        pytest.param(TOKEN, ["patient"], [], id="kept"),
        pytest.param(Decision(verdict=Verdict.BLOCKED), [], [KEY], id="blocked"),
        pytest.param(Decision(verdict=Verdict.SENSITIVE, rule=Null()), ["patient"], [KEY], id="emptied"),
    ],
)
def test_a_key_is_given_up_where_its_column_is_gone_or_empty(visit: Decision, released: list[str], given_up: list[str]) -> None:
    decided = Classification(
        source="clinic",
        profile=Profile.EXPERT,
        token_mode=TokenMode.KEYED,
        tables={"patients": {"id": TOKEN}, "visits": {"patient": visit}},
    )
    kept, told = split_references(CLINIC, decided, {"patients": ["id"], "visits": released})
    assert told == given_up
    assert [table.name for table, _ in kept.references()] == ([] if given_up else ["visits"])
