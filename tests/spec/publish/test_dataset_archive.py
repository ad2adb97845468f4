"""Every published dataset version is kept in the object store, checked by hashes, and can be erased there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.spec.publish.folder_tables import FolderTables

from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.model.errors import VerificationFailed, WardlakeError
from wardlake.ports.objects import Objects
from wardlake.ports.tables import Tables
from wardlake.publish.archive import (
    ArchiveManifest,
    Copy,
    archive_dataset,
    archived_copies,
    erase_archived_copy,
    expired_copies,
    partial_copies,
    restore_dataset,
)

FOLDERS = cast(Tables, FolderTables())
FIRST, SECOND = Copy("ds-1", "run-1"), Copy("ds-1", "run-2")
UNTIL = datetime(2032, 1, 1, tzinfo=UTC)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "ds-1"
    (folder / "patients/_delta_log").mkdir(parents=True)
    (folder / "patients/part 0=ü.parquet").write_bytes(b"\x00rows")
    (folder / "patients/_delta_log/0.json").write_text("{}")
    (folder / "dataset.json").write_text("{}")
    return folder


@pytest.fixture
def objects(tmp_path: Path) -> DirectoryObjects:
    return DirectoryObjects(tmp_path / "objects")


def archive(objects: Objects, folder: Path, copy: Copy = FIRST, until: datetime = UNTIL) -> ArchiveManifest:
    return archive_dataset(FOLDERS, objects, folder=str(folder), copy=copy, retain_until=until, storage_class="GLACIER_IR")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_archived_is_restored_byte_for_byte(dataset: Path, objects: DirectoryObjects, tmp_path: Path) -> None:
    assert archive(objects, dataset) == restore_dataset(objects, FIRST, tmp_path / "back")
    assert content(tmp_path / "back") == content(dataset)


def test_archived_objects_have_the_storage_class_and_no_lock(dataset: Path, objects: DirectoryObjects) -> None:
    manifest = archive(objects, dataset)
    infos = [objects.info(found.key) for found in objects.list("datasets/ds-1/")]
    assert len(infos) == len(manifest.files) + 1
    assert {(info.storage_class, info.locked_until, info.hold) for info in infos} == {("GLACIER_IR", None, False)}
    assert json.loads(objects.get("datasets/ds-1/run-1/manifest.json"))["retain_until"] == "2032-01-01T00:00:00+00:00"


def test_archiving_again_gives_the_same_manifest(dataset: Path, objects: DirectoryObjects) -> None:
    assert archive(objects, dataset).sha256 == archive(objects, dataset).sha256


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_changed_or_missing_file_is_named(dataset: Path, objects: DirectoryObjects, tmp_path: Path, harm: str) -> None:
    archive(objects, dataset)
    key = "datasets/ds-1/run-1/files/patients/_delta_log/0.json"
    objects.delete(key)
    if harm == "changed":
        objects.put(key, b"other")
    with pytest.raises(VerificationFailed) as raised:
        restore_dataset(objects, FIRST, tmp_path / "back")
    assert raised.value.exit_code == 23
    assert raised.value.which == ("patients/_delta_log/0.json",)


def test_erasure_reaches_every_object_and_can_be_repeated(dataset: Path, objects: DirectoryObjects, tmp_path: Path) -> None:
    archive(objects, dataset)
    archive(objects, dataset)
    archive(objects, dataset, SECOND)
    objects.delete("datasets/ds-1/run-2/manifest.json")  # as an erasure leaves it that was killed at its end
    copies = [*archived_copies(objects, "ds-1"), *partial_copies(objects)]
    assert copies == [FIRST, SECOND]
    assert sum(erase_archived_copy(objects, copy) for copy in copies) == 7
    assert list(objects.list("datasets/")) == []
    assert sum(erase_archived_copy(objects, copy) for copy in copies) == 0
    with pytest.raises(VerificationFailed, match="no such dataset"):
        restore_dataset(objects, FIRST, tmp_path / "back")


def test_a_dataset_expires_at_its_retention_date(dataset: Path, objects: DirectoryObjects) -> None:
    archive(objects, dataset)
    archive(objects, dataset, SECOND, UNTIL + timedelta(days=1))
    assert expired_copies(objects, datetime(2031, 12, 31, tzinfo=UTC)) == []
    assert expired_copies(objects, UNTIL) == [FIRST]


def test_two_runs_over_the_same_rows_keep_a_copy_each(dataset: Path, objects: DirectoryObjects, tmp_path: Path) -> None:
    first, before = archive(objects, dataset), content(dataset)
    (dataset / "patients/_delta_log/0.json").write_text('{"by": "another run"}')
    archive(objects, dataset, SECOND)
    assert restore_dataset(objects, FIRST, tmp_path / "back").sha256 == first.sha256
    assert content(tmp_path / "back") == before
    assert archived_copies(objects) == [FIRST, SECOND]
    assert erase_archived_copy(objects, FIRST) == 4
    assert archived_copies(objects, "ds-1") == [SECOND]


def test_a_manifest_that_points_outside_the_folder_restores_nothing_there(
    dataset: Path, objects: DirectoryObjects, tmp_path: Path
) -> None:
    manifest = archive(objects, dataset)
    forged = manifest.to_json().replace(b'"dataset.json"', b'"../escaped.json"')
    objects.put("datasets/ds-1/run-1/manifest.json", forged)
    with pytest.raises(VerificationFailed):
        restore_dataset(objects, FIRST, tmp_path / "a" / "back")
    assert not (tmp_path / "a" / "escaped.json").exists()


def test_a_store_that_refuses_stops_the_run(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WardlakeError, match="refuses the dataset"):
        archive(DirectoryObjects(tmp_path / "file" / "objects"), dataset)
