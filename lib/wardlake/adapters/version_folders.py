"""Where a directory store keeps the versions of a key: `a/b` is `a/b@000001`, `a/b@000002`, ..."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from wardlake.ports.objects import StoreUnavailable

INCOMING = ".incoming"
_SAFE = "-_.~+= (),:!"  # everything else is percent-encoded, `@` too
_VERSION = re.compile(r"(?P<name>.+)@(?P<number>\d{6,})")


def folder_of(root: Path, key: str) -> Path:
    """The path that versions of `key` share, without their number; raises `StoreUnavailable` for what is no key."""
    segments = key.split("/")
    if any(segment in ("", ".", "..", INCOMING) for segment in segments):
        raise StoreUnavailable("not an object's key")
    return root.joinpath(*(quote(segment, safe=_SAFE) for segment in segments))


def with_number(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name}@{number:06d}")


def key_of(folder: Path) -> str:
    """The key of a version folder given relative to the root."""
    match = _VERSION.fullmatch(folder.name)
    if match is None:
        raise StoreUnavailable("the object folder holds what is not an object")
    return "/".join(unquote(part) for part in (*folder.parent.parts, match["name"]))


def versions_in(folder: Path) -> list[Path]:
    """The version folders of one key, oldest first. They count from 1 without gaps: removal starts at the newest."""
    found: list[Path] = []
    while (version := with_number(folder, len(found) + 1)).is_dir():
        found.append(version)
    return found


def walk_versions(folder: Path) -> Iterator[Path]:
    """Every version folder below `folder`."""
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        if child.name == INCOMING or not child.is_dir():
            continue
        if _VERSION.fullmatch(child.name):
            yield child
        else:
            yield from walk_versions(child)


def deepest_folder(root: Path, prefix: str) -> Path:
    """The folder that holds every key starting with `prefix`."""
    parent = prefix.rpartition("/")[0]
    return folder_of(root, parent) if parent else root
