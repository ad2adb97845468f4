"""Decisions that go together, or the configuration is refused."""

from __future__ import annotations

import pytest
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.deidentify.checks.consistency import check_classification
from wardlake.model.sources import SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, Decision, Null, Profile, TokenMode

SOURCE = SourceSpec(
    name="s", kind=SourceKind.CSV, location="x", schema_version="1", tables={"notes": TableSpec(name="notes", patient="")}
)


def complaints(**notes: Decision) -> list[tuple[str, str, str]]:
    decided = {path.replace("__", "$."): decision for path, decision in notes.items()}
    return check_classification(
        SOURCE,
        Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"notes": decided}),
        lambda path: (),
    )


@pytest.mark.parametrize("whole", [SAFE, sensitive(Null())])
def test_a_document_decided_as_a_whole_and_by_its_paths_is_refused(whole: Decision) -> None:
    [(table, column, message)] = complaints(payload=whole, payload__fee=SAFE)
    assert (table, column) == ("notes", "payload")
    assert "JSON paths" in message


@pytest.mark.parametrize("notes", [{"payload__fee": SAFE}, {"payload": BLOCKED, "payload__fee": SAFE}, {"payload": SAFE}])
def test_a_document_decided_one_way_or_blocked_is_not(notes: dict[str, Decision]) -> None:
    assert complaints(**notes) == []
