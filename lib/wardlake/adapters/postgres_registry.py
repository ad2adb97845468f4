"""The registry in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg

from wardlake.adapters.postgres_database import KeptConnections, connection
from wardlake.adapters.registry_documents import document_text
from wardlake.adapters.registry_locks import wait_for_lock
from wardlake.ports.registry import RegistryUnavailable

_DOCUMENTS = "wardlake.documents"


class PostgresRegistry:
    """The port `Registry` over the schema of `infra/postgres`. A lock is an advisory lock on a connection of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._kept = KeptConnections(dsn, RegistryUnavailable)

    @contextmanager
    def lock(self, name: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
        with connection(self._dsn, RegistryUnavailable, autocommit=True) as opened:
            wait_for_lock(name, lambda: _locked(opened, name), wait_seconds)
            yield
            # Ask, so that a lock lost with its connection does not pass for one that was held to the end.
            opened.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (f"wardlake:{name}",))

    def get(self, collection: str, key: str) -> Mapping[str, Any] | None:
        with self._connection() as opened:
            row = opened.execute(
                f"SELECT document FROM {_DOCUMENTS} WHERE collection = %s AND key = %s",  # noqa: S608
                (collection, key),
            ).fetchone()
        return None if row is None else dict(row[0])

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        with self._connection() as opened:
            opened.execute(
                f"INSERT INTO {_DOCUMENTS} (collection, key, document) VALUES (%s, %s, %s::jsonb) "  # noqa: S608
                "ON CONFLICT (collection, key) DO UPDATE SET document = excluded.document, changed_at = now()",
                (collection, key, document_text(document)),
            )

    def insert(self, collection: str, key: str, document: Mapping[str, Any]) -> bool:
        with self._connection() as opened:
            done = opened.execute(
                f"INSERT INTO {_DOCUMENTS} (collection, key, document) VALUES (%s, %s, %s::jsonb) "  # noqa: S608
                "ON CONFLICT (collection, key) DO NOTHING",
                (collection, key, document_text(document)),
            )
            return done.rowcount == 1

    def replace(self, collection: str, key: str, expected: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        with self._connection() as opened:
            done = opened.execute(
                f"UPDATE {_DOCUMENTS} SET document = %s::jsonb, changed_at = now() "  # noqa: S608
                "WHERE collection = %s AND key = %s AND document = %s::jsonb",
                (document_text(document), collection, key, document_text(expected)),
            )
            return done.rowcount == 1

    def find(self, collection: str, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
        with self._connection() as opened:
            rows = opened.execute(
                f"SELECT key, document FROM {_DOCUMENTS} "  # noqa: S608
                "WHERE collection = %s AND starts_with(key, %s) ORDER BY key",
                (collection, prefix),
            ).fetchall()
        return [(key, dict(document)) for key, document in rows]

    def get_all(self, collection: str, keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
        with self._connection() as opened:
            rows = opened.execute(
                f"SELECT key, document FROM {_DOCUMENTS} WHERE collection = %s AND key = ANY (%s::text[])",  # noqa: S608
                (collection, list(keys)),
            ).fetchall()
        return {key: dict(document) for key, document in rows}

    def set_fields(self, collection: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        keys = sorted(documents)  # in one order, so that two who set the same wait for each other at most
        texts = [document_text(documents[key]) for key in keys]
        with self._connection() as opened:
            opened.execute(
                f"INSERT INTO {_DOCUMENTS} AS d (collection, key, document) "  # noqa: S608
                "SELECT %s, key, document::jsonb FROM unnest(%s::text[], %s::text[]) AS given (key, document) ORDER BY key "
                "ON CONFLICT (collection, key) DO UPDATE SET document = d.document || excluded.document, changed_at = now()",
                (collection, keys, texts),
            )

    def delete(self, collection: str, key: str) -> None:
        with self._connection() as opened:
            opened.execute(f"DELETE FROM {_DOCUMENTS} WHERE collection = %s AND key = %s", (collection, key))  # noqa: S608

    def reachable(self) -> None:
        with self._connection() as opened:
            opened.execute(f"SELECT 1 FROM {_DOCUMENTS} LIMIT 1").fetchone()  # noqa: S608

    def _connection(self) -> AbstractContextManager[psycopg.Connection]:
        return self._kept.transaction()


def _locked(opened: psycopg.Connection, name: str) -> bool:
    row = opened.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"wardlake:{name}",)).fetchone()
    return row == (True,)
