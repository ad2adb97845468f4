"""Date shifts of one patient agree, or the configuration is refused."""

from __future__ import annotations

import pytest
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.deidentify.checks.date_shifts import check_date_shifts
from wardlake.model.sources import SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, DateShift, Decision, Profile, Token, TokenMode

PATIENT, DOCTOR = sensitive(Token(domain="patient")), sensitive(Token(domain="provider"))
SOURCE = SourceSpec(
    name="s",
    kind=SourceKind.CSV,
    location="x",
    schema_version="1",
    tables={"people": TableSpec(name="people", patient="id"), "visits": TableSpec(name="visits", patient="person")},
)


def shift(days: int, by: str = "") -> Decision:
    return sensitive(DateShift(days=days, by=by))


def complaints(**visits: Decision) -> list[tuple[str, str, str]]:
    tables = {"people": {"id": PATIENT, "born": shift(365)}, "visits": {"person": PATIENT, "doctor": DOCTOR, **visits}}
    return check_date_shifts(
        SOURCE, Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables=tables)
    )


def test_one_patient_moved_within_two_bounds_is_refused_naming_both_columns() -> None:
    [(table, column, message)] = complaints(seen=shift(30))
    assert (table, column) == ("visits", "seen")
    assert "people.born" in message and "30 days" in message and "365" in message


@pytest.mark.parametrize(
    "visits",
    [
        {"seen": shift(365)},
        {"seen": SAFE},
        {"seen": shift(30, by="doctor")},  # another domain, another person
        {"seen": shift(30, by="nobody")},  # told where the rule is applied
    ],
)
def test_bounds_that_agree_or_move_someone_else_are_fine(visits: dict[str, Decision]) -> None:
    assert complaints(**visits) == []


def test_two_bounds_within_one_table_are_refused_too() -> None:
    assert [(table, column) for table, column, _ in complaints(seen=shift(365), left=shift(7))] == [("visits", "left")]
