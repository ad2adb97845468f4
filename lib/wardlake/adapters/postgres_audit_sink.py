"""The audit's second sink in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg.errors import IntegrityConstraintViolation, IntegrityError

from wardlake.adapters.postgres_database import connection
from wardlake.ports.audit_sink import AuditEntry, SinkConflict, SinkUnavailable

PAGE = 1000
_SELECT = "SELECT sequence, previous, hash, body FROM wardlake.audit_records"
_INSERT = "INSERT INTO wardlake.audit_records (sequence, previous, hash, body) VALUES (%s, %s, %s, %s)"


class PostgresAuditSink:
    """The port `AuditSink` over the schema of `infra/postgres`, where grants and triggers refuse changes."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def append(self, entry: AuditEntry) -> None:
        if self._holds(entry):
            return
        try:
            with connection(self._dsn, SinkUnavailable) as opened:
                _insert(opened, entry)
        except SinkConflict:
            if not self._holds(entry):  # another writer may have added this very record meanwhile
                raise

    def head(self) -> AuditEntry | None:
        with connection(self._dsn, SinkUnavailable) as opened:
            row = opened.execute(f"{_SELECT} ORDER BY sequence DESC LIMIT 1").fetchone()
        return None if row is None else _entry(row)

    def records(self, after: int = 0) -> Iterator[AuditEntry]:
        while True:
            with connection(self._dsn, SinkUnavailable) as opened:
                rows = opened.execute(f"{_SELECT} WHERE sequence > %s ORDER BY sequence LIMIT {PAGE}", (after,)).fetchall()
            if not rows:
                return
            yield from map(_entry, rows)
            after = rows[-1][0]

    def _holds(self, entry: AuditEntry) -> bool:
        with connection(self._dsn, SinkUnavailable) as opened:
            row = opened.execute(f"{_SELECT} WHERE sequence = %s", (entry.sequence,)).fetchone()
        if row is not None and _entry(row) != entry:
            raise SinkConflict("another record holds this sequence")
        return row is not None


def _insert(opened: psycopg.Connection, entry: AuditEntry) -> None:
    try:
        opened.execute(_INSERT, (entry.sequence, entry.previous, entry.hash, entry.body))
    except (IntegrityError, IntegrityConstraintViolation):
        raise SinkConflict("the record does not continue the chain") from None


def _entry(row: tuple[int, str, str, str]) -> AuditEntry:
    return AuditEntry(sequence=row[0], previous=row[1], hash=row[2], body=row[3])
