"""Parquet folders: one file `table.parquet`, or a folder `table` of such files, per table."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.adapters.parquet_columns import require_same_columns
from wardlake.adapters.source_files import hash_files, stamp_files, table_files
from wardlake.model.sources import SourceSpec, TableSpec
from wardlake.ports.sources import RawTable
from wardlake.ports.tables import Tables


class ParquetSource:
    """The `OpenSource` port over a folder of Parquet files."""

    def __init__(self, source: SourceSpec, tables: Tables) -> None:
        self._source = source
        self._tables = tables
        self._files = table_files(source.location, (".parquet",), tables)
        self._stamps = stamp_files(self._files, tables)

    @property
    def position(self) -> Mapping[str, str]:
        return hash_files(self._stamps, self._tables)

    def table_names(self) -> tuple[str, ...]:
        declared = {(table.file or name): name for name, table in self._source.tables.items()}
        return tuple(sorted(declared.get(file, file) for file in self._files))

    def read(self, table: TableSpec) -> RawTable:
        files = self._files[table.file or table.name]
        if self._source.read.get("mergeSchema", "").lower() != "true":
            require_same_columns(table.name, files, self._tables.spark)
        return RawTable(rows=self._tables.spark.read.options(**dict(self._source.read)).parquet(*[file.path for file in files]))

    def confirm(self, table: TableSpec, fault: str) -> str:
        raise ValueError(f"{table.name}: {fault}")
