"""What the change log holds of a change: whose it is, of which row, and what is to be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import orjson

from wardlake.model.changes import Operation, Position, Row, RowChange, TableEmptied

LONGEST_NAME = 200
NOBODY = ""  # the practice of entries that name none: they wait in quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeTable:
    """A table of the shared database: the columns that are its key, and the one that names the practice of a row."""

    name: str
    key: tuple[str, ...]
    practice: str


class Deed(StrEnum):
    """What an entry asks for: an upsert holds the whole row; after `empty` nothing is left of what stood before it."""

    UPSERT = "upsert"
    DELETE = "delete"
    EMPTY = "empty"


class Problem(StrEnum):
    """Why an entry cannot be merged. A word and no value: it stands in errors and pages."""

    NO_KEY = "a change without a key"
    NO_PRACTICE = "a row of no practice"
    NO_TABLE = "a table that nobody declared"
    UNSENT_KEY = "a key or practice that the source did not send"
    UNSENT_VALUE = "a row that moved without its long values"
    NO_ROW = "an update before its insert"
    DELETED_ROW = "a change for a deleted row"
    BAD_VALUE = "a value that is not of its column's type"
    UNREADABLE_ROW = "a row that cannot be read"
    SPEAKING = "a column called safe whose content speaks against it"
    COLUMN_GONE = "a column that the source told before and tells no more"
    TOLD_OTHERWISE = "another change at a position that was merged: a restored source"

    @property
    def may_mend_itself(self) -> bool:
        """Whether a change that comes late can make it good."""
        return self in (Problem.NO_ROW, Problem.DELETED_ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One row of the change log; its grain is practice, table, position and part.

    `key` and `row` are JSON objects of texts, members in the order of their names, so that equal keys are equal texts. `part`
    orders the entries of one change: a row that moves leaves its old place (0) before it comes to the new one (1). `needs_row`:
    the source says that the row is there already.
    """

    practice: str
    table: str
    deed: Deed
    key: str
    row: str | None
    unchanged: tuple[str, ...]
    position: Position
    part: int
    committed_at: datetime
    needs_row: bool = False
    problem: Problem | None = None


def list_entries(change: RowChange, table: PracticeTable) -> Iterator[LogEntry]:
    """The entries of a change: one, or two where the row changed its key or its practice.

    A source tells the old row of an update only with the columns of its replica identity; where these lack the key or the
    practice, whether the row moved is not known, and the entry has a problem.
    """
    moves = change.old is not None and not _stays(change, table)
    if moves:
        yield _entry(change, table, Deed.DELETE, change.old or {}, part=0)
    if change.new is not None:
        stays = change.operation is Operation.UPDATE and not moves
        entry = _entry(change, table, Deed.UPSERT, change.new, part=1, needs_row=stays)
        yield replace(entry, problem=Problem.UNSENT_VALUE) if moves and change.unchanged and not entry.problem else entry


def list_emptied(emptied: TableEmptied, practices: Iterable[str]) -> Iterator[LogEntry]:
    """A table that lost all rows: an entry for each practice."""
    for practice in practices:
        yield LogEntry(
            practice=practice,
            table=emptied.table,
            deed=Deed.EMPTY,
            key="",
            row=None,
            unchanged=(),
            position=emptied.position,
            part=0,
            committed_at=emptied.committed_at,
        )


def list_undeclared(change: RowChange | TableEmptied) -> LogEntry:
    """A change of a table that nobody declared: whose it is, nobody can tell, and nothing of the row is kept."""
    return LogEntry(
        practice=NOBODY,
        table=change.table,
        deed=Deed.EMPTY if isinstance(change, TableEmptied) else Deed.UPSERT,
        key="",
        row=None,
        unchanged=(),
        position=change.position,
        part=0,
        committed_at=change.committed_at,
        problem=Problem.NO_TABLE,
    )


def list_present(row: Row, table: PracticeTable, position: Position, taken_at: datetime) -> LogEntry:
    """A row as it stands at the source at a position."""
    change = RowChange(table=table.name, operation=Operation.INSERT, position=position, committed_at=taken_at, new=row)
    (entry,) = list_entries(change, table)
    return entry


def _stays(change: RowChange, table: PracticeTable) -> bool:
    """Whether a row is where it was: its old key and practice are known and those of the new row."""
    places = (*table.key, table.practice)
    if change.old is None or change.new is None or any(name not in change.old for name in places):
        return False
    return all(change.new.get(name) == change.old[name] for name in places)


def _entry(change: RowChange, table: PracticeTable, deed: Deed, row: Row, *, part: int, needs_row: bool = False) -> LogEntry:
    practice = row.get(table.practice) or NOBODY
    practice = practice if _is_name(practice) else NOBODY
    return LogEntry(
        practice=practice,
        table=table.name,
        deed=deed,
        key=text_of_key(row, table),
        row=text_of(row) if deed is Deed.UPSERT else None,
        unchanged=tuple(sorted(change.unchanged)) if deed is Deed.UPSERT else (),
        position=change.position,
        part=part,
        committed_at=change.committed_at,
        needs_row=needs_row,
        problem=_problem(row, table, practice),
    )


def _problem(row: Row, table: PracticeTable, practice: str) -> Problem | None:
    has_null = False
    for name in table.key:  # millions of rows come through here: generators cost more than what they ask
        if name not in row:
            return Problem.UNSENT_KEY
        has_null = has_null or row[name] is None
    if table.practice not in row:
        return Problem.UNSENT_KEY
    if has_null:
        return Problem.NO_KEY
    return None if practice else Problem.NO_PRACTICE


def _is_name(practice: str) -> bool:
    """Whether a text can be a practice's name: neither a novel nor unprintable."""
    return len(practice) <= LONGEST_NAME and practice.isprintable()


def text_of_key(row: Row, table: PracticeTable) -> str:
    """A row's key as entries hold it."""
    return text_of({name: row.get(name) for name in table.key})


def text_of(values: Mapping[str, str | None]) -> str:
    """Values as entries hold them."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
