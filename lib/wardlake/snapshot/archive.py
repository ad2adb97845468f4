"""Study snapshots: manifest and table versions in the object store, locked on every put."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from wardlake.model.errors import VerificationFailed
from wardlake.model.snapshots import SnapshotManifest, TableSnapshot
from wardlake.model.zones import LakeLayout
from wardlake.ports.objects import Lock, ObjectMissing, Objects
from wardlake.ports.tables import Tables
from wardlake.snapshot.manifest import manifest_path, parse_manifest

_PREFIX = "snapshots/"
_MANIFEST = re.compile(rf"{_PREFIX}[^/]+/[^/]+/manifest\.json")
_LOG_FILE = re.compile(r"^(\d{20})(?:\..*)?\.(?:json|parquet)$")


def archive_prefix(manifest: SnapshotManifest) -> str:
    return f"snapshots/{manifest.source}/{manifest.run_id}"


def archive_snapshot(
    manifest: SnapshotManifest, *, tables: Tables, layout: LakeLayout, objects: Objects, retention: timedelta
) -> None:
    """Put manifest, wrapped secret, data files and Delta logs under a lock; what is there already is left alone.

    The manifest goes last: an archive that has one is whole.
    """
    lock = Lock(until=datetime.fromisoformat(manifest.taken_at) + retention)
    prefix = archive_prefix(manifest)
    for table in manifest.tables:
        for path, name in archived_files(table, tables):
            _put_once(objects, f"{prefix}/tables/{table.name}/{name}", path, tables, lock)
    home = manifest_path(layout, manifest.source, manifest.run_id)
    _put_once(objects, f"{prefix}/secret.json", home.replace("manifest.json", "secret.json"), tables, lock)
    _put_once(objects, f"{prefix}/manifest.json", home, tables, lock)


def is_archived(objects: Objects, source: str, run_id: str) -> bool:
    """Whether the store holds a whole snapshot of this run, whatever is left of it in the lake."""
    try:
        return bool(objects.info(f"snapshots/{source}/{run_id}/manifest.json"))
    except ObjectMissing:
        return False


def find_archived(objects: Objects, snapshot: str) -> SnapshotManifest | None:
    """The manifest of a whole archived snapshot by its id or its run id, of whatever source; None where there is none."""
    for info in objects.list(_PREFIX):
        if _MANIFEST.fullmatch(info.key):
            manifest = parse_manifest(objects.get(info.key))
            if snapshot in (manifest.snapshot_id, manifest.run_id):
                return manifest
    return None


def restore_snapshot(objects: Objects, manifest: SnapshotManifest, to: Path) -> None:
    """Bring an archived snapshot back below a folder; raises `VerificationFailed` for a name that leads elsewhere."""
    prefix = f"{archive_prefix(manifest)}/"
    for info in objects.list(prefix):
        name = PurePosixPath(info.key.removeprefix(prefix))
        if ".." in name.parts or name.is_absolute():
            raise VerificationFailed("An archived snapshot holds a name that leads elsewhere.", which=[manifest.snapshot_id])
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.get_file(info.key, target)


def archived_files(table: TableSnapshot, tables: Tables) -> Iterator[tuple[str, str]]:
    """Where each file of the table's version lies, with its name below the table."""
    for file in tables.data_files(table.path, table.version):
        yield file.path, file.path.removeprefix(f"{table.path}/")
    for name in tables.list_folder(f"{table.path}/_delta_log"):
        match = _LOG_FILE.match(name)
        if match and int(match.group(1)) <= table.version:
            yield f"{table.path}/_delta_log/{name}", f"_delta_log/{name}"


def _put_once(objects: Objects, key: str, path: str, tables: Tables, lock: Lock) -> None:
    """A repeated run adds no second locked version of what is there."""
    with tables.local_copy(path) as local:
        try:
            if objects.info(key).size == local.stat().st_size:
                return
        except ObjectMissing:
            pass
        objects.put_file(key, local, lock=lock)
