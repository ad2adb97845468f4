"""What both ways of capture promise: PostgreSQL's logical decoding, and files that a migration service drops."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.servers.postgres import PostgresServer

from wardlake.adapters.change_files import ChangeFiles
from wardlake.adapters.postgres_changes import PostgresChanges, administration, create_slot, drop_slot, publish
from wardlake.model.changes import Operation, RowChange
from wardlake.ports.change_stream import Batch, ChangeStream

IMPLEMENTATIONS = ("change_files", "postgres_changes")
COLUMNS = ("id", "practice", "note")
Told = tuple[str, str, Mapping[str, str | None] | None]


@dataclass
class Source:
    """A source of one table `visits`: commits rows, and opens a stream of its changes."""

    commit: Callable[[Sequence[tuple[str, tuple[str, str, str | None]]]], None]
    open: Callable[[], ChangeStream]


class DroppedFiles:
    """What a migration service does: every commit a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = self.rows = 0

    def commit(self, changes: Sequence[tuple[str, tuple[str, str, str | None]]]) -> None:
        self.files += 1
        path = self.folder / "visits" / f"2026013108{self.files:04}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("Op", "change_seq", "change_time", *COLUMNS))
            for said, row in changes:
                self.rows += 1
                writer.writerow((said, self.rows, "2026-01-31T08:00:00Z", *row))
        path.with_suffix(".part").rename(path)


class Database:
    """A table in a real PostgreSQL whose deleted rows are told whole."""

    def __init__(self, server: PostgresServer) -> None:
        self.dsn = server.as_admin(server.fresh_database("capture")).dsn
        self.slot = f"capture_{secrets.token_hex(4)}"
        with psycopg.connect(self.dsn, autocommit=True) as opened:
            opened.execute("CREATE TABLE visits (id int PRIMARY KEY, practice text, note text)")
            opened.execute("ALTER TABLE visits REPLICA IDENTITY FULL")
        with administration(self.dsn) as opened:
            publish(opened, "capture", ["visits"])
        create_slot(self.dsn, slot=self.slot)

    def commit(self, changes: Sequence[tuple[str, tuple[str, str, str | None]]]) -> None:
        with psycopg.connect(self.dsn) as opened:
            for said, (key, practice, note) in changes:
                match said:
                    case "I":
                        opened.execute("INSERT INTO visits VALUES (%s, %s, %s)", [key, practice, note])
                    case "U":
                        opened.execute("UPDATE visits SET practice = %s, note = %s WHERE id = %s", [practice, note, key])
                    case "D":
                        opened.execute("DELETE FROM visits WHERE id = %s", [key])

    def open(self) -> PostgresChanges:
        return PostgresChanges(self.dsn, slot=self.slot, publication="capture")


@pytest.fixture(params=IMPLEMENTATIONS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    match request.param:
        case "change_files":
            dropped = DroppedFiles(tmp_path / "dropped")
            (tmp_path / "dropped").mkdir()
            yield Source(dropped.commit, lambda: ChangeFiles(tmp_path / "dropped", tmp_path / "acknowledged"))
        case "postgres_changes":
            database = Database(request.getfixturevalue("postgres_server"))
            yield Source(database.commit, database.open)
            drop_slot(database.dsn, slot=database.slot)
        case other:
            raise ValueError(other)


def read_all(stream: ChangeStream) -> Batch:
    """All that is there, as one batch; something is."""
    changes, end = [], ""
    while (batch := stream.read(most=1000, seconds=1.0 if changes else 60.0)).changes:
        changes += batch.changes
        end = batch.end
    return Batch(tuple(changes), end)


def told(batch: Batch) -> list[Told]:
    assert all(isinstance(each, RowChange) for each in batch.changes)
    return [(each.operation, each.table, each.new if each.new is not None else each.old) for each in batch.changes]


def row(key: int, practice: str, note: str | None) -> dict[str, str | None]:
    return {"id": str(key), "practice": practice, "note": note}


def test_inserts_updates_and_deletes_are_told_in_their_order(source: Source) -> None:
    stream = source.open()
    source.commit([("I", ("1", "north", "first")), ("I", ("2", "south", None))])
    source.commit([("U", ("1", "north", 'quoted "and, long"\nüñ')), ("D", ("2", "south", None))])
    batch = read_all(stream)
    assert told(batch) == [
        (Operation.INSERT, "visits", row(1, "north", "first")),
        (Operation.INSERT, "visits", row(2, "south", None)),
        (Operation.UPDATE, "visits", row(1, "north", 'quoted "and, long"\nüñ')),
        (Operation.DELETE, "visits", row(2, "south", None)),
    ]
    positions = [each.position for each in batch.changes]
    assert positions == sorted(set(positions))
    stream.close()


def test_nothing_is_told_where_nothing_was_committed(source: Source) -> None:
    stream = source.open()
    assert stream.read(most=10, seconds=0.1).changes == ()
    stream.close()


def test_what_was_not_acknowledged_is_told_again_with_the_same_positions(source: Source) -> None:
    stream = source.open()
    source.commit([("I", ("1", "north", "a"))])
    first = read_all(stream)
    stream.close()
    again = source.open()
    assert read_all(again).changes == first.changes
    again.close()


def test_what_was_acknowledged_is_told_to_nobody_again(source: Source) -> None:
    stream = source.open()
    source.commit([("I", ("1", "north", "a"))])
    stream.acknowledge(read_all(stream).end)
    source.commit([("I", ("2", "north", "b"))])
    stream.close()
    later = source.open()
    assert told(read_all(later)) == [(Operation.INSERT, "visits", row(2, "north", "b"))]
    later.close()


def test_how_far_the_source_is_told_is_known_once_a_change_was(source: Source) -> None:
    stream = source.open()
    source.commit([("I", ("1", "north", "a"))])
    mark, at = stream.mark(), datetime(2026, 2, 1, tzinfo=UTC)
    stream.acknowledge(read_all(stream).end)
    while not stream.has_told(mark):
        stream.read(most=10, seconds=0.1)
    told_to = stream.told_to(at)
    assert told_to is not None
    assert datetime(2026, 1, 31, tzinfo=UTC) <= told_to <= at
    stream.close()
