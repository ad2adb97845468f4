"""Objects in a write-once directory: versions, locks and holds kept by this code, not by the file system.

One folder a version, `KEY@000001/`, with `body` and `about.json`; it is filled apart and moved into place by one rename, which
fails where that version exists. Whoever may write to the disk may still remove files: only an object store in compliance
mode withstands its own administrator.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from wardlake.adapters.system_clock import SystemClock
from wardlake.adapters.version_folders import (
    INCOMING,
    deepest_folder,
    folder_of,
    key_of,
    versions_in,
    walk_versions,
    with_number,
)
from wardlake.model.errors import NotAllowed
from wardlake.ports.clock import Clock
from wardlake.ports.objects import Lock, ObjectExists, ObjectInfo, ObjectMissing, StoreUnavailable

READ_ONLY_FILE = 0o444
READ_ONLY_FOLDER = 0o555
WRITABLE_FOLDER = 0o755
STANDARD = "STANDARD"


@dataclass(frozen=True, slots=True)
class _About:
    locked_until: datetime | None
    hold: bool
    storage_class: str

    def to_json(self) -> bytes:
        until = self.locked_until.isoformat() if self.locked_until else None
        return json.dumps({"locked_until": until, "hold": self.hold, "storage_class": self.storage_class}).encode()

    @staticmethod
    def read(folder: Path) -> _About:
        about: dict[str, Any] = json.loads((folder / "about.json").read_bytes())
        until = about["locked_until"]
        return _About(datetime.fromisoformat(until) if until else None, about["hold"], about["storage_class"])


class DirectoryObjects:
    """The port `Objects` over a folder, made where it is missing."""

    def __init__(self, root: Path, *, clock: Clock | None = None) -> None:
        self._root = root
        self._clock = clock or SystemClock()

    def put(self, key: str, body: bytes, *, lock: Lock | None = None, storage_class: str = "", create_only: bool = False) -> None:
        self._store(key, lambda target: _write_synced(target, body), lock, storage_class, create_only)

    def put_file(self, key: str, path: Path, *, lock: Lock | None = None, storage_class: str = "") -> None:
        self._store(key, lambda target: _copy_synced(path, target), lock, storage_class, False)

    def get(self, key: str) -> bytes:
        with _refusals():
            return (self._newest(key) / "body").read_bytes()

    def get_file(self, key: str, path: Path) -> None:
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        with _refusals():
            _copy_synced(self._newest(key) / "body", part)
            part.replace(path)

    def info(self, key: str) -> ObjectInfo:
        with _refusals():
            folder = self._newest(key)
            about, size = _About.read(folder), (folder / "body").stat().st_size
        return ObjectInfo(key, size, about.locked_until, about.hold, about.storage_class)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _refusals():
            newest: dict[str, Path] = {}
            for folder in sorted(walk_versions(deepest_folder(self._root, prefix))):
                newest[key_of(folder.relative_to(self._root))] = folder
            found = [(key, newest[key]) for key in sorted(newest) if key.startswith(prefix)]
            yield from (ObjectInfo(key, (folder / "body").stat().st_size) for key, folder in found)

    def delete(self, key: str) -> None:
        with _refusals():
            versions = versions_in(folder_of(self._root, key))
            for folder in versions:
                self._refuse_locked(key, _About.read(folder))
            for folder in reversed(versions):
                self._discard(folder)

    def set_hold(self, key: str, held: bool) -> None:
        with _refusals():
            folder = self._newest(key)
            about = _About.read(folder)
            folder.chmod(WRITABLE_FOLDER)
            part = folder / f"about.{secrets.token_hex(4)}.part"
            _write_synced(part, _About(about.locked_until, held, about.storage_class).to_json())
            part.replace(folder / "about.json")
            folder.chmod(READ_ONLY_FOLDER)

    def reachable(self) -> None:
        with _refusals():
            self._root.mkdir(parents=True, exist_ok=True)
            if not os.access(self._root, os.W_OK):
                raise StoreUnavailable("the object folder cannot be written")

    def _store(self, key: str, write: Callable[[Path], None], lock: Lock | None, storage_class: str, create_only: bool) -> None:
        if lock and lock.until <= self._clock.now():
            raise StoreUnavailable("a lock must end in the future")
        about = _About(lock.until if lock else None, bool(lock and lock.hold), _normalised(storage_class))
        with _refusals():
            folder = folder_of(self._root, key)
            staged = self._staging_folder()
            try:
                write(staged / "body")
                _write_synced(staged / "about.json", about.to_json())
                _move_into_place(staged, folder, create_only)
            finally:
                shutil.rmtree(staged, ignore_errors=True)  # nothing is left of a put that failed

    def _staging_folder(self) -> Path:
        """A folder of our own; those of processes that died are removed."""
        incoming = self._root / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        for left in incoming.iterdir():
            if not _process_lives(int(left.name.partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)
        staged = incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        staged.mkdir()
        return staged

    def _newest(self, key: str) -> Path:
        versions = versions_in(folder_of(self._root, key))
        if not versions:
            raise ObjectMissing(key)
        return versions[-1]

    def _refuse_locked(self, key: str, about: _About) -> None:
        locked = about.locked_until is not None and about.locked_until > self._clock.now()
        if locked or about.hold:
            raise NotAllowed("The object is locked or held.", which=[key])

    def _discard(self, folder: Path) -> None:
        """Out of sight by one rename, then removed."""
        folder.chmod(WRITABLE_FOLDER)
        trash = self._root / INCOMING / f"{os.getpid()}-{secrets.token_hex(8)}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(trash)
        shutil.rmtree(trash)


def _normalised(storage_class: str) -> str:
    return "" if storage_class == STANDARD else storage_class


def _move_into_place(staged: Path, folder: Path, create_only: bool) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        taken = len(versions_in(folder))
        if create_only and taken:
            raise ObjectExists(folder.name)
        target = with_number(folder, taken + 1)
        try:
            staged.rename(target)
        except OSError:
            if target.exists():  # another writer took this number
                continue
            raise
        target.chmod(READ_ONLY_FOLDER)
        _sync_folder(target.parent)
        return


def _process_lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_synced(path: Path, body: bytes) -> None:
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(READ_ONLY_FILE)


def _copy_synced(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _refusals() -> Iterator[None]:
    """What the file system refuses, as the port says it."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"the object folder refuses: {error.strerror}") from None
