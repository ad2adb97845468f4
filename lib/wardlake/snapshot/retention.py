"""The end of snapshots: operational ones are erased in their time, locked ones are not."""

from __future__ import annotations

from collections.abc import Collection

from wardlake.model.errors import NotAllowed
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.sources import RetentionClass
from wardlake.model.zones import PRACTICES, LakeLayout
from wardlake.ports.tables import Tables
from wardlake.snapshot.manifest import read_manifest


def expire_snapshot(manifest: SnapshotManifest, *, tables: Tables, layout: LakeLayout) -> None:
    """Erase an operational snapshot: manifest first, so that a killed erasure leaves no manifest without its tables."""
    if RetentionClass(manifest.retention) is not RetentionClass.OPERATIONAL:
        raise NotAllowed(
            f"Snapshot run {manifest.run_id} is kept under a legal basis: {manifest.legal_basis}.",
            which=[manifest.source],
            next_step="Wait until the lock has run out; new uses leave the person out.",
        )
    tables.delete_folder(f"{layout.snapshots(manifest.source)}/{manifest.run_id}")
    tables.delete_folder(layout.raw_snapshot(manifest.source, manifest.run_id))


def taking_lock(source: str, run_id: str) -> str:
    """The lock that is held while a snapshot is taken outside of a refresh: what lies there unfinished is then no leftover."""
    return f"snapshot/{source}/{run_id}"


def find_leftovers(source: str, *, running: Collection[str], tables: Tables, layout: LakeLayout) -> tuple[str, ...]:
    """Runs with raw folders that never finished and do not run now, in order. The practices' tables are no run's."""
    raw = layout.raw_snapshot(source, "").rstrip("/")
    begun = {*tables.list_folder(raw), *tables.list_folder(layout.snapshots(source))} - {*running, PRACTICES}
    return tuple(sorted(run for run in begun if read_manifest(tables, layout, source, run) is None))


def remove_leftover(source: str, run: str, *, tables: Tables, layout: LakeLayout) -> None:
    """Erase what an unfinished snapshot wrote."""
    tables.delete_folder(layout.raw_snapshot(source, run))
    tables.delete_folder(f"{layout.snapshots(source)}/{run}")
