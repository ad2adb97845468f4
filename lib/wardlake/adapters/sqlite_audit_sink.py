"""The audit's second sink in the registry's SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wardlake.adapters.sqlite_database import transaction
from wardlake.ports.audit_sink import AuditEntry, SinkConflict, SinkUnavailable

_COLUMNS = "sequence, previous, hash, body"


class SqliteAuditSink:
    """The port `AuditSink`. Triggers refuse changes; whoever may write the file can still drop them: one machine only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: AuditEntry) -> None:
        with self._transaction() as connection:
            stored = connection.execute(
                f"SELECT {_COLUMNS} FROM audit_records WHERE sequence = ?",  # noqa: S608
                (entry.sequence,),
            ).fetchone()
            if stored is not None:
                if _entry(stored) != entry:
                    raise SinkConflict("another record holds this sequence")
                return
            try:
                connection.execute(
                    f"INSERT INTO audit_records ({_COLUMNS}) VALUES (?, ?, ?, ?)",  # noqa: S608
                    (entry.sequence, entry.previous, entry.hash, entry.body),
                )
            except sqlite3.IntegrityError:
                raise SinkConflict("the record does not continue the chain") from None

    def head(self) -> AuditEntry | None:
        with self._transaction() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM audit_records ORDER BY sequence DESC LIMIT 1"  # noqa: S608
            ).fetchone()
        return None if row is None else _entry(row)

    def records(self, after: int = 0) -> Iterator[AuditEntry]:
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM audit_records WHERE sequence > ? ORDER BY sequence",  # noqa: S608
                (after,),
            ).fetchall()
        yield from map(_entry, rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._path) as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise SinkUnavailable(f"the audit file cannot be used: {type(error).__name__}") from None


def _entry(row: tuple[int, str, str, str]) -> AuditEntry:
    return AuditEntry(sequence=row[0], previous=row[1], hash=row[2], body=row[3])
