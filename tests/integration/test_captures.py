"""A source's rows and its changes meet without a gap: what is not in the rows is told as a change, whatever commits meanwhile."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.servers.postgres import PostgresServer

from wardlake.adapters.captures import Captures
from wardlake.adapters.postgres_changes import PostgresRows, drop_slot, published_tables
from wardlake.model.changes import RowChange
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.practices import FileCapture, PostgresCapture
from wardlake.ports.change_stream import ChangeStream

NEEDED = {"visits": ("id", "practice")}
INSUFFICIENT = "42501"


class Lab:
    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self.dsn = server.as_admin(server.fresh_database("capture")).dsn
        self.slot = f"capture_{secrets.token_hex(4)}"
        self.spec = PostgresCapture(dsn="env:IT", slot=self.slot, publication="capture")
        self.captures = Captures(self.spec, secret=lambda _: self.dsn, state=folder / "files")
        self.run("CREATE TABLE visits (id serial PRIMARY KEY, practice text, note text)")
        self.run("ALTER TABLE visits REPLICA IDENTITY FULL")

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as opened:
            for statement in statements:
                opened.execute(statement.encode())

    def changes(self, stream: ChangeStream) -> list[RowChange]:
        found: list[RowChange] = []
        while changes := stream.read(most=1000, seconds=1.0 if found else 60.0).changes:
            found += [each for each in changes if isinstance(each, RowChange)]
        return found


@pytest.fixture
def lab(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(postgres_server, tmp_path)
    yield made
    drop_slot(made.dsn, slot=made.slot)


def test_rows_and_changes_meet_while_others_write(lab: Lab) -> None:
    stream = lab.captures.open(NEEDED, acknowledged=lab.captures.begin(NEEDED))
    done, written = threading.Event(), threading.Event()

    def write() -> None:
        while not done.is_set():
            lab.run("INSERT INTO visits (practice) VALUES ('north')")
            written.set()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for each in writers:
        each.start()
    assert written.wait(timeout=60)
    try:
        with lab.captures.rows() as rows:
            present = {row["id"] for row in rows.rows("visits", "practice", "north")}
            position = rows.position
    finally:
        done.set()
        for each in writers:
            each.join()
    changes = lab.changes(stream)
    later = {each.new["id"] for each in changes if each.new and each.position > position}
    every = {each.new["id"] for each in changes if each.new}
    stream.close()
    assert present
    assert later == every - present


def test_rows_are_texts_as_the_stream_tells_them(lab: Lab) -> None:
    stream = lab.captures.open(NEEDED, acknowledged=lab.captures.begin(NEEDED))
    lab.run("ALTER TABLE visits ADD at timestamptz, ADD yes boolean, ADD n numeric(9,3), ADD b bytea, ADD j jsonb, ADD a int[]")
    lab.run(
        "INSERT INTO visits VALUES (1, 'süd', E'a\\nb', '2026-01-31 08:00+02', true, 1.5, '\\x00ff', '{\"k\": [1]}', '{1,2}')"
    )
    (change,) = lab.changes(stream)
    stream.close()
    with PostgresRows(lab.dsn) as rows:
        assert rows.practices("visits", "practice") == ["süd"]
        assert list(rows.rows("visits", "practice", "süd")) == [change.new]
        assert list(rows.rows("visits", "practice", "other")) == []


def test_a_slot_that_was_lost_is_never_made_anew_by_opening(lab: Lab) -> None:
    begun = lab.captures.begin(NEEDED)
    lab.captures.open(NEEDED, acknowledged=begun).close()
    drop_slot(lab.dsn, slot=lab.slot)
    with pytest.raises(ContractBroken, match="replication slot is gone"):
        lab.captures.open(NEEDED, acknowledged=begun)
    lab.captures.open(NEEDED, acknowledged=lab.captures.begin_again(NEEDED)).close()


def test_who_owns_no_table_captures_what_its_owner_published(lab: Lab, postgres_server: PostgresServer) -> None:
    name, password = postgres_server.new_role()
    lab.run(f"ALTER ROLE {name} REPLICATION", f"GRANT SELECT ON visits TO {name}")
    dsn = psycopg.conninfo.make_conninfo(lab.dsn, user=name, password=password)
    captures = Captures(lab.spec, secret=lambda _: dsn, state=Path())
    with pytest.raises(ConfigurationError, match="no publication capture"):
        captures.begin(NEEDED)
    lab.run("CREATE PUBLICATION capture FOR ALL TABLES")
    begun = captures.begin(NEEDED)
    lab.run("INSERT INTO visits (practice) VALUES ('north')")
    with closing(captures.open(NEEDED, acknowledged=begun)) as stream:
        assert len(lab.changes(stream)) == 1
    captures.open(NEEDED, acknowledged=captures.begin_again(NEEDED)).close()
    with captures.rows() as rows:
        assert rows.practices("visits", "practice") == ["north"]


@pytest.mark.parametrize("right", ["REPLICATION", "SELECT"])
def test_a_right_that_is_missing_is_no_server_that_does_not_answer(lab: Lab, postgres_server: PostgresServer, right: str) -> None:
    lab.run("CREATE PUBLICATION capture FOR TABLE visits")
    name, password = postgres_server.new_role()
    lab.run(f"GRANT SELECT ON visits TO {name}" if right == "REPLICATION" else f"ALTER ROLE {name} REPLICATION")
    captures = Captures(
        lab.spec, secret=lambda _: psycopg.conninfo.make_conninfo(lab.dsn, user=name, password=password), state=Path()
    )
    with pytest.raises(ConfigurationError, match=f"refuses this to the capture's role: {INSUFFICIENT}"):
        if right == "REPLICATION":
            captures.begin(NEEDED)
        else:
            with captures.rows() as rows:
                rows.practices("visits", "practice")


def test_a_publication_that_is_there_stays_when_the_slot_is_made_anew(lab: Lab) -> None:
    """What it leaves out is said while the slot is there."""
    begun = lab.captures.begin(NEEDED)
    lab.run("CREATE TABLE others (x int PRIMARY KEY)", "ALTER PUBLICATION capture SET TABLE others")
    with pytest.raises(ContractBroken, match="publication leaves out"):
        lab.captures.begin_again(NEEDED)
    lab.run("ALTER PUBLICATION capture SET TABLE others, visits")
    lab.captures.open(NEEDED, acknowledged=begun).close()
    lab.captures.open(NEEDED, acknowledged=lab.captures.begin_again(NEEDED)).close()
    with psycopg.connect(lab.dsn) as opened:
        assert published_tables(opened, "capture") == {"others", "visits"}


def test_a_slot_that_was_made_anew_by_hand_is_told_from_the_one_that_was_lost(lab: Lab) -> None:
    begun = lab.captures.begin(NEEDED)
    lab.run("INSERT INTO visits (practice) VALUES ('north')", f"SELECT pg_drop_replication_slot('{lab.slot}')")
    lab.run(f"SELECT pg_create_logical_replication_slot('{lab.slot}', 'pgoutput')")
    with pytest.raises(ContractBroken, match="made anew"):
        lab.captures.open(NEEDED, acknowledged=begun)


@pytest.mark.parametrize(
    "statement", ["ALTER PUBLICATION capture DROP TABLE visits", "ALTER PUBLICATION capture SET (publish = 'insert, update')"]
)
def test_a_publication_that_leaves_something_out_is_refused(lab: Lab, statement: str) -> None:
    begun = lab.captures.begin(NEEDED)
    lab.run(statement)
    with pytest.raises(ContractBroken, match="publication leaves out"):
        lab.captures.open(NEEDED, acknowledged=begun)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            (
                "CREATE TABLE renewed (LIKE visits)",
                "ALTER TABLE renewed REPLICA IDENTITY FULL",
                "DROP TABLE visits",
                "ALTER TABLE renewed RENAME TO visits",
            ),
            "publication leaves out",
        ),
        (("ALTER TABLE visits REPLICA IDENTITY DEFAULT",), "without their practice or key: visits"),
    ],
    ids=["a table that was made anew", "a replica identity"],
)
def test_what_a_source_tells_no_more_is_found_while_it_is_read(lab: Lab, statements: tuple[str, ...], said: str) -> None:
    captures = Captures(lab.spec, secret=lambda _: lab.dsn, state=Path(), require_seconds=0.0)
    with closing(captures.open(NEEDED, acknowledged=captures.begin(NEEDED))) as stream:
        stream.mark()
        lab.run(*statements)
        with pytest.raises((ConfigurationError, ContractBroken), match=said):
            stream.mark()


def test_an_idle_source_need_not_keep_what_others_write(lab: Lab) -> None:
    stream = lab.captures.open(NEEDED, acknowledged=lab.captures.begin(NEEDED))
    lab.run("CREATE TABLE others (x int)", "INSERT INTO others SELECT generate_series(1, 1000)")
    ends = [batch.end for _ in range(15) if (batch := stream.read(most=10, seconds=1.0)).end]
    stream.acknowledge(ends[-1])
    stream.close()
    with psycopg.connect(lab.dsn) as opened:
        query = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
        ((kept,),) = opened.execute(query, [lab.slot]).fetchall()
    assert int(kept) >= int(ends[-1])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE visits REPLICA IDENTITY DEFAULT", "without their practice or key: visits"),
        ("DROP TABLE visits", "lacks tables"),
    ],
)
def test_what_a_table_must_tell_is_asked_before_anything_is_captured(lab: Lab, statement: str, said: str) -> None:
    lab.run(statement)
    with pytest.raises(ConfigurationError, match=said):
        lab.captures.begin(NEEDED)


def test_change_files_bring_their_first_rows_themselves(tmp_path: Path) -> None:
    files = Captures(FileCapture(folder=str(tmp_path)), secret=str, state=tmp_path / "state" / "files")
    with pytest.raises(ConfigurationError, match="no-snapshot"), files.rows():
        pass
    (tmp_path / "visits").mkdir()
    for name in ("1", "2", "3"):
        (tmp_path / "visits" / f"{name}.csv").write_text(f"Op,change_seq,change_time,id,practice\nI,{name},2026-01-31,{name},n\n")
    stream = files.open(NEEDED, acknowledged=files.begin(NEEDED))
    ends = [stream.read(most=10, seconds=0).end for _ in range(2)]
    stream.acknowledge(ends[-1])
    again = files.open(NEEDED, acknowledged=ends[-1])
    assert again.read(most=10, seconds=0).end == "visits/3.csv"
