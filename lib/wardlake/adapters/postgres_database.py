"""PostgreSQL: connections that fail soon and say little, and the schema's migrations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files

import psycopg
from psycopg import sql

from wardlake.ports.registry import RegistryUnavailable

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60
_NOT_THERE = ("08", "53", "57")  # PostgreSQL's classes: connection, resources, operator intervention
_MIGRATION_LOCK = 7_206_331
_LEDGER = """
CREATE TABLE IF NOT EXISTS wardlake.migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@contextmanager
def connection(
    dsn: str,
    unavailable: Callable[[str], Exception],
    *,
    refused: Callable[[str], Exception] | None = None,
    autocommit: bool = False,
) -> Iterator[psycopg.Connection]:
    """A connection of one transaction. Errors become `unavailable` with the SQLSTATE only: messages may hold values.

    `refused`, where given, is raised for what a server that is there does not do.
    """
    try:
        with psycopg.connect(
            dsn,
            autocommit=autocommit,
            connect_timeout=CONNECT_SECONDS,
            application_name="wardlake",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            options=f"-c statement_timeout={STATEMENT_SECONDS}s -c search_path=pg_catalog",
        ) as opened:
            yield opened
    except psycopg.Error as error:
        there = error.sqlstate is not None and error.sqlstate[:2] not in _NOT_THERE
        raise (refused if refused and there else unavailable)(
            f"PostgreSQL does not answer or refuses: {error.sqlstate or 'no connection'}"
        ) from None


def migrate(dsn: str) -> tuple[str, ...]:
    """Apply what is missing of the packaged `NNN_*.sql`, in order, as the schema's owner; returns the names applied.

    Raises `MigrationRefused` where an applied file has changed since or the server refuses, `RegistryUnavailable` where none
    answers.
    """
    applied = []
    with connection(dsn, RegistryUnavailable, refused=MigrationRefused) as opened:
        opened.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        opened.execute("CREATE SCHEMA IF NOT EXISTS wardlake")
        opened.execute(_LEDGER)
        for name, text in _migrations():
            if _apply(opened, name, text):
                applied.append(name)
    return tuple(applied)


def pending_migrations(dsn: str) -> tuple[str, ...]:
    """What `migrate` would apply, in order; changes nothing. Raises as it does."""
    with connection(dsn, RegistryUnavailable, refused=MigrationRefused) as opened:
        row = opened.execute("SELECT to_regclass('wardlake.migrations') IS NOT NULL").fetchone()
        known = row == (True,)
        return tuple(name for name, text in _migrations() if not known or not _is_applied(opened, name, text))


class MigrationRefused(Exception):
    """The schema could not be brought up to date; nothing was changed."""


def _migrations() -> list[tuple[str, str]]:
    folder = files("wardlake.adapters").joinpath("sql")
    found = [file for file in folder.iterdir() if file.name[:3].isdigit() and file.name.endswith(".sql")]
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in found)


def _apply(opened: psycopg.Connection, name: str, text: str) -> bool:
    if _is_applied(opened, name, text):
        return False
    opened.execute(sql.SQL(text))  # our own packaged file
    opened.execute("INSERT INTO wardlake.migrations (name, sha256) VALUES (%s, %s)", (name, _digest(text)))
    return True


def _is_applied(opened: psycopg.Connection, name: str, text: str) -> bool:
    row = opened.execute("SELECT sha256 FROM wardlake.migrations WHERE name = %s", (name,)).fetchone()
    if row is not None and row[0] != _digest(text):
        raise MigrationRefused(f"{name} has changed since it was applied")
    return row is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
