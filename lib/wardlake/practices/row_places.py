"""Where rows were before changes that only tell where they are: sources whose updates hold the new row alone. Pure.

A row is known by its table and key, whatever practice it is in: a primary key is one over all practices, or holds their name.
What a source tells as one practice's alone moves nothing: no other practice loses a row by it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wardlake.model.changes import Operation, Position, Row, RowChange
from wardlake.practices.log_entries import NOBODY, PracticeTable, text_of_key

RowName = tuple[str, str]  # table and key
Part = tuple[str, str | None]  # a table, and the one practice whose part of it is meant; None: everybody's


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """What a change said of a row: where it was from then on, or whose it was when it went."""

    position: Position
    practice: str
    is_gone: bool


def name_of(change: RowChange, table: PracticeTable) -> RowName | None:
    """The row that a change is of; None where its key was not told."""
    row = change.new if change.new is not None else change.old or {}
    return (change.table, text_of_key(row, table)) if all(row.get(each) is not None for each in table.key) else None


def rests_on_before(change: RowChange, table: PracticeTable, lost: Collection[Part] = ()) -> bool:
    """Whether a change can only be understood with what is known of its row: it may have moved it.

    An insert too: a source that loads a table again tells rows where they are by now, and what moved them may have been lost.
    `lost`: of which parts of tables changes may have been lost.
    """
    if name_of(change, table) is None or (change.new is not None and change.old is not None):
        return False
    if change.stays_within:
        return change.operation is Operation.INSERT and any(name == table.name for name, _ in lost)
    return change.new is not None or not (change.old or {}).get(table.practice)


def tell_moves(
    changes: Iterable[RowChange],
    tables: Mapping[str, PracticeTable],
    known: Mapping[RowName, Iterable[Place]],
    lost: Collection[Part] = (),
) -> Iterator[RowChange]:
    """The changes with the place that each row left, where another change told it: as a source does that tells old rows.

    `known`: what was captured before of rows that need it. A change that comes late, of a row which another change took elsewhere
    since, is followed by the row's leaving at that change's position. `lost`: see `rests_on_before`.
    """
    places: dict[RowName, list[Place]] = {name: _one_a_position(found) for name, found in known.items()}
    for change in changes:
        table = tables.get(change.table)
        name = name_of(change, table) if table else None
        if table is None or name is None:
            yield change
            continue
        history = places.setdefault(name, [])
        before = max((each for each in history if each.position < change.position), default=None)
        told = _within(change, table, before, lost) if change.stays_within else _with_old(change, table, before)
        yield told
        own = _place(told, table)
        after = min((each for each in history if each.position > change.position), default=None)
        leaves = after is not None and not own.is_gone and own.practice not in (after.practice, NOBODY)
        if after is not None and leaves and not change.stays_within:
            yield _leaving(told, table, own.practice, after.position)
        if own not in history:
            insort(history, own)


def _one_a_position(found: Iterable[Place]) -> list[Place]:
    """A change that moved a row said two things at one position: where it came to is where it is."""
    by_position = {each.position: each for each in sorted(found, key=lambda each: (each.position, not each.is_gone))}
    return sorted(by_position.values())


def _within(change: RowChange, table: PracticeTable, before: Place | None, lost: Collection[Part]) -> RowChange:
    """A row that comes while another practice has it, whose delete may be lost, waits as an update without its row does."""
    if before is None or before.is_gone or change.operation is not Operation.INSERT:
        return change
    is_elsewhere = before.practice != (change.new or {}).get(table.practice)
    is_lost = (table.name, before.practice) in lost or (table.name, None) in lost
    return replace(change, operation=Operation.UPDATE) if is_elsewhere and is_lost else change


def _with_old(change: RowChange, table: PracticeTable, before: Place | None) -> RowChange:
    if before is None or before.is_gone or (change.new is not None and change.old is not None):
        return change
    if change.new is None:
        old = change.old or {}
        return change if old.get(table.practice) else replace(change, old={**old, table.practice: before.practice or None})
    if change.operation is Operation.INSERT and (change.new.get(table.practice) or NOBODY) == before.practice:
        return change
    return replace(change, old=_old(change.new, table, before.practice))


def _old(row: Row, table: PracticeTable, practice: str) -> Row:
    return {**{each: row.get(each) for each in table.key}, table.practice: practice or None}


def _place(change: RowChange, table: PracticeTable) -> Place:
    row = change.new if change.new is not None else change.old or {}
    return Place(change.position, row.get(table.practice) or NOBODY, change.new is None)


def _leaving(change: RowChange, table: PracticeTable, practice: str, at: Position) -> RowChange:
    row = change.new or {}
    return replace(change, operation=Operation.DELETE, position=at, new=None, old=_old(row, table, practice))
