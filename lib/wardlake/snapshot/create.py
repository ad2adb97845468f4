"""Takes a snapshot: production source to raw Delta tables with a manifest that commits to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.snapshots import SnapshotManifest, TableHashes, TableSnapshot
from wardlake.model.sources import RetentionClass, SourceSpec, TableSpec
from wardlake.model.zones import LakeLayout
from wardlake.ports.clock import Clock
from wardlake.ports.keys import Keys
from wardlake.ports.objects import Objects
from wardlake.ports.sources import OpenSource, Sources
from wardlake.ports.tables import Tables
from wardlake.snapshot.archive import archive_snapshot
from wardlake.snapshot.contracts import count_duplicate_keys, count_repeated
from wardlake.snapshot.data_files import hash_data_files
from wardlake.snapshot.manifest import (
    commit_table,
    manifest_bytes,
    manifest_path,
    read_manifest,
    seal_manifest,
    snapshot_secret,
)
from wardlake.snapshot.raw_tables import Written, write_raw_table

WRAPPING_KEY = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRun:
    """One run of a snapshot: its source and the places it writes to.

    `decided` are the columns of each table that somebody decided on: those must be there as those the source declares.
    """

    source: SourceSpec
    run_id: str
    tables: Tables
    layout: LakeLayout
    decided: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def raw(self) -> str:
        return self.layout.raw_snapshot(self.source.name, self.run_id)

    @property
    def restricted(self) -> str:
        return f"{self.layout.snapshots(self.source.name)}/{self.run_id}"

    def path(self, table: str) -> str:
        return self.layout.raw_table(self.source.name, self.run_id, table)

    def rows(self, table: str, written: Written) -> DataFrame:
        """The table as just written, straight from its data files: a fresh table's log adds nothing but cost."""
        files = self.tables.data_files(self.path(table), written.version)
        schema = StructType.fromJson(json.loads(written.schema))
        reader = self.tables.spark.read.schema(schema)
        return reader.parquet(*[file.path for file in files]) if files else self.tables.spark.createDataFrame([], schema)

    def clear(self) -> None:
        """Remove what the run wrote so far."""
        self.tables.delete_folder(self.raw)
        self.tables.delete_folder(self.restricted)


def create_snapshot(
    source: SourceSpec,
    *,
    reader: Sources,
    tables: Tables,
    layout: LakeLayout,
    run_id: str,
    keys: Keys,
    objects: Objects,
    clock: Clock,
    study_retention: timedelta | None = None,
    decided: Mapping[str, Sequence[str]] | None = None,
    wrapping_key: str = WRAPPING_KEY,
    parallel: int = 3,
    progress: Callable[[str], None] = lambda _: None,
) -> SnapshotManifest:
    """Copy every declared table of the source into raw Delta tables and write the manifest that names them.

    Repeating a run that finished gives the same manifest; repeating one that was killed starts its tables afresh. Raises
    `ContractBroken` with every broken rule of every table, and then keeps nothing of the run.
    """
    require_basis(source, study_retention)
    run = RawRun(source=source, run_id=run_id, tables=tables, layout=layout, decided=decided or {})
    manifest = read_manifest(tables, layout, source.name, run_id)
    if manifest is None:
        tables.delete_folder(run.raw)  # what a killed run left
        secret = snapshot_secret(run.restricted, tables=tables, keys=keys, wrapping_key=wrapping_key)
        try:
            manifest = take_snapshot(run, secret, reader=reader, at=clock.now(), parallel=parallel, progress=progress)
        except ContractBroken:
            run.clear()
            raise
        tables.write_bytes(manifest_path(layout, source.name, run_id), manifest_bytes(manifest))
    if source.retention is RetentionClass.STUDY and study_retention is not None:
        archive_snapshot(manifest, tables=tables, layout=layout, objects=objects, retention=study_retention)
    return manifest


def require_basis(source: SourceSpec, study_retention: timedelta | None) -> None:
    """A snapshot that will be locked has a legal basis and a time after which the lock ends."""
    if source.retention is RetentionClass.STUDY and not (source.legal_basis and study_retention):
        raise ConfigurationError(
            what=f"Source {source.name}: retention `study` needs a legal_basis and a retention time.",
            next_step="Record both, or use retention `operational`.",
        )


def require_tables(source: SourceSpec, present: Sequence[str]) -> tuple[str, ...]:
    """Raise `ContractBroken` where a declared table vanished; returns tables that are there and not declared."""
    vanished = sorted(set(source.tables) - set(present))
    if vanished:
        raise ContractBroken(
            "Declared tables are not at the source.",
            which=[f"{source.name}: {name}" for name in vanished],
            next_step="Compare the source with conf/sources and mend the one that is wrong.",
        )
    return tuple(sorted(set(present) - set(source.tables)))


def take_snapshot(
    run: RawRun, secret: bytes, *, reader: Sources, at: datetime, parallel: int, progress: Callable[[str], None]
) -> SnapshotManifest:
    """Read, check, write and hash every table; the manifest comes sealed under `secret`."""
    with reader.open(run.source) as opened:
        undeclared = require_tables(run.source, opened.table_names())
        written = write_tables(run, opened, parallel, progress)
        position = dict(opened.position)
    require_unique_keys(run, written)
    manifest = SnapshotManifest(
        snapshot_id="",
        source=run.source.name,
        run_id=run.run_id,
        taken_at=at.isoformat(),
        schema_version=run.source.schema_version,
        position=position,
        retention=run.source.retention.value,
        legal_basis=run.source.legal_basis,
        tables=hash_tables(run, written, secret),
        extra=_extra(written, undeclared),
    )
    return seal_manifest(secret, manifest)


def write_tables(run: RawRun, opened: OpenSource, parallel: int, progress: Callable[[str], None]) -> dict[str, Written]:
    """Every table, a few at a time; the broken rules of all of them come in one `ContractBroken`."""

    def write(table: TableSpec) -> Written | ContractBroken:
        try:
            decided = run.decided.get(table.name, ())
            written = write_raw_table(table, run.path(table.name), source=opened, tables=run.tables, decided=decided)
        except ContractBroken as broken:
            return broken
        progress(f"{table.name}: {written.row_count} rows")
        return written

    with ThreadPoolExecutor(parallel) as pool:
        outcomes = dict(zip(run.source.tables, pool.map(write, run.source.tables.values()), strict=True))
    require_whole([outcome for outcome in outcomes.values() if isinstance(outcome, ContractBroken)])
    return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Written)}


def require_whole(broken: Sequence[ContractBroken]) -> None:
    """Raise what went wrong with any table, all at once."""
    if len(broken) == 1:
        raise broken[0]
    if broken:
        which = [item for error in broken for item in (error.what, *(f"  {place}" for place in error.which))]
        steps = dict.fromkeys(error.next_step for error in broken if error.next_step)
        raise ContractBroken("Several tables of the source do not keep their contract.", which=which, next_step=" ".join(steps))


def require_unique_keys(run: RawRun, written: Mapping[str, Written]) -> None:
    """Raise `ContractBroken` naming each table whose primary key repeats; one job for all tables."""
    keyed = {
        table.name: (table, run.rows(table.name, written[table.name]))
        for table in run.source.tables.values()
        if table.primary_key
    }
    if not keyed:
        return
    suspects = sorted(row["table"] for row in count_duplicate_keys(list(keyed.values())).collect())
    counted = {name: count_repeated(*keyed[name]).collect()[0]["repeated"] for name in suspects}
    keys = {name: "+".join(run.source.tables[name].primary_key) for name in suspects}
    broken = [f"{name}.{keys[name]}: {count} keys repeat" for name, count in counted.items() if count]
    if broken:
        raise ContractBroken(
            "Primary keys repeat.", which=broken, next_step="Mend the source, or its primary_key in conf/sources."
        )


def hash_tables(run: RawRun, written: Mapping[str, Written], secret: bytes) -> tuple[TableSnapshot, ...]:
    """Each table with both hashes and its commitment."""
    snapshots = []
    for name in run.source.tables:
        path, raw = run.path(name), written[name]
        files = hash_data_files(run.tables, path, raw.version)
        hashes = TableHashes(files=files, rows=raw.row_sum, row_count=raw.row_count)
        bare = TableSnapshot(name=name, path=path, version=raw.version, schema=raw.schema, hashes=hashes, commitment="")
        snapshots.append(replace(bare, commitment=commit_table(secret, bare)))
    return tuple(snapshots)


def _extra(written: Mapping[str, Written], undeclared: tuple[str, ...]) -> dict[str, str]:
    """Lists as JSON: tables nobody declared, tables without rows, and what was odd but kept."""
    lists = {
        "undeclared_tables": list(undeclared),
        "empty_tables": [name for name, table in written.items() if table.row_count == 0],
        "warnings": [warning for table in written.values() for warning in table.warnings],
    }
    return {name: json.dumps(items) for name, items in lists.items()}
