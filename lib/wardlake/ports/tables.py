"""Tables: Delta tables by path, read and written through one Spark session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One live data file of a table version: absolute path or URI, size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """How rows go into a table, as SQL expressions over `target`, the table, and `source`, the rows.

    `on`: which rows are the same. `updates`: what becomes of a row that is there, by the first condition that holds. `insert`:
    what is written of one that is not, or None: nothing. `refusals`: texts that these expressions raise to refuse a row.
    """

    on: str
    updates: tuple[tuple[str, Mapping[str, str]], ...]
    insert: Mapping[str, str] | None
    refusals: tuple[str, ...] = ()


class Tables(Protocol):
    """Reads and writes Delta tables. One writing driver per table at a time."""

    @property
    def spark(self) -> SparkSession: ...

    def exists(self, path: str) -> bool: ...

    def read(self, path: str, version: int | None = None) -> DataFrame: ...

    def replace(self, path: str, rows: DataFrame, *, properties: Mapping[str, str] | None = None) -> int:
        """Write `rows` as the table's whole content in one commit; returns the new version."""
        ...

    def append(self, path: str, rows: DataFrame) -> int: ...

    def replace_partitions(self, path: str, rows: DataFrame, *, partition: str, values: Collection[str]) -> None:
        """Write `rows` as the whole content of these partitions in one commit, one file each; others stay as they are.

        A partition without rows is emptied. The table is made where there is none. Every row's `partition` is one of `values`.

        The warehouse reads such tables: raises `ContractBroken`, before anything is written, for one that it would not
        (`wardlake.model.table_features`).
        """
        ...

    def create(
        self, path: str, schema: StructType, *, partition_by: Sequence[str] = (), properties: Mapping[str, str] | None = None
    ) -> None:
        """Make an empty table where there is none; columns that one which is there lacks are added to it."""
        ...

    def computed(self, path: str, rows: DataFrame, how: Merge) -> AbstractContextManager[DataFrame]:
        """Rows that are to be merged, computed now and held until the context ends: whoever merges them under a lock holds it
        for as long as the merge takes. Raises as `merge` does, but for what only the table's own rows show."""
        ...

    def merge(self, path: str, rows: DataFrame, how: Merge) -> None:
        """Merge rows into a table in one commit; raises `ContractBroken` with the refusal's text where one is refused."""
        ...

    def remove(self, path: str, rows: DataFrame, *, on: str) -> None:
        """Remove the rows that match one of these, in one commit. `on`: an SQL condition over `target` and `source`."""
        ...

    def compact(self, path: str, *, where: str = "") -> None:
        """Write small files together, so that every partition has few; no row changes. `where`: of these partitions alone."""
        ...

    def purge(self, path: str) -> None:
        """Write files anew that still hold rows which were removed from them; these go with the next `vacuum`."""
        ...

    def keep_history(self, path: str, *, days: int) -> None:
        """From now on what the table was is kept for so many days. A commit, where it was kept for another time."""
        ...

    def end_history(self, path: str) -> None:
        """Remove files that no version within the days of `keep_history` needs; a day at least, in which writers have committed.

        No commit, and safe beside writers. What it costs grows with the files that are there and not with the versions.
        """
        ...

    def current_version(self, path: str) -> int: ...

    def data_files(self, path: str, version: int | None = None) -> list[DataFile]:
        """What the Delta log lists as live at that version, in path order."""
        ...

    def vacuum(self, path: str, *, keep_versions: tuple[int, ...] = ()) -> None:
        """Remove files no live or kept version needs."""
        ...

    # whole folders, for staging and publication
    def list_folder(self, path: str) -> list[str]:
        """Names directly below, sorted; empty where there is no such folder, as for a file."""
        ...

    def file_stamp(self, path: str) -> str:
        """Size and time of the last change of one file, as text to compare; raises `FileNotFoundError` where there is none."""
        ...

    def list_files(self, path: str) -> list[str]:
        """Every file below, as names relative to `path`, sorted."""
        ...

    def copy_folder(self, source: str, target: str) -> None:
        """Copy a folder of tables byte for byte; idempotent."""
        ...

    def move_folder(self, source: str, target: str) -> None:
        """Rename where the file system can in one step, else copy and remove; idempotent."""
        ...

    def delete_folder(self, path: str) -> None:
        """Remove a folder or file with all below it; idempotent."""
        ...

    def read_bytes(self, path: str) -> bytes:
        """One small file; raises `FileNotFoundError` where there is none."""
        ...

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """One file on local disk for as long as it is needed: the file itself, or a download that is removed afterwards."""
        ...

    def write_bytes(self, path: str, body: bytes) -> None:
        """Replace one small file atomically: a reader sees the old bytes or the new ones."""
        ...
