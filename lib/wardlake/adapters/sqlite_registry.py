"""The registry in one SQLite file, for one machine."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wardlake.adapters.registry_documents import document_text
from wardlake.adapters.registry_locks import wait_for_lock
from wardlake.adapters.sqlite_database import transaction
from wardlake.ports.registry import RegistryUnavailable


class SqliteRegistry:
    """The port `Registry` over a file in WAL mode. A lock is a lock on a file beside it; the kernel frees it with its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def lock(self, name: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
        path = self._path.with_name(f"{self._path.name}.locks") / quote(name, safe="")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        except OSError as error:
            raise _unavailable(error) from None
        with file:
            wait_for_lock(name, lambda: _taken(file.fileno()), wait_seconds)
            yield

    def get(self, collection: str, key: str) -> Mapping[str, Any] | None:
        with self._transaction() as connection:
            return _stored(connection, collection, key)

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        with self._transaction() as connection:
            connection.execute("REPLACE INTO documents VALUES (?, ?, ?)", (collection, key, document_text(document)))

    def insert(self, collection: str, key: str, document: Mapping[str, Any]) -> bool:
        with self._transaction() as connection:
            row = (collection, key, document_text(document))
            return connection.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", row).rowcount == 1

    def replace(self, collection: str, key: str, expected: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        with self._transaction() as connection:
            stored = _stored(connection, collection, key)
            if stored is None or stored != json.loads(document_text(expected)):
                return False
            connection.execute("REPLACE INTO documents VALUES (?, ?, ?)", (collection, key, document_text(document)))
            return True

    def find(self, collection: str, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT key, document FROM documents WHERE collection = ? AND substr(key, 1, length(?)) = ? ORDER BY key",
                (collection, prefix, prefix),
            ).fetchall()
        return [(key, json.loads(document)) for key, document in rows]

    def get_all(self, collection: str, keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
        with self._transaction() as connection:
            found = {key: _stored(connection, collection, key) for key in keys}
        return {key: document for key, document in found.items() if document is not None}

    def set_fields(self, collection: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        with self._transaction() as connection:
            for key, fields in documents.items():
                whole = {**(_stored(connection, collection, key) or {}), **fields}
                connection.execute("REPLACE INTO documents VALUES (?, ?, ?)", (collection, key, document_text(whole)))

    def delete(self, collection: str, key: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM documents WHERE collection = ? AND key = ?", (collection, key))

    def reachable(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT count(*) FROM documents").fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with transaction(self._path) as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise _unavailable(error) from None


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stored(connection: sqlite3.Connection, collection: str, key: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT document FROM documents WHERE collection = ? AND key = ?", (collection, key)).fetchone()
    return None if row is None else dict(json.loads(row[0]))


def _unavailable(error: Exception) -> RegistryUnavailable:
    return RegistryUnavailable(f"the registry file cannot be used: {type(error).__name__}")
