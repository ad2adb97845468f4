"""The files of a folder source: which table each belongs to, their bytes and their hashes."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from wardlake.model.errors import ContractBroken
from wardlake.ports.tables import Tables

_CHUNK = 1 << 20


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
        table = _stem(child, endings)
        if table is not None:
            found.setdefault(table, []).append(SourceFile(child, f"{location}/{child}"))
            continue
        inside = [name for name in tables.list_folder(f"{location}/{child}") if _stem(name, endings) is not None]
        if inside:
            found.setdefault(child, []).extend(SourceFile(f"{child}/{n}", f"{location}/{child}/{n}") for n in inside)
    twice = [name for name, files in found.items() if len({file.name.partition("/")[0] for file in files}) > 1]
    if twice:
        raise ContractBroken("A table lies in the source twice, under two file names.", which=twice, next_step="Remove one.")
    return found


def hash_files(files: Iterable[SourceFile], tables: Tables) -> Mapping[str, str]:
    """`file NAME` to `SIZE bytes, sha256:HEX`, for a manifest."""

    def describe(file: SourceFile) -> tuple[str, str]:
        digest = hashlib.sha256()
        with tables.local_copy(file.path) as path, path.open("rb") as stream:
            size = 0
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return f"file {file.name}", f"{size} bytes, sha256:{digest.hexdigest()}"

    with ThreadPoolExecutor(4) as pool:
        return dict(sorted(pool.map(describe, files)))


@contextmanager
def open_text(file: SourceFile, tables: Tables) -> Iterator[TextIO]:
    """The file as text, unzipped; undecodable bytes become U+FFFD and line ends stay as they are."""
    with tables.local_copy(file.path) as path, path.open("rb") as stream:
        raw = gzip.GzipFile(fileobj=stream) if file.name.endswith(".gz") else stream
        yield io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def _stem(name: str, endings: Sequence[str]) -> str | None:
    for ending in sorted(endings, key=len, reverse=True):
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return None
