"""The folder half of the port `Tables`, on the adapter's own local folders: enough to publish, and no Spark to start."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wardlake.adapters.folders import LocalFolders


class FolderTables:
    """Publishes folders; tables themselves cannot be read through it."""

    def __init__(self) -> None:
        self._folders = LocalFolders()

    def list_folder(self, path: str) -> list[str]:
        return self._folders.children(path)

    def list_files(self, path: str) -> list[str]:
        return self._folders.files(path)

    def copy_folder(self, source: str, target: str) -> None:
        self._folders.copy(source, target)

    def move_folder(self, source: str, target: str) -> None:
        self._folders.move(source, target)

    def delete_folder(self, path: str) -> None:
        self._folders.delete(path)

    def read_bytes(self, path: str) -> bytes:
        return self._folders.read(path)

    def write_bytes(self, path: str, body: bytes) -> None:
        self._folders.write(path, body)

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        yield Path(path)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class DyingTables(FolderTables):
    """Kills its own process, by SIGKILL, before the write numbered `dies_before` (counted from 0)."""

    def __init__(self, dies_before: int) -> None:
        super().__init__()
        self._writes_left = dies_before

    def move_folder(self, source: str, target: str) -> None:
        self._count(lambda: super(DyingTables, self).move_folder(source, target))

    def delete_folder(self, path: str) -> None:
        self._count(lambda: super(DyingTables, self).delete_folder(path))

    def write_bytes(self, path: str, body: bytes) -> None:
        self._count(lambda: super(DyingTables, self).write_bytes(path, body))

    def _count(self, write: Callable[[], None]) -> None:
        if self._writes_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._writes_left -= 1
        write()
