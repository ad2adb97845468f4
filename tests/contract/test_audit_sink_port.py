"""What both audit sinks promise: a SQLite file and PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest
from tests.servers.postgres import Database, PostgresServer

from wardlake.adapters.postgres_audit_sink import PostgresAuditSink
from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.sqlite_audit_sink import SqliteAuditSink
from wardlake.ports.audit_sink import AuditEntry, AuditSink, SinkConflict, SinkUnavailable

IMPLEMENTATIONS = ("sqlite_audit_sink", "postgres_audit_sink")


@pytest.fixture(params=IMPLEMENTATIONS)
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> AuditSink:
    match request.param:
        case "sqlite_audit_sink":
            return SqliteAuditSink(tmp_path / "registry.db")
        case "postgres_audit_sink":
            return PostgresAuditSink(request.getfixturevalue("migrated_database").dsn)
        case other:
            raise ValueError(other)


def entry(sequence: int, *, body: str = "{}", previous: str = "", hash_: str = "") -> AuditEntry:
    return AuditEntry(sequence=sequence, previous=previous or f"h{sequence - 1}", hash=hash_ or f"h{sequence}", body=body)


def test_an_empty_sink_has_no_head(sink: AuditSink) -> None:
    assert sink.head() is None
    assert list(sink.records()) == []


def test_records_come_back_in_order_and_the_newest_is_the_head(sink: AuditSink) -> None:
    entries = [entry(number, body=f'{{"n":{number}, "s":"ü"}}') for number in (1, 2, 3)]
    for each in entries:
        sink.append(each)
    assert list(sink.records()) == entries
    assert list(sink.records(after=2)) == entries[2:]
    assert sink.head() == entries[-1]


def test_the_same_record_again_changes_nothing(sink: AuditSink) -> None:
    sink.append(entry(1))
    sink.append(entry(2))
    sink.append(entry(1))
    assert [each.sequence for each in sink.records()] == [1, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        entry(2, body='{"other":1}'),
        entry(4),
        entry(3, previous="h1"),
        entry(3, hash_="h1"),
    ],
    ids=["taken sequence", "gap", "wrong previous", "hash of another"],
)
def test_what_does_not_continue_the_chain_is_refused(sink: AuditSink, wrong: AuditEntry) -> None:
    sink.append(entry(1))
    sink.append(entry(2))
    with pytest.raises(SinkConflict):
        sink.append(wrong)
    assert list(sink.records()) == [entry(1), entry(2)]


def test_a_chain_whose_oldest_records_are_past_their_time_may_begin_later(sink: AuditSink) -> None:
    sink.append(entry(41))
    sink.append(entry(42))
    assert sink.head() == entry(42)


@pytest.mark.parametrize(
    "change",
    ["UPDATE {t} SET body = 'x'", "DELETE FROM {t}", "DELETE FROM {t} WHERE sequence = 2"],
)
def test_the_file_refuses_changes(tmp_path: Path, change: str) -> None:
    sink = SqliteAuditSink(tmp_path / "registry.db")
    sink.append(entry(1))
    sink.append(entry(2))
    with sqlite3.connect(tmp_path / "registry.db") as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(change.format(t="audit_records"))
    assert [each.sequence for each in sink.records()] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {t} SET body = 'x'",
        "DELETE FROM {t}",
        "TRUNCATE {t}",
        "SET session_replication_role = replica; DELETE FROM {t}",
    ],
)
@pytest.mark.parametrize("who", ["pipeline", "owner", "superuser"])
def test_the_table_refuses_changes_to_everyone(
    postgres_server: PostgresServer, migrated_database: Database, who: str, change: str
) -> None:
    sink = PostgresAuditSink(migrated_database.dsn)
    sink.append(entry(1))
    sink.append(entry(2))
    match who:
        case "pipeline":
            database = migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_pipeline"))
        case "owner":
            database = migrated_database
        case _:
            database = postgres_server.as_admin(migrated_database)
    with psycopg.connect(database.dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(change.format(t="wardlake.audit_records").encode())
    assert list(sink.records()) == [entry(1), entry(2)]


def test_the_pipelines_role_appends_and_the_auditors_only_reads(
    postgres_server: PostgresServer, migrated_database: Database
) -> None:
    pipeline = migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_pipeline"))
    auditor = migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_auditor"))
    PostgresAuditSink(pipeline.dsn).append(entry(1))
    assert PostgresAuditSink(auditor.dsn).head() == entry(1)
    with pytest.raises(SinkUnavailable):
        PostgresAuditSink(auditor.dsn).append(entry(2))


@pytest.fixture(params=IMPLEMENTATIONS)
def away(request: pytest.FixtureRequest, tmp_path: Path) -> AuditSink:
    if request.param == "sqlite_audit_sink":
        (tmp_path / "folder").write_text("a file where the folder was")
        return SqliteAuditSink(tmp_path / "folder" / "registry.db")
    server: PostgresServer = request.getfixturevalue("own_postgres")
    database = server.fresh_database()
    migrate(database.dsn)
    server.stop()
    return PostgresAuditSink(database.dsn)


def test_a_sink_that_is_away_says_so(away: AuditSink) -> None:
    for call in (lambda: away.append(entry(1)), away.head, lambda: list(away.records())):
        with pytest.raises(SinkUnavailable):
            call()
