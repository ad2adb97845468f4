"""What of a source may be in the raw tables of its practices."""

from __future__ import annotations

import pytest

from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.practices import FileCapture, PracticesSpec
from wardlake.model.sources import SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, Decision, Drop, Profile, TokenMode, Verdict
from wardlake.practices.admission import Admission, admit

SAFE, BLOCKED = Decision(verdict=Verdict.SAFE), Decision(verdict=Verdict.BLOCKED)
SENSITIVE = Decision(verdict=Verdict.SENSITIVE, rule=Drop())
SPEC = PracticesSpec(
    name="clinics", practice_column="practice", practice_columns={"rooms": "owner"}, capture=FileCapture(folder="dropped")
)
VISITS = TableSpec(name="visits", primary_key=("id",), types={"id": "bigint", "practice": "string", "note": "string"})
ROOMS = TableSpec(name="rooms", primary_key=("id",), types={"id": "bigint", "owner": "string"})
KEYS = {"id": SAFE, "practice": SAFE}


def admitted(decisions: dict[str, Decision]) -> Admission:
    source = SourceSpec(
        name="clinics", kind=SourceKind.CSV, location="x", schema_version="1", tables={"visits": VISITS, "rooms": ROOMS}
    )
    tables = {"visits": decisions, "rooms": {"id": SAFE, "owner": SAFE}}
    return admit(
        SPEC, source, Classification(source="clinics", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables=tables)
    )


@pytest.mark.parametrize(
    ("decision", "columns", "undecided", "blocked"),
    [
        ({"note": SAFE}, ["id", "practice", "note"], (), ()),
        ({"note": SENSITIVE}, ["id", "practice", "note"], (), ()),
        ({"note.inner": SAFE}, ["id", "practice", "note"], (), ()),
        ({"note": BLOCKED}, ["id", "practice"], (), ("visits.note",)),
        ({"notes": SAFE}, ["id", "practice"], ("visits.note",), ()),
    ],
)
def test_only_what_was_decided_on_and_not_blocked_is_admitted(
    decision: dict[str, Decision], columns: list[str], undecided: tuple[str, ...], blocked: tuple[str, ...]
) -> None:
    found = admitted({**KEYS, **decision})
    assert list(found.raw["visits"].columns) == columns
    assert (found.undecided, found.blocked) == (undecided, blocked)


def test_deleted_rows_must_be_told_with_their_key_and_practice() -> None:
    assert admitted(KEYS).told == {"visits": ("id", "practice"), "rooms": ("id", "owner")}


@pytest.mark.parametrize("decisions", [{"id": SAFE}, {"id": BLOCKED, "practice": SAFE}])
def test_without_a_decision_on_key_and_practice_nothing_begins(decisions: dict[str, Decision]) -> None:
    with pytest.raises(UnclassifiedColumns, match="Keys and practices"):
        admitted(decisions)
