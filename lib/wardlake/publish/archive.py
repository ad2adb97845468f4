"""Published datasets kept in the object store: every file with its SHA-256, unlocked, so that erasure reaches them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from wardlake.model.errors import VerificationFailed, WardlakeError
from wardlake.ports.objects import ObjectMissing, Objects, StoreUnavailable
from wardlake.ports.tables import Tables

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """One file below the dataset's folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveManifest:
    """What the archive holds of one dataset. `retain_until` is a date to act on, not a lock."""

    dataset_id: str
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
            "retain_until": self.retain_until,
            "storage_class": self.storage_class,
            "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in self.files],
        }
        return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one file of a dataset lies in the store."""

    dataset_id: str
    path: str

    @property
    def key(self) -> str:
        return f"{_prefix(self.dataset_id)}files/{self.path}"


def archive_dataset(
    tables: Tables,
    objects: Objects,
    *,
    folder: str,
    dataset_id: str,
    retain_until: datetime,
    storage_class: str,
) -> ArchiveManifest:
    """Copy every file of a dataset's folder into the store and its manifest last; repeating it changes nothing.

    No object is locked: an erasure must be able to remove it. Raises `WardlakeError` where the store refuses.
    """
    try:
        files = tuple(
            _store(tables, objects, f"{folder}/{path}", _Place(dataset_id, path), storage_class=storage_class)
            for path in _files(tables, folder, "")
        )
        manifest = ArchiveManifest(
            dataset_id=dataset_id, retain_until=retain_until.isoformat(), storage_class=storage_class, files=files
        )
        objects.put(_manifest_key(dataset_id), manifest.to_json(), storage_class=storage_class)
    except StoreUnavailable:
        raise WardlakeError(
            "The object store refuses the dataset, so it was not published.",
            which=[dataset_id],
            next_step="See that the store answers (`wardlake doctor`), then run again with the same run id.",
        ) from None
    return manifest


def read_manifest(objects: Objects, dataset_id: str) -> ArchiveManifest:
    """What the archive holds of a dataset; raises `VerificationFailed` where it holds none or the manifest is damaged."""
    try:
        return _parse(json.loads(objects.get(_manifest_key(dataset_id))))
    except ObjectMissing:
        raise VerificationFailed("The archive holds no such dataset.", which=[dataset_id]) from None
    except (ValueError, KeyError, TypeError):
        raise VerificationFailed("The archive's manifest is damaged.", which=[dataset_id]) from None


def restore_dataset(objects: Objects, dataset_id: str, to: Path) -> ArchiveManifest:
    """Bring an archived dataset back into a folder, each file checked against the manifest.

    Raises `VerificationFailed`, naming the files that are missing or changed; what was restored is then not to be used.
    """
    manifest = read_manifest(objects, dataset_id)
    wrong = [file.path for file in manifest.files if not _restore(objects, dataset_id, file, to)]
    if wrong:
        raise VerificationFailed(f"{len(wrong)} archived files are missing or changed.", which=wrong)
    return manifest


def erase_archived_dataset(objects: Objects, dataset_id: str) -> int:
    """Remove every object of an archived dataset, the manifest last so that a killed erasure can be repeated; how many."""
    keys = [info.key for info in objects.list(_prefix(dataset_id)) if info.key != _manifest_key(dataset_id)]
    for key in [*keys, _manifest_key(dataset_id)]:
        objects.delete(key)
    return len(keys) + 1


def expired_datasets(objects: Objects, now: datetime) -> list[str]:
    """Archived datasets whose retention date is past."""
    suffix = "/manifest.json"
    keys = [info.key for info in objects.list("datasets/") if info.key.endswith(suffix)]
    manifests = [read_manifest(objects, key.removeprefix("datasets/").removesuffix(suffix)) for key in keys]
    return [m.dataset_id for m in manifests if datetime.fromisoformat(m.retain_until) <= now]


def _files(tables: Tables, folder: str, below: str) -> Iterator[str]:
    """Every file below the folder, relative to it, in order. A Delta log is a folder like any other."""
    for name in tables.list_folder(f"{folder}/{below}".rstrip("/")):
        path = f"{below}/{name}".lstrip("/")
        if _is_folder(tables, f"{folder}/{path}"):
            yield from _files(tables, folder, path)
        elif not name.endswith(".crc") or not name.startswith("."):
            yield path


def _is_folder(tables: Tables, path: str) -> bool:
    """Object stores list a file as its own only child, and know no empty folder; disks do."""
    local = _local(path)
    if local is not None:
        return local.is_dir()
    return tables.list_folder(path) not in ([], [PurePosixPath(path).name])


def _store(tables: Tables, objects: Objects, source: str, to: _Place, *, storage_class: str) -> ArchivedFile:
    with tables.local_copy(source) as local:
        objects.put_file(to.key, local, storage_class=storage_class)
        return ArchivedFile(path=to.path, size=local.stat().st_size, sha256=_hash_file(local))


def _restore(objects: Objects, dataset_id: str, file: ArchivedFile, to: Path) -> bool:
    target = to / file.path
    if ".." in PurePosixPath(file.path).parts or PurePosixPath(file.path).is_absolute():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        objects.get_file(_Place(dataset_id, file.path).key, target)
    except ObjectMissing:
        return False
    return _hash_file(target) == file.sha256


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _local(path: str) -> Path | None:
    if path.startswith("file:"):
        return Path(path.removeprefix("file://") if path.startswith("file://") else path.removeprefix("file:"))
    return None if "://" in path else Path(path)


def _prefix(dataset_id: str) -> str:
    return f"datasets/{dataset_id}/"


def _manifest_key(dataset_id: str) -> str:
    return f"{_prefix(dataset_id)}manifest.json"


def _parse(content: Any) -> ArchiveManifest:
    return ArchiveManifest(
        dataset_id=str(content["dataset_id"]),
        retain_until=str(content["retain_until"]),
        storage_class=str(content["storage_class"]),
        files=tuple(ArchivedFile(path=f["path"], size=int(f["size"]), sha256=f["sha256"]) for f in content["files"]),
    )
