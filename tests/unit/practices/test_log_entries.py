"""A change becomes entries of the log under the practice that it belongs to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlake.model.changes import Operation, Position, RowChange
from wardlake.practices.log_entries import Deed, PracticeTable, Problem, list_entries

VISITS = PracticeTable(name="visits", key=("id",), practice="practice")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))  # all that UTF-8 can say
INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE


def entries(operation: Operation, **rest: Any) -> list[Any]:
    at, position = datetime(2026, 1, 31, tzinfo=UTC), Position(7, 1)
    change = RowChange(table="visits", operation=operation, position=position, committed_at=at, **rest)
    return list(list_entries(change, VISITS))


def row(key: str | None = "1", practice: str | None = "north", **rest: str | None) -> dict[str, str | None]:
    return {"id": key, "practice": practice, **rest}


def test_an_insert_is_one_upsert_of_its_practice() -> None:
    (entry,) = entries(INSERT, new=row(note="ü"))
    assert (entry.practice, entry.deed, entry.key, entry.problem) == ("north", Deed.UPSERT, '{"id":"1"}', None)
    assert entry.row == '{"id":"1","note":"ü","practice":"north"}'


@pytest.mark.parametrize("old", [None, row(note="before"), row()])
def test_an_update_that_moves_nothing_is_one_upsert(old: dict[str, str | None] | None) -> None:
    (entry,) = entries(UPDATE, new=row(note="after"), old=old)
    assert (entry.deed, entry.part) == (Deed.UPSERT, 1)


@given(st.dictionaries(TEXTS, st.none() | TEXTS))
def test_a_row_is_one_text_whatever_is_in_it(values: dict[str, str | None]) -> None:
    (entry,) = entries(INSERT, new={**values, **row()})
    assert entry.row == json.dumps({**values, **row()}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def test_a_delete_holds_no_row() -> None:
    (entry,) = entries(DELETE, old=row(note="gone"))
    assert (entry.practice, entry.deed, entry.key, entry.row) == ("north", Deed.DELETE, '{"id":"1"}', None)


def test_a_row_that_changes_its_practice_leaves_one_and_comes_to_the_other() -> None:
    left, came = entries(UPDATE, old=row(), new=row(practice="south"))
    assert (left.practice, left.deed, came.practice, came.deed) == ("north", Deed.DELETE, "south", Deed.UPSERT)
    assert (left.position, left.part) < (came.position, came.part)


def test_a_row_that_changes_its_key_leaves_the_old_one() -> None:
    left, came = entries(UPDATE, old=row(), new=row("2"))
    assert (left.practice, left.key, came.key) == ("north", '{"id":"1"}', '{"id":"2"}')


def test_where_the_old_practice_is_not_told_the_row_that_it_left_is_a_problem() -> None:
    left, came = entries(UPDATE, old={"id": "1"}, new=row("2"))
    assert (left.practice, left.problem, came.problem) == ("", Problem.UNSENT_KEY, None)


def test_columns_that_were_not_sent_are_named() -> None:
    (entry,) = entries(UPDATE, new=row(), unchanged=frozenset({"note", "letter"}))
    assert entry.unchanged == ("letter", "note")


@pytest.mark.parametrize(
    ("rest", "practice", "problem"),
    [
        ({"operation": INSERT, "new": row(key=None)}, "north", Problem.NO_KEY),
        ({"operation": INSERT, "new": row(practice=None)}, "", Problem.NO_PRACTICE),
        ({"operation": INSERT, "new": row(practice="")}, "", Problem.NO_PRACTICE),
        ({"operation": DELETE, "old": {"id": "1"}}, "", Problem.UNSENT_KEY),
        ({"operation": INSERT, "new": row(practice="x" * 201)}, "", Problem.NO_PRACTICE),
        ({"operation": INSERT, "new": row(practice="a\x00b")}, "", Problem.NO_PRACTICE),
        ({"operation": UPDATE, "new": {"id": "1"}, "unchanged": frozenset({"practice"})}, "", Problem.UNSENT_KEY),
    ],
)
def test_what_cannot_be_merged_says_why_and_no_value(rest: dict[str, Any], practice: str, problem: Problem) -> None:
    (entry,) = entries(**rest)
    assert (entry.practice, entry.problem) == (practice, problem)


def test_a_row_that_moves_without_its_long_values_cannot_be_merged() -> None:
    left, came = entries(UPDATE, old=row(), new=row(practice="south"), unchanged=frozenset({"note"}))
    assert (left.problem, came.problem) == (None, Problem.UNSENT_VALUE)
