"""A row that moved leaves the practice it was in, though only its new row is told, however late its changes come."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wardlake.model.changes import Operation, Position, RowChange
from wardlake.practices.log_entries import Deed, LogEntry, PracticeTable, list_entries
from wardlake.practices.row_places import Part, Place, RowName, name_of, rests_on_before, tell_moves

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)
VISITS = PracticeTable(name="visits", key=("id",), practice="practice")
TABLES = {"visits": VISITS}
ROW: RowName = ("visits", '{"id":"1"}')
INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE


def change(operation: Operation, commit: int, practice: str | None, key: str | None = "1") -> RowChange:
    row = {"id": key, "practice": practice}
    gone = operation is DELETE
    new, old = (None, row) if gone else (row, None)
    return RowChange(table="visits", operation=operation, position=Position(commit, 1), committed_at=AT, new=new, old=old)


def within(operation: Operation, commit: int, practice: str) -> RowChange:
    """Told as of that practice alone."""
    return replace(change(operation, commit, practice), stays_within=True)


def entries(changes: Iterable[RowChange], *known: Place, lost: Collection[Part] = ()) -> list[LogEntry]:
    return [entry for each in tell_moves(changes, TABLES, {ROW: known}, lost) for entry in list_entries(each, VISITS)]


def short(found: Iterable[LogEntry]) -> list[str]:
    return [f"{each.deed} {each.practice} @{each.position.commit}{' on it' if each.needs_row else ''}" for each in found]


def where(found: Sequence[LogEntry]) -> set[str]:
    """The practices that have the row in the end: of each, its newest entry decides."""
    newest = {each.practice: each for each in sorted(found, key=lambda each: (each.position, each.part))}
    return {practice for practice, entry in newest.items() if entry.deed is Deed.UPSERT}


def at(commit: int, practice: str, *, is_gone: bool = False) -> Place:
    return Place(Position(commit, 1), practice, is_gone)


def test_an_update_elsewhere_leaves_the_practice_that_is_known() -> None:
    assert short(entries([change(UPDATE, 5, "south")], at(1, "north"))) == ["delete north @5", "upsert south @5"]


def test_an_update_in_its_practice_rests_on_its_row() -> None:
    assert short(entries([change(UPDATE, 5, "north")], at(1, "north"))) == ["upsert north @5 on it"]


def test_of_a_row_that_nobody_knows_nothing_is_made_up() -> None:
    assert short(entries([change(UPDATE, 5, "south")])) == ["upsert south @5 on it"]
    assert short(entries([change(UPDATE, 5, "south")], at(3, "north", is_gone=True))) == ["upsert south @5 on it"]


def test_a_row_loaded_elsewhere_leaves_where_it_was() -> None:
    assert short(entries([change(INSERT, 5, "south")], at(1, "north"))) == ["delete north @5", "upsert south @5"]
    assert short(entries([change(INSERT, 5, "north")], at(1, "north"))) == ["upsert north @5"]


def test_a_delete_that_does_not_name_the_practice_is_of_who_has_the_row() -> None:
    assert short(entries([change(DELETE, 5, None)], at(1, "south"), at(3, "north"))) == ["delete north @5"]
    assert short(entries([change(DELETE, 5, "north")], at(1, "north"))) == ["delete north @5"]


def test_what_was_said_at_the_same_position_is_told_again_alike() -> None:
    moved = (at(1, "north"), at(5, "north", is_gone=True), at(5, "south"))
    assert short(entries([change(UPDATE, 5, "south")], *moved)) == ["delete north @5", "upsert south @5"]
    assert short(entries([change(UPDATE, 6, "south")], *moved)) == ["upsert south @6 on it"]


STORY = [change(INSERT, 1, "north"), change(UPDATE, 2, "south"), change(UPDATE, 3, "west"), change(UPDATE, 4, "north")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(STORY)))))
def test_in_whatever_order_changes_come_one_practice_has_the_row(order: tuple[int, ...]) -> None:
    assert where(entries([STORY[each] for each in order])) == {"north"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_row_that_went_is_nobody_s_in_whatever_order(order: tuple[int, ...]) -> None:
    story = [change(INSERT, 1, "north"), change(UPDATE, 2, "south"), change(DELETE, 3, "south")]
    assert where(entries([story[each] for each in order])) == set()


@pytest.mark.parametrize(
    ("told", "rests"),
    [
        (change(INSERT, 9, "north"), True),
        (change(UPDATE, 9, "north"), True),
        (change(DELETE, 9, "north"), False),
        (change(DELETE, 9, None), True),
        (change(UPDATE, 9, "north", None), False),
        (within(INSERT, 9, "north"), False),
        (within(UPDATE, 9, "north"), False),
    ],
)
def test_only_what_may_have_moved_is_looked_up(told: RowChange, rests: bool) -> None:
    assert rests_on_before(told, VISITS, {("bills", None)}) is rests


@pytest.mark.parametrize("lost", [[], [("visits", None)]])
@pytest.mark.parametrize("operation", [UPDATE, DELETE])
@pytest.mark.parametrize("commit", [3, 9])
def test_what_is_told_as_one_practice_s_alone_moves_nothing(commit: int, operation: Operation, lost: list[Part]) -> None:
    told = within(operation, commit, "north")
    assert short(entries([told], at(5, "south"), lost=lost)) == short(list_entries(told, VISITS))
    assert short(entries([told, change(UPDATE, 10, "south")], at(1, "north"), lost=lost))[0].split()[1] == "north"


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ([], "upsert north @9"),
        ([("visits", "west"), ("bills", None)], "upsert north @9"),
        ([("visits", "south")], "upsert north @9 on it"),
        ([("visits", None)], "upsert north @9 on it"),
    ],
)
def test_a_row_that_comes_to_a_practice_s_own_waits_where_another_s_delete_may_be_lost(lost: list[Part], told: str) -> None:
    assert short(entries([within(INSERT, 9, "north")], at(5, "south"), lost=lost)) == [told]
    assert short(entries([within(INSERT, 9, "north")], at(5, "north"), lost=lost)) == ["upsert north @9"]
    assert rests_on_before(within(INSERT, 9, "north"), VISITS, lost) is any(name == "visits" for name, _ in lost)


def test_a_change_without_a_key_is_of_no_row() -> None:
    assert name_of(change(INSERT, 1, "north", None), VISITS) is None
    assert short(entries([change(INSERT, 1, "north", None)])) == ["upsert north @1"]
