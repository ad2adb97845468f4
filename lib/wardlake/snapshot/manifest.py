"""A snapshot's manifest: how it is written, committed to and found again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from wardlake.audit.canonical import canonical_json
from wardlake.audit.commitment import commit
from wardlake.model.errors import VerificationFailed, WardlakeError
from wardlake.model.snapshots import SnapshotManifest, TableHashes, TableSnapshot
from wardlake.model.zones import LakeLayout
from wardlake.ports.keys import Keys
from wardlake.ports.tables import Tables


def manifest_bytes(manifest: SnapshotManifest) -> bytes:
    """The manifest as canonical JSON: restricted, since it holds bare hashes."""
    return canonical_json(asdict(manifest)) + b"\n"


def parse_manifest(body: bytes) -> SnapshotManifest:
    """The manifest again; raises `VerificationFailed` where the document is none."""
    try:
        document = json.loads(body)
        tables = tuple(TableSnapshot(**{**t, "hashes": TableHashes(**t["hashes"])}) for t in document.pop("tables"))
        return SnapshotManifest(**document, tables=tables)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise VerificationFailed("A snapshot's manifest cannot be read: it is damaged or of another version.") from None


def commit_table(secret: bytes, table: TableSnapshot) -> str:
    """The commitment to one table's name, schema and hashes: all of it that leaves the raw zone."""
    said = {"name": table.name, "schema": table.schema, "hashes": asdict(table.hashes)}
    return commit(secret, said)


def seal_manifest(secret: bytes, manifest: SnapshotManifest) -> SnapshotManifest:
    """The manifest with its id: the commitment to all the rest."""
    return replace(manifest, snapshot_id=commit(secret, asdict(replace(manifest, snapshot_id=""))))


def public_summary(manifest: SnapshotManifest) -> Mapping[str, Any]:
    """What may leave the raw zone: commitments and counts of tables, never a bare hash, row count or path."""
    return {
        "snapshot_id": manifest.snapshot_id,
        "source": manifest.source,
        "run_id": manifest.run_id,
        "taken_at": manifest.taken_at,
        "schema_version": manifest.schema_version,
        "retention": manifest.retention,
        "legal_basis": manifest.legal_basis,
        "commitments": {table.name: table.commitment for table in manifest.tables},
    }


def manifest_path(layout: LakeLayout, source: str, run_id: str) -> str:
    return f"{layout.snapshots(source)}/{run_id}/manifest.json"


def read_manifest(tables: Tables, layout: LakeLayout, source: str, run_id: str) -> SnapshotManifest | None:
    """The manifest of a snapshot run; None where that run did not finish."""
    try:
        return parse_manifest(tables.read_bytes(manifest_path(layout, source, run_id)))
    except FileNotFoundError:
        return None


def list_manifests(tables: Tables, layout: LakeLayout, source: str) -> list[SnapshotManifest]:
    """Every finished snapshot of a source, oldest first."""
    found = [read_manifest(tables, layout, source, run) for run in tables.list_folder(layout.snapshots(source))]
    return sorted((manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.taken_at)


def find_manifest(tables: Tables, layout: LakeLayout, source: str, snapshot: str) -> SnapshotManifest:
    """One snapshot of a source by its id or its run id."""
    for manifest in list_manifests(tables, layout, source):
        if snapshot in (manifest.snapshot_id, manifest.run_id):
            return manifest
    raise WardlakeError(
        "There is no such snapshot.", which=[f"{source}: {snapshot}"], next_step="List the snapshots of the source."
    )


def snapshot_secret(run: str, *, tables: Tables, keys: Keys, wrapping_key: str) -> bytes:
    """The secret of the snapshot whose restricted folder is `run`: drawn once, kept wrapped beside the manifest."""
    path = f"{run}/secret.json"
    try:
        return keys.unwrap(wrapping_key, json.loads(tables.read_bytes(path))["wrapped"])
    except FileNotFoundError:
        drawn = keys.new_data_key(wrapping_key)
        tables.write_bytes(path, canonical_json({"wrapped": drawn.wrapped, "wrapping_key": wrapping_key}))
        return drawn.plain


def reveal_secret(run: str, *, tables: Tables, keys: Keys, wrapping_key: str) -> bytes:
    """The secret of a finished snapshot; never draws one."""
    try:
        return keys.unwrap(wrapping_key, json.loads(tables.read_bytes(f"{run}/secret.json"))["wrapped"])
    except FileNotFoundError:
        raise VerificationFailed(
            "The snapshot's secret is gone: its commitments can no longer be checked.", which=[run]
        ) from None
