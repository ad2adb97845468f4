"""Delta folders: one Delta table per folder, each pinned to the version it has when the source is opened."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.model.errors import ContractBroken
from wardlake.model.sources import SourceSpec, TableSpec
from wardlake.ports.sources import RawTable
from wardlake.ports.tables import Tables


class DeltaSource:
    """The `OpenSource` port over a folder of Delta tables. `read` may pin versions: `version.TABLE: "3"`."""

    def __init__(self, source: SourceSpec, tables: Tables) -> None:
        self._tables = tables
        self._names = {(table.file or name): name for name, table in source.tables.items()}
        self._location = source.location.rstrip("/")
        folders = [name for name in tables.list_folder(self._location) if tables.exists(f"{self._location}/{name}")]
        if not folders:
            raise ContractBroken("The source's folder holds no Delta table.", which=[source.location])
        self._versions = {folder: self._pinned(folder, source.read) for folder in folders}

    @property
    def position(self) -> Mapping[str, str]:
        return {f"table {folder}": f"version {version}" for folder, version in sorted(self._versions.items())}

    def table_names(self) -> tuple[str, ...]:
        return tuple(sorted(self._names.get(folder, folder) for folder in self._versions))

    def read(self, table: TableSpec) -> RawTable:
        folder = table.file or table.name
        return RawTable(rows=self._tables.read(f"{self._location}/{folder}", self._versions[folder]))

    def confirm(self, table: TableSpec, fault: str) -> str:
        raise ValueError(f"{table.name}: {fault}")

    def _pinned(self, folder: str, options: Mapping[str, str]) -> int:
        asked = options.get(f"version.{self._names.get(folder, folder)}")
        return int(asked) if asked is not None else self._tables.current_version(f"{self._location}/{folder}")
