"""One SQLite file with the registry's and the audit's tables, opened anew for each operation."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BUSY_SECONDS = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_records (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0), previous TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_records_keep_update BEFORE UPDATE ON audit_records
BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_records_keep_delete BEFORE DELETE ON audit_records
BEGIN SELECT RAISE(ABORT, 'audit records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_records_continue BEFORE INSERT ON audit_records
WHEN EXISTS (SELECT 1 FROM audit_records) AND NOT EXISTS (
    SELECT 1 FROM audit_records
    WHERE sequence = (SELECT max(sequence) FROM audit_records)
        AND sequence + 1 = NEW.sequence AND hash = NEW.previous
)
BEGIN SELECT RAISE(ABORT, 'the record does not continue the chain'); END;
"""


def _keep_a_log_beside(connection: sqlite3.Connection) -> None:
    """WAL, which stays with the file. Its first time takes the file for itself and, unlike other statements, waits for nobody."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A write transaction: committed at the end, rolled back on an error. Makes file and tables where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        _keep_a_log_beside(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA recursive_triggers = ON")  # REPLACE fires the delete trigger too
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit_records_continue'").fetchone() == (0,):
            connection.executescript(SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
