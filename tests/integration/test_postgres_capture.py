"""What only PostgreSQL's logical decoding does: long values, keys that change, tables emptied, slots that are lost."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from tests.servers.postgres import PostgresServer

from wardlake.adapters.postgres_changes import (
    PostgresChanges,
    administration,
    columns_told_of_deleted_rows,
    create_slot,
    drop_slot,
    publish,
    slot_position,
)
from wardlake.model.changes import Operation, RowChange, TableEmptied
from wardlake.model.errors import ContractBroken, StorageUnavailable

LONG = secrets.token_hex(40_000)  # does not compress, so PostgreSQL keeps it apart from its row


class Lab:
    """A database with one table under capture; `run` commits a statement."""

    def __init__(self, server: PostgresServer) -> None:
        self.dsn = server.as_admin(server.fresh_database("capture")).dsn
        self.slot = f"capture_{secrets.token_hex(4)}"
        self.run("CREATE TABLE visits (id int PRIMARY KEY, practice text NOT NULL, note text)")
        with administration(self.dsn) as opened:
            publish(opened, "capture", ["visits"])
        create_slot(self.dsn, slot=self.slot)

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as opened:
            opened.execute(statement.encode(), values)

    def stream(self) -> PostgresChanges:
        return PostgresChanges(self.dsn, slot=self.slot, publication="capture")

    def changes(self, most: int = 1000) -> list[RowChange | TableEmptied]:
        """All that was committed so far, acknowledged; something was."""
        stream = self.stream()
        found: list[RowChange | TableEmptied] = []
        while (batch := stream.read(most=most, seconds=1.0 if found else 60.0)).changes:
            found += batch.changes
            if batch.end:
                stream.acknowledge(batch.end)
        stream.close()
        return found


@pytest.fixture
def lab(postgres_server: PostgresServer) -> Iterator[Lab]:
    made = Lab(postgres_server)
    yield made
    drop_slot(made.dsn, slot=made.slot)


def test_a_long_value_that_was_not_touched_is_named_and_not_lost(lab: Lab) -> None:
    lab.run("INSERT INTO visits VALUES (1, 'north', %s)", LONG)
    lab.run("UPDATE visits SET practice = 'south' WHERE id = 1")
    _, update = lab.changes()
    assert (update.new, update.unchanged, update.old) == ({"id": "1", "practice": "south"}, {"note"}, None)


def test_where_old_rows_are_told_whole_a_long_value_comes_from_there(lab: Lab) -> None:
    lab.run("ALTER TABLE visits REPLICA IDENTITY FULL")
    lab.run("INSERT INTO visits VALUES (1, 'north', %s)", LONG)
    lab.run("UPDATE visits SET practice = 'south' WHERE id = 1")
    _, update = lab.changes()
    assert (update.new, update.unchanged) == ({"id": "1", "practice": "south", "note": LONG}, frozenset())
    assert update.old["practice"] == "north"


def test_of_a_changed_key_the_old_one_is_told(lab: Lab) -> None:
    lab.run("INSERT INTO visits VALUES (1, 'north', null)")
    lab.run("UPDATE visits SET id = 2")
    lab.run("DELETE FROM visits")
    insert, update, delete = lab.changes()
    assert (update.operation, update.old, update.new["id"]) == (Operation.UPDATE, {"id": "1"}, "2")
    assert (delete.old, delete.new, insert.old) == ({"id": "2"}, None, None)


def test_a_table_that_was_emptied_is_told_as_such(lab: Lab) -> None:
    lab.run("INSERT INTO visits VALUES (1, 'north', null)")
    lab.run("TRUNCATE visits")
    emptied = lab.changes()[-1]
    assert isinstance(emptied, TableEmptied)
    assert emptied.table == "visits"


def test_a_column_that_is_added_is_told_from_then_on(lab: Lab) -> None:
    lab.run("INSERT INTO visits VALUES (1, 'north', null)")
    lab.run("ALTER TABLE visits ADD COLUMN ward text")
    lab.run("INSERT INTO visits VALUES (2, 'north', null, 'w')")
    before, after = lab.changes()
    assert (set(before.new), set(after.new)) == ({"id", "practice", "note"}, {"id", "practice", "note", "ward"})


def test_a_long_transaction_comes_in_pieces_and_is_acknowledged_as_one(lab: Lab) -> None:
    lab.run("INSERT INTO visits SELECT n, 'giant', null FROM generate_series(1, 5000) n")
    stream = lab.stream()
    first = stream.read(most=2000, seconds=60.0)
    assert len(first.changes) == 2000
    assert int(first.end or 0) < first.changes[0].position.commit
    if first.end:
        stream.acknowledge(first.end)  # what was there before
    stream.close()
    whole = lab.changes(most=2000)
    assert whole[:2000] == list(first.changes)
    assert [each.position.sequence for each in whole] == list(range(1, 5001))
    with closing(lab.stream()) as later:
        assert later.read(most=10, seconds=1.0).changes == ()


def told_when_silent(stream: PostgresChanges, mark: str) -> bool:
    """As capture does it: what may be forgotten is acknowledged first."""
    until = time.monotonic() + 300
    while time.monotonic() < until and not stream.has_told(mark):
        batch = stream.read(most=10, seconds=0.05)
        if batch.changes:
            return False
        if batch.end:
            stream.acknowledge(batch.end)
    return time.monotonic() < until


def test_a_server_that_reads_through_a_large_transaction_has_not_told_it_while_it_is_silent(lab: Lab) -> None:
    stream = lab.stream()
    assert told_when_silent(stream, stream.mark())
    lab.run("INSERT INTO visits SELECT n, 'giant', repeat('x', 100) FROM generate_series(1, 200000) n")
    mark = stream.mark()
    assert not told_when_silent(stream, mark)
    rest = 199_990
    while rest > 0:
        assert not stream.has_told(mark)
        rest -= len(stream.read(most=50_000, seconds=60.0).changes)
    assert stream.read(most=10, seconds=1.0).changes == ()
    assert stream.has_told(mark)
    stream.close()


def test_a_source_that_never_rests_has_told_what_was_committed_before_a_mark(lab: Lab) -> None:
    stream = lab.stream()
    lab.run("INSERT INTO visits VALUES (1, 'north', null)")
    mark = stream.mark()
    lab.run("INSERT INTO visits VALUES (2, 'north', null)")
    found = stream.read(most=1, seconds=60.0).changes + stream.read(most=1, seconds=60.0).changes
    assert (len(found), stream.has_told(mark)) == (2, True)
    stream.close()


def test_where_a_transaction_waits_in_the_middle_of_the_log_all_before_it_is_told(lab: Lab) -> None:
    with psycopg.connect(lab.dsn) as opened:
        opened.execute("INSERT INTO visits SELECT n, 'giant', repeat('x', 100) FROM generate_series(1, 20000) n")
        stream = lab.stream()
        assert told_when_silent(stream, stream.mark())
        stream.close()


def test_the_server_is_not_told_to_forget_what_was_not_kept(lab: Lab) -> None:
    """Whoever dies before it remembers how far it was would find the slot ahead of that, and take it for another."""
    stream = lab.stream()
    for _ in range(3):
        lab.run("CREATE TABLE IF NOT EXISTS elsewhere (id int)")
        lab.run("INSERT INTO elsewhere VALUES (1)")
        before = slot_position(lab.dsn, lab.slot)
        batch = stream.read(most=10, seconds=0.5)
        assert batch.end
        assert not stream.has_told(str(int(batch.end) + 1))
        time.sleep(0.5)
        assert slot_position(lab.dsn, lab.slot) == before
        stream.acknowledge(batch.end)
    stream.close()


def test_what_is_told_of_deleted_rows_is_known_beforehand(lab: Lab) -> None:
    def told() -> frozenset[str] | None:
        with administration(lab.dsn) as opened:
            return columns_told_of_deleted_rows(opened, ["visits"])["visits"]

    assert told() == {"id"}
    lab.run("CREATE UNIQUE INDEX of_practice ON visits (practice, id)")
    lab.run("ALTER TABLE visits REPLICA IDENTITY USING INDEX of_practice")
    assert told() == {"practice", "id"}
    lab.run("ALTER TABLE visits REPLICA IDENTITY FULL")
    assert told() is None
    lab.run("ALTER TABLE visits REPLICA IDENTITY NOTHING")
    assert told() == frozenset()


def test_a_lost_slot_is_said_at_once_with_the_way_on(lab: Lab) -> None:
    drop_slot(lab.dsn, slot=lab.slot)
    with pytest.raises(ContractBroken, match="replication slot is gone") as lost:
        lab.stream()
    assert "snapshots again" in lost.value.next_step


def test_a_second_reader_is_refused_while_the_first_reads(lab: Lab) -> None:
    stream = lab.stream()
    with pytest.raises(StorageUnavailable, match="55006"):
        lab.stream()
    stream.close()


def test_a_database_that_stops_is_said_to_be_away(own_postgres: PostgresServer) -> None:
    lab = Lab(own_postgres)
    stream: Callable[..., object] = lab.stream().read
    own_postgres.stop()
    with pytest.raises(StorageUnavailable):
        stream(most=10, seconds=60.0)
    with pytest.raises(StorageUnavailable, match="no connection"):
        lab.stream()
