"""Objects: manifests, audit records, archived table versions, pointers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


class ObjectExists(Exception):
    """A create-only put met an object of that key."""


class ObjectMissing(Exception):
    """No object of that key."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Write-once: the object version can be neither deleted nor shortened before `until` (compliance mode)."""

    until: datetime
    hold: bool = False


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    key: str
    size: int
    locked_until: datetime | None = None
    hold: bool = False
    storage_class: str = ""


class Objects(Protocol):
    """A store of objects by key (`/`-separated; no key is the folder of another).

    Every method raises `StoreUnavailable` when the store is unreachable or refuses.
    """

    def put(self, key: str, body: bytes, *, lock: Lock | None = None, storage_class: str = "", create_only: bool = False) -> None:
        """Write one object whole. `create_only`: raise `ObjectExists` if the key is taken, atomically."""
        ...

    def put_file(self, key: str, path: Path, *, lock: Lock | None = None, storage_class: str = "") -> None:
        """Write one object whole from a file of any size."""
        ...

    def get(self, key: str) -> bytes:
        """The newest version's bytes; raises `ObjectMissing`."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """The newest version's bytes into a file, which appears whole or not at all; raises `ObjectMissing`."""
        ...

    def info(self, key: str) -> ObjectInfo:
        """All that is known of the newest version; raises `ObjectMissing`."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """In key order, with key and size; `info` knows locks, holds and storage classes."""
        ...

    def delete(self, key: str) -> None:
        """Remove every version of the object; raises `NotAllowed` while a version is locked or held, and then removes none.

        Nothing happens where there is no object.
        """
        ...

    def set_hold(self, key: str, held: bool) -> None:
        """Legal hold on the newest version, on top of the lock; raises `ObjectMissing`."""
        ...

    def reachable(self) -> None:
        """Return if the store answers; raise `StoreUnavailable` otherwise."""
        ...


class StoreUnavailable(Exception):
    """The object store does not answer or refuses. Callers turn this into the exit code of what they were doing."""
