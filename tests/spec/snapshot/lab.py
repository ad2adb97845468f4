"""A small source and a small lake to take snapshots in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.adapters.sources import SparkSources
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.sources import RetentionClass, SourceKind, SourceSpec, TableSpec
from wardlake.model.zones import LakeLayout
from wardlake.snapshot.create import WRAPPING_KEY, create_snapshot
from wardlake.snapshot.verify import verify_snapshot

PEOPLE = TableSpec(
    name="people", primary_key=("id",), types={"id": "string", "born": "date", "paid": "decimal(8,2)", "ZIP": "string"}
)
GOOD = "id,born,paid,ZIP\na,1980-01-31,1.50,05401\nb,,,\n"


@dataclass(frozen=True)
class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 31, 2, 0, tzinfo=UTC)


@dataclass
class Lab:
    """Takes snapshots of the folder `source` into the lake `layout`."""

    folder: Path
    tables: DeltaTables
    keys: SealedKeyFile
    objects: DirectoryObjects
    layout: LakeLayout
    clock: FixedClock = field(default_factory=FixedClock)

    @property
    def source(self) -> Path:
        return self.folder / "source"

    def spec(self, *tables: TableSpec, **changes: Any) -> SourceSpec:
        spec = SourceSpec(
            name="clinic",
            kind=SourceKind.CSV,
            location=str(self.source),
            schema_version="1",
            tables={table.name: table for table in tables or (PEOPLE,)},
        )
        return replace(spec, **changes)

    def write(self, name: str, text: str | bytes) -> None:
        (self.source / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def take(self, spec: SourceSpec | None = None, run_id: str = "run-1", **changes: Any) -> SnapshotManifest:
        spec = spec or self.spec()
        study = timedelta(days=365) if spec.retention is RetentionClass.STUDY else None
        ports: dict[str, Any] = {
            "reader": SparkSources(self.tables, secret=lambda reference: reference),
            "tables": self.tables,
            "layout": self.layout,
            "keys": self.keys,
            "objects": self.objects,
            "clock": self.clock,
            "study_retention": study,
        }
        return create_snapshot(spec, run_id=run_id, **{**ports, **changes})

    def verify(self, manifest: SnapshotManifest) -> None:
        verify_snapshot(manifest, tables=self.tables, layout=self.layout, keys=self.keys)

    def rows(self, manifest: SnapshotManifest, table: str = "people") -> list[Mapping[str, Any]]:
        found = manifest.table(table)
        return [row.asDict(recursive=True) for row in self.tables.read(found.path, found.version).orderBy("id").collect()]

    def left(self) -> list[str]:
        """Every folder of a run that lies in the lake."""
        roots = (self.layout.raw_snapshot("clinic", "").rstrip("/"), self.layout.snapshots("clinic"))
        return [f"{root}/{run}" for root in roots for run in self.tables.list_folder(root)]


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    (tmp_path / "source").mkdir()
    create_key_file(tmp_path / "keys.json", tmp_path / "master")
    keys = SealedKeyFile(tmp_path / "keys.json", tmp_path / "master")
    keys.create_wrapping_key(WRAPPING_KEY)
    return Lab(
        folder=tmp_path,
        tables=DeltaTables(spark),
        keys=keys,
        objects=DirectoryObjects(tmp_path / "objects"),
        layout=LakeLayout(str(tmp_path / "lake")),
    )
