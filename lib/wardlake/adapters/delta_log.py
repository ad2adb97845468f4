"""A Delta table's log, replayed here while it is short: Delta's own replay is a Spark job of large generated code a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlparse

SHORT_LOG = 8  # commits
_COMMIT = re.compile(r"(\d{20})\.json")
_GLOB = re.compile(r"[*?\[\]{}\\]")  # what Spark's readers expand in a path


@dataclass(slots=True)
class LogState:
    """What a table is after some commits: its live files by logged path with their sizes, its schema, and who may read it."""

    files: dict[str, int] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    partitioned: bool = False
    reader_version: int = 1
    vectors: bool = False

    @property
    def plain(self) -> bool:
        """Whether the live files, read as Parquet with the schema, are the table: no feature that only Delta's reader knows.

        Spark's Parquet reader makes every place nullable, so a schema that promises otherwise is left to Delta's.
        """
        featureless = self.reader_version == 1 and not self.partitioned and not self.vectors
        return featureless and bool(self.schema) and _all_nullable(self.schema)


def replay_log(commits: Iterable[bytes]) -> LogState:
    """The table after these commits, which begin with its first."""
    state = LogState()
    for commit in commits:
        actions = [json.loads(line) for line in commit.splitlines() if line.strip()]
        for removed in (action["remove"] for action in actions if "remove" in action):
            state.files.pop(removed["path"], None)
        for action in actions:
            _apply(state, action)
    return state


def _apply(state: LogState, action: Mapping[str, Any]) -> None:
    match action:
        case {"add": added}:
            state.files[added["path"]] = added["size"]
            state.vectors |= added.get("deletionVector") is not None
        case {"metaData": told}:
            state.schema = json.loads(told["schemaString"])
            state.partitioned = bool(told["partitionColumns"])
        case {"protocol": told}:
            state.reader_version = told["minReaderVersion"]


def commit_names(names: Sequence[str]) -> dict[int, str]:
    """The commits among the names of a log folder, by version."""
    return {int(found[1]): name for name in names if (found := _COMMIT.fullmatch(name))}


def absolute_path(table: str, logged: str) -> str:
    """A file's path from what the log holds: URL-encoded, relative to the table or (in clones) absolute."""
    name = unquote(logged)
    if urlparse(logged).scheme or logged.startswith("/"):
        return name.removeprefix("file://") if name.startswith("file:///") else name
    return f"{table.rstrip('/')}/{name}"


def is_literal(path: str) -> bool:
    """Whether Spark's readers take the path as it stands."""
    return not _GLOB.search(path)


def _all_nullable(kind: Any) -> bool:
    match kind:
        case {"type": "struct", "fields": fields}:
            return all(each["nullable"] and _all_nullable(each["type"]) for each in fields)
        case {"type": "array", "containsNull": nulls, "elementType": element}:
            return bool(nulls) and _all_nullable(element)
        case {"type": "map", "valueContainsNull": nulls, "keyType": key, "valueType": value}:
            return bool(nulls) and _all_nullable(key) and _all_nullable(value)
        case _:
            return True
