"""The files of a folder source: which table each belongs to, their bytes and their hashes."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from wardlake.model.errors import ContractBroken
from wardlake.ports.tables import Tables

_CHUNK = 1 << 20
_READERS = 4


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: its name below the source's folder, and where it lies."""

    name: str
    path: str


def table_files(location: str, endings: Sequence[str], tables: Tables) -> dict[str, list[SourceFile]]:
    """Files per table. A table is one file, or a folder of files; other files do not belong to the source."""
    location = location.rstrip("/")
    found: dict[str, list[SourceFile]] = {}
    children = tables.list_folder(location)
    if not children:
        raise ContractBroken(
            "The source's folder is missing or empty.", which=[location], next_step="Check the source's location."
        )
    for child in children:
        if child.startswith((".", "_")):
            continue
        table, inside = _stem(child, endings), tables.list_folder(f"{location}/{child}")
        shown = [name for name in inside if not name.startswith((".", "_"))]
        files = [name for name in shown if _stem(name, endings) is not None]
        _refuse_folders_within(child, [name for name in shown if name not in files], bool(files), f"{location}/{child}", tables)
        if files:  # a folder may end as a file does: engines write `patients.parquet/part-0.parquet`
            found.setdefault(table or child, []).extend(SourceFile(f"{child}/{n}", f"{location}/{child}/{n}") for n in files)
        elif table is not None and not inside:
            found.setdefault(table, []).append(SourceFile(child, f"{location}/{child}"))
    twice = [name for name, files in found.items() if len({file.name.partition("/")[0] for file in files}) > 1]
    if twice:
        raise ContractBroken("A table lies in the source twice, under two file names.", which=twice, next_step="Remove one.")
    return found


def stamp_files(found: Mapping[str, Sequence[SourceFile]], tables: Tables) -> Mapping[SourceFile, str]:
    """Size and time of the last change of every file, to be held against `hash_files` later."""
    files = [file for each in found.values() for file in each]
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(files, pool.map(lambda file: _stamp(file, tables), files), strict=True))


def hash_files(stamps: Mapping[SourceFile, str], tables: Tables) -> Mapping[str, str]:
    """`file NAME` to `SIZE bytes, sha256:HEX`, for a manifest; raises `ContractBroken` unless every file is as it was.

    Hashed after the tables were read: what was read since the stamps were taken is then what is hashed.
    """

    def describe(file: SourceFile) -> tuple[str, str]:
        digest = hashlib.sha256()
        with _on_disk(file, tables) as path, path.open("rb") as stream:
            size = 0
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        if _stamp(file, tables) != stamps[file]:
            raise _changed(file)
        return f"file {file.name}", f"{size} bytes, sha256:{digest.hexdigest()}"

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(sorted(pool.map(describe, stamps)))


@contextmanager
def open_text(file: SourceFile, tables: Tables) -> Iterator[TextIO]:
    """The file as text, unzipped; undecodable bytes become U+FFFD and line ends stay as they are."""
    with _on_disk(file, tables) as path, path.open("rb") as stream:
        raw = gzip.GzipFile(fileobj=stream) if file.name.endswith(".gz") else stream
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def _refuse_folders_within(table: str, names: Sequence[str], has_files: bool, path: str, tables: Tables) -> None:
    """Raise `ContractBroken` where part of a table lies in folders of its own, which are not read: it would be lost unseen."""
    if any((has_files or "=" in name) and tables.list_folder(f"{path}/{name}") for name in names):
        raise ContractBroken(
            "A table's folder has folders within it: only the files directly in a table's folder are read.",
            which=[table],
            next_step="Export the table without partition folders, or read it as kind `delta`.",
        )


@contextmanager
def _on_disk(file: SourceFile, tables: Tables) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            local = stack.enter_context(tables.local_copy(file.path))
        except FileNotFoundError:
            raise _changed(file) from None
        yield local


def _stamp(file: SourceFile, tables: Tables) -> str:
    try:
        return tables.file_stamp(file.path)
    except FileNotFoundError:
        raise _changed(file) from None


def _changed(file: SourceFile) -> ContractBroken:
    return ContractBroken(
        "A file of the source was changed or removed while it was read.",
        which=[file.name],
        next_step="Take the snapshot again once the export has finished; exports are best written aside and renamed.",
    )


def _stem(name: str, endings: Sequence[str]) -> str | None:
    for ending in sorted(endings, key=len, reverse=True):
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return None
