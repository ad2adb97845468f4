"""Published datasets kept in the object store: every file with its SHA-256, unlocked, so that erasure reaches them.

A dataset's id names its rows, so two runs over the same rows share it. Each run keeps a copy of its own, under its own
manifest, which the run's audit record names by its hash: a run that dies before it publishes changes nobody else's copy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from wardlake.model.errors import StorageUnavailable, VerificationFailed
from wardlake.ports.objects import ObjectMissing, Objects, StoreUnavailable
from wardlake.ports.tables import Tables

_CHUNK = 1 << 20
_DATASETS, _MANIFEST = "datasets/", "manifest.json"
_MANIFEST_DEPTH = 4  # datasets/DATASET/RUN/manifest.json


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """One file below the dataset's folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, order=True)
class Copy:
    """The copy of a dataset that one run put into the archive."""

    dataset_id: str
    run_id: str

    @property
    def prefix(self) -> str:
        return f"{_DATASETS}{self.dataset_id}/{self.run_id}/"

    @property
    def manifest_key(self) -> str:
        return f"{self.prefix}{_MANIFEST}"

    def file_key(self, path: str) -> str:
        return f"{self.prefix}files/{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveManifest:
    """What the archive holds of one copy of a dataset. `retain_until` is a date to act on, not a lock."""

    dataset_id: str
    run_id: str
    retain_until: str  # ISO 8601, UTC
    storage_class: str
    files: tuple[ArchivedFile, ...]

    @property
    def sha256(self) -> str:
        """The manifest's own hash, for the audit record."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        content = {
            "dataset_id": self.dataset_id,
            "run_id": self.run_id,
            "retain_until": self.retain_until,
            "storage_class": self.storage_class,
            "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in self.files],
        }
        return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def archive_dataset(
    tables: Tables,
    objects: Objects,
    *,
    folder: str,
    copy: Copy,
    retain_until: datetime,
    storage_class: str,
) -> ArchiveManifest:
    """Copy every file of a dataset's folder into the store and its manifest last; repeating it changes nothing.

    No object is locked: an erasure must be able to remove it. Raises `StorageUnavailable` where the store refuses.
    """
    try:
        files = tuple(
            _store(tables, objects, f"{folder}/{path}", copy, path, storage_class=storage_class)
            for path in _files(tables, folder)
        )
        manifest = ArchiveManifest(
            dataset_id=copy.dataset_id,
            run_id=copy.run_id,
            retain_until=retain_until.isoformat(),
            storage_class=storage_class,
            files=files,
        )
        objects.put(copy.manifest_key, manifest.to_json(), storage_class=storage_class)
    except StoreUnavailable:
        raise StorageUnavailable(
            "The object store refuses the dataset, so it was not published.",
            which=[copy.dataset_id],
            next_step="See that the store answers (`wardlake doctor`), then run again with the same run id.",
        ) from None
    return manifest


def read_manifest(objects: Objects, copy: Copy) -> ArchiveManifest:
    """What the archive holds of a copy; raises `VerificationFailed` where it holds none or the manifest is damaged."""
    try:
        return _parse(json.loads(objects.get(copy.manifest_key)))
    except ObjectMissing:
        raise VerificationFailed("The archive holds no such dataset.", which=[copy.dataset_id]) from None
    except (ValueError, KeyError, TypeError):
        raise VerificationFailed("The archive's manifest is damaged.", which=[copy.dataset_id]) from None


def restore_dataset(objects: Objects, copy: Copy, to: Path) -> ArchiveManifest:
    """Bring an archived dataset back into a folder, each file checked against the manifest.

    Raises `VerificationFailed`, naming the files that are missing or changed; what was restored is then not to be used.
    """
    manifest = read_manifest(objects, copy)
    wrong = [file.path for file in manifest.files if not _restore(objects, copy, file, to)]
    if wrong:
        raise VerificationFailed(f"{len(wrong)} archived files are missing or changed.", which=wrong)
    return manifest


def archived_copies(objects: Objects, dataset_id: str = "") -> list[Copy]:
    """Every whole copy in the archive, or those of one dataset, in order."""
    keys = (info.key.split("/") for info in objects.list(f"{_DATASETS}{dataset_id}/" if dataset_id else _DATASETS))
    return sorted(Copy(key[1], key[2]) for key in keys if len(key) == _MANIFEST_DEPTH and key[-1] == _MANIFEST)


def partial_copies(objects: Objects) -> list[Copy]:
    """Copies that never became whole, or were erased in part: files without a manifest."""
    keys = (info.key.split("/") for info in objects.list(_DATASETS))
    return sorted({Copy(key[1], key[2]) for key in keys if len(key) >= _MANIFEST_DEPTH} - set(archived_copies(objects)))


def erase_archived_copy(objects: Objects, copy: Copy) -> int:
    """Remove every object of one copy, the manifest last so that a killed erasure can be repeated; how many."""
    return _erase(objects, f"{copy.prefix}files/") + _erase(objects, copy.prefix)


def expired_copies(objects: Objects, now: datetime) -> list[Copy]:
    """Archived copies whose retention date is past."""
    return [copy for copy in archived_copies(objects) if datetime.fromisoformat(read_manifest(objects, copy).retain_until) <= now]


def _erase(objects: Objects, prefix: str) -> int:
    keys = [info.key for info in objects.list(prefix)]
    for key in keys:
        objects.delete(key)
    return len(keys)


def _files(tables: Tables, folder: str) -> list[str]:
    """Every file below the folder, relative to it, in order, without what a disk keeps to check files by."""
    return [path for path in tables.list_files(folder) if not _is_checksum(PurePosixPath(path).name)]


def _is_checksum(name: str) -> bool:
    return name.startswith(".") and name.endswith(".crc")


def _store(tables: Tables, objects: Objects, source: str, copy: Copy, path: str, *, storage_class: str) -> ArchivedFile:
    with tables.local_copy(source) as local:
        objects.put_file(copy.file_key(path), local, storage_class=storage_class)
        return ArchivedFile(path=path, size=local.stat().st_size, sha256=_hash_file(local))


def _restore(objects: Objects, copy: Copy, file: ArchivedFile, to: Path) -> bool:
    target = to / file.path
    if ".." in PurePosixPath(file.path).parts or PurePosixPath(file.path).is_absolute():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        objects.get_file(copy.file_key(file.path), target)
    except ObjectMissing:
        return False
    return _hash_file(target) == file.sha256


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _parse(content: Any) -> ArchiveManifest:
    return ArchiveManifest(
        dataset_id=str(content["dataset_id"]),
        run_id=str(content["run_id"]),
        retain_until=str(content["retain_until"]),
        storage_class=str(content["storage_class"]),
        files=tuple(ArchivedFile(path=f["path"], size=int(f["size"]), sha256=f["sha256"]) for f in content["files"]),
    )
