"""Whole folders and small files: on local disk with renames, elsewhere (S3) through Hadoop's file system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from pyspark.sql import SparkSession

from wardlake.adapters.java_classes import java_class

_PARALLEL = 8


class Folders(Protocol):
    """Folder operations, each of which can be repeated after a crash."""

    def children(self, path: str) -> list[str]:
        """Names directly below, sorted; empty where there is no such folder, as for a file."""
        ...

    def stamp(self, path: str) -> str:
        """Size and time of the last change of one file."""
        ...

    def files(self, path: str) -> list[str]:
        """Every file below, as names relative to `path`, sorted."""
        ...

    def copy(self, source: str, target: str) -> None: ...

    def move(self, source: str, target: str) -> None: ...

    def delete(self, path: str) -> None: ...

    def read(self, path: str) -> bytes: ...

    def write(self, path: str, body: bytes) -> None: ...

    def download(self, path: str, folder: Path) -> Path:
        """The file on local disk: itself, or a copy in `folder`."""
        ...


def folders_for(spark: SparkSession, path: str) -> Folders:
    """The implementation for the file system that `path` lies on."""
    hadoop_path = java_class(spark, "org.apache.hadoop.fs.Path")(path)
    system = hadoop_path.getFileSystem(spark._jsc.hadoopConfiguration())
    return LocalFolders() if system.getScheme() == "file" else HadoopFolders(spark)


class LocalFolders:
    """Local disk: one-step renames, fsync before anything becomes visible."""

    def children(self, path: str) -> list[str]:
        folder = _local(path)
        return sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []

    def stamp(self, path: str) -> str:
        found = _local(path).stat()
        return f"{found.st_size} bytes at {found.st_mtime_ns}"

    def files(self, path: str) -> list[str]:
        folder = _local(path)
        return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())

    def copy(self, source: str, target: str) -> None:
        """Copy beside the target, then rename: the target is never seen half copied."""
        aside = _aside(_local(target), "copying")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(_local(source), aside)
        self._put_in_place(aside, _local(target))

    def move(self, source: str, target: str) -> None:
        if not _local(source).exists() and _local(target).exists():
            return
        _local(target).parent.mkdir(parents=True, exist_ok=True)
        self._put_in_place(_local(source), _local(target))

    def delete(self, path: str) -> None:
        victim = _local(path)
        if victim.is_dir():
            shutil.rmtree(victim)
        else:
            victim.unlink(missing_ok=True)
        shutil.rmtree(_aside(victim, "copying"), ignore_errors=True)

    def read(self, path: str) -> bytes:
        return _local(path).read_bytes()

    def write(self, path: str, body: bytes) -> None:
        target = _local(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = _aside(target, "writing")
        with aside.open("wb") as stream:
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        aside.rename(target)
        _sync_folder(target.parent)

    def download(self, path: str, folder: Path) -> Path:  # noqa: ARG002 - the file is local already
        found = _local(path)
        if not found.is_file():
            raise FileNotFoundError(path)
        return found

    def _put_in_place(self, aside: Path, target: Path) -> None:
        if target.is_dir():
            shutil.rmtree(target)
        aside.rename(target)
        _sync_folder(target.parent)


class HadoopFolders:
    """Any other file system. Without one-step renames, a move is a copy, a marker that it is whole, and a removal."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._conf = spark._jsc.hadoopConfiguration()

    def children(self, path: str) -> list[str]:
        if not self._exists(path) or self._status(path).isFile():
            return []
        return sorted(status.getPath().getName() for status in self._system(path).listStatus(self._path(path)))

    def stamp(self, path: str) -> str:
        if not self._exists(path):
            raise FileNotFoundError(path)
        status = self._status(path)
        return f"{status.getLen()} bytes at {status.getModificationTime()}"

    def files(self, path: str) -> list[str]:
        return sorted(self._sizes(path))

    def copy(self, source: str, target: str) -> None:
        wanted = self._sizes(source)
        present = self._sizes(target)
        for name in present.keys() - wanted.keys():
            self._system(target).delete(self._path(f"{target}/{name}"), False)
        missing = [name for name, size in wanted.items() if present.get(name) != size or "_delta_log/" in name]
        data, log = _log_last(missing)
        self._copy_files(source, target, data)
        self._copy_files(source, target, log)

    def move(self, source: str, target: str) -> None:
        marker = f"{source.rstrip('/')}.moved"
        if not self._exists(marker):
            if not self._exists(source) and self._exists(target):
                return
            self.copy(source, target)
            self.write(marker, b"copied whole\n")
        self.delete(source)
        self.delete(marker)

    def delete(self, path: str) -> None:
        self._system(path).delete(self._path(path), True)

    def read(self, path: str) -> bytes:
        if not self._exists(path):
            raise FileNotFoundError(path)
        stream = self._system(path).open(self._path(path))
        try:
            return bytes(stream.readAllBytes())
        finally:
            stream.close()

    def write(self, path: str, body: bytes) -> None:
        """One put: an object store shows the old object or the new one."""
        stream = self._system(path).create(self._path(path), True)
        stream.write(bytearray(body))
        stream.close()

    def download(self, path: str, folder: Path) -> Path:
        if not self._exists(path):
            raise FileNotFoundError(path)
        target = folder / path.rsplit("/", 1)[-1]
        local = self._path(f"file://{target}")
        self._system(path).copyToLocalFile(False, self._path(path), local, True)
        return target

    def _copy_files(self, source: str, target: str, names: Iterable[str]) -> None:
        home, goal = self._system(source), self._system(target)

        def copy_one(name: str) -> None:
            java_class(self._spark, "org.apache.hadoop.fs.FileUtil").copy(
                home, self._path(f"{source}/{name}"), goal, self._path(f"{target}/{name}"), False, True, self._conf
            )

        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(copy_one, names))

    def _sizes(self, path: str) -> dict[str, int]:
        root = self._path(path)
        system = self._system(path)
        if not system.exists(root):
            return {}
        prefix = root.makeQualified(system.getUri(), system.getWorkingDirectory()).toString().rstrip("/") + "/"
        listing = system.listFiles(root, True)
        sizes: dict[str, int] = {}
        while listing.hasNext():
            status = listing.next()
            sizes[status.getPath().toString().removeprefix(prefix)] = int(status.getLen())
        return sizes

    def _exists(self, path: str) -> bool:
        return bool(self._system(path).exists(self._path(path)))

    def _status(self, path: str) -> Any:
        return self._system(path).getFileStatus(self._path(path))

    def _system(self, path: str) -> Any:
        """The file system of this very path: two buckets are two systems. Hadoop keeps one a bucket and user."""
        return self._path(path).getFileSystem(self._conf)

    def _path(self, path: str) -> Any:
        return java_class(self._spark, "org.apache.hadoop.fs.Path")(path)


def _local(path: str) -> Path:
    return Path(path.removeprefix("file://") if path.startswith("file://") else path.removeprefix("file:"))


def _aside(target: Path, why: str) -> Path:
    return target.with_name(f".{target.name}.{why}")


def _log_last(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Data first, then the logs in order: a table becomes visible when what it needs is there."""
    ordered = sorted(names)
    return [n for n in ordered if "_delta_log/" not in n], [n for n in ordered if "_delta_log/" in n]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
