"""PostgreSQL: connections that fail soon and say little, and the schema's migrations."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files

import psycopg
from psycopg import sql

from wardlake.ports.registry import RegistryUnavailable

CONNECT_SECONDS = 15  # a host that has too much to do may take more than five
STATEMENT_SECONDS = 60
LOST_MILLISECONDS = 60_000  # a server, or a client, that does not take what it is sent for so long is not there
IDLE_SECONDS, INTERVAL_SECONDS, UNANSWERED = 30, 10, 3  # of keepalives, both ways
MOST_IDLE = 4
_NOT_THERE = ("08", "53", "57")  # PostgreSQL's classes: connection, resources, operator intervention
_SETTINGS = {  # of the server's side of a connection
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "search_path": "pg_catalog",
    "tcp_keepalives_idle": IDLE_SECONDS,
    "tcp_keepalives_interval": INTERVAL_SECONDS,
    "tcp_keepalives_count": UNANSWERED,
    "tcp_user_timeout": LOST_MILLISECONDS,
}
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
    with _said_to_be(unavailable, refused), _connect(dsn, autocommit=autocommit) as opened:
        yield opened


class KeptConnections:
    """Transactions over connections that stay open between them: to connect costs many times what a question does.

    Every transaction has a connection of its own while it lasts, so threads may share this; a child process connects anew. One
    that broke while nobody used it is replaced; one that breaks within a transaction fails that transaction.
    """

    def __init__(self, dsn: str, unavailable: Callable[[str], Exception]) -> None:
        self._dsn = dsn
        self._unavailable = unavailable
        self._idle: deque[tuple[int, psycopg.Connection]] = deque()
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """Errors become `unavailable`, as those of `connection`."""
        with _said_to_be(self._unavailable):
            opened = self._begin()
            try:
                yield opened
                opened.commit()
            except BaseException:
                opened.close()
                raise
            if len(self._idle) < MOST_IDLE:
                self._idle.append((os.getpid(), opened))
            else:
                opened.close()

    def _begin(self) -> psycopg.Connection:
        """A connection that answered just now."""
        with suppress(IndexError):
            while True:
                process, kept = self._idle.pop()
                if process == os.getpid() and _begins(kept):
                    return kept
        opened = _connect(self._dsn, autocommit=True)
        opened.execute("BEGIN")
        return opened


def _begins(kept: psycopg.Connection) -> bool:
    try:
        kept.execute("BEGIN")
    except psycopg.Error:
        kept.close()
        return False
    return True


def _close_all(idle: deque[tuple[int, psycopg.Connection]]) -> None:
    """Those of a parent process are the parent's to close."""
    with suppress(IndexError):
        while True:
            process, kept = idle.pop()
            if process == os.getpid():
                kept.close()


def _connect(dsn: str, *, autocommit: bool) -> psycopg.Connection:
    """A host that vanishes is found out by either side; the locks of one that did would else be held for as long as the server's
    own keepalives say, which is hours. Over a Unix socket neither is heard, or needed.
    """
    return psycopg.connect(
        dsn,
        autocommit=autocommit,
        connect_timeout=CONNECT_SECONDS,
        application_name="wardlake",
        keepalives_idle=IDLE_SECONDS,
        keepalives_interval=INTERVAL_SECONDS,
        keepalives_count=UNANSWERED,
        tcp_user_timeout=LOST_MILLISECONDS,
        prepare_threshold=None,  # what is prepared would break with the next migration
        options=" ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
    )


@contextmanager
def _said_to_be(unavailable: Callable[[str], Exception], refused: Callable[[str], Exception] | None = None) -> Iterator[None]:
    try:
        yield
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
