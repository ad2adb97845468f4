"""The registry decides: locks, run states, reviews and requests. PostgreSQL in production, SQLite embedded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol


class RegistryUnavailable(Exception):
    """The registry does not answer or refuses. Callers turn this into the exit code of what they were doing."""


class Registry(Protocol):
    """A small transactional store of JSON documents by collection and key, with named locks.

    Every method raises `RegistryUnavailable` when the store cannot be reached.
    """

    def lock(self, name: str, *, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
        """Hold the named lock; raises `RunLocked` if another process holds it still after `wait_seconds`.

        Released when the holder's process or connection dies.
        """
        ...

    def get(self, collection: str, key: str) -> Mapping[str, Any] | None:
        """The document, or None where there is none."""
        ...

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        """Insert or replace."""
        ...

    def insert(self, collection: str, key: str, document: Mapping[str, Any]) -> bool:
        """Insert only; False where the key exists."""
        ...

    def replace(self, collection: str, key: str, expected: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
        """Compare and swap; False where the stored document is not `expected`."""
        ...

    def find(self, collection: str, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
        """Documents whose key starts with `prefix`, in key order."""
        ...

    def get_all(self, collection: str, keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Those of these documents that are there, by key, as they stood at one moment."""
        ...

    def set_fields(self, collection: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert each document, or set its fields in the one that is there, whose other fields stay; all in one transaction."""
        ...

    def delete(self, collection: str, key: str) -> None:
        """Remove the document; nothing happens where there is none."""
        ...

    def reachable(self) -> None:
        """Return if the store answers; raise `RegistryUnavailable` otherwise."""
        ...
