"""Recomputes what a manifest says: both hashes, the commitments and the id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pyspark.sql.functions as F
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from wardlake.audit.content_hash import hash_row, sum_hashes
from wardlake.model.errors import VerificationFailed, WardlakeError
from wardlake.model.snapshots import SnapshotManifest, TableHashes, TableSnapshot
from wardlake.model.zones import LakeLayout
from wardlake.ports.keys import Keys
from wardlake.ports.tables import Tables
from wardlake.snapshot.create import WRAPPING_KEY
from wardlake.snapshot.data_files import hash_data_files
from wardlake.snapshot.manifest import commit_table, reveal_secret, seal_manifest


def verify_snapshot(
    manifest: SnapshotManifest, *, tables: Tables, layout: LakeLayout, keys: Keys, wrapping_key: str = WRAPPING_KEY
) -> None:
    """Return if every table is as the manifest says; raise `VerificationFailed` naming the tables that are not."""
    run = f"{layout.snapshots(manifest.source)}/{manifest.run_id}"
    secret = reveal_secret(run, tables=tables, keys=keys, wrapping_key=wrapping_key)
    _require_sound(manifest, manifest.tables, secret, tables)


def verify_restored(
    manifest: SnapshotManifest, folder: str, *, tables: Tables, keys: Keys, wrapping_key: str = WRAPPING_KEY
) -> None:
    """The same of a snapshot brought back from the archive below `folder`: its tables and its wrapped secret."""
    secret = reveal_secret(folder, tables=tables, keys=keys, wrapping_key=wrapping_key)
    restored = tuple(replace(table, path=f"{folder}/tables/{table.name}") for table in manifest.tables)
    _require_sound(manifest, restored, secret, tables)


def _require_sound(manifest: SnapshotManifest, lying: Sequence[TableSnapshot], secret: bytes, tables: Tables) -> None:
    """`lying` are the manifest's tables where they are to be read."""
    wrong = [f"{table.name}: {fault}" for table in lying if (fault := find_fault(table, secret, tables))]
    if seal_manifest(secret, manifest).snapshot_id != manifest.snapshot_id:
        wrong.append("the manifest does not match its snapshot id")
    if wrong:
        raise VerificationFailed("The snapshot is not what its manifest says.", which=wrong)


def find_fault(table: TableSnapshot, secret: bytes, tables: Tables) -> str:
    """In words, what differs between a table and its manifest; empty where nothing does."""
    if commit_table(secret, table) != table.commitment:
        return "its commitment does not match the manifest"
    try:
        found = recompute_hashes(table, tables)
    except (WardlakeError, FileNotFoundError, PySparkException, Py4JError):
        return "the table or one of its files cannot be read"
    if found.row_count != table.hashes.row_count or found.rows != table.hashes.rows:
        return "the rows changed"
    return "" if found.files == table.hashes.files else "the data files changed, though the rows did not"


def recompute_hashes(table: TableSnapshot, tables: Tables) -> TableHashes:
    """Both hashes of the table version as it lies there now."""
    files = hash_data_files(tables, table.path, table.version)
    schema = StructType.fromJson(json.loads(table.schema))
    rows = tables.read(table.path, table.version)
    row = rows.agg(F.count(F.lit(1)).alias("rows"), sum_hashes(hash_row(schema)).alias("sum")).collect()[0]
    return TableHashes(files=files, rows=str(row["sum"]), row_count=row["rows"])
