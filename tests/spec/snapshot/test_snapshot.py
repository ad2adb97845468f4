"""Snapshots: taken whole, verified, kept, archived and erased."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.spec.snapshot.lab import GOOD, PEOPLE, Lab

from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.model.errors import ConfigurationError, ContractBroken, NotAllowed, VerificationFailed
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.sources import RetentionClass, SourceKind, SourceSpec, TableSpec
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.retention import remove_strays
from wardlake.pipelines.verification import verify_one_snapshot
from wardlake.snapshot.manifest import find_manifest, list_manifests, parse_manifest, public_summary, read_manifest
from wardlake.snapshot.retention import expire_snapshot, find_leftovers, remove_leftover


class KilledError(Exception):
    """Stands for the end of the process."""


class KilledSources:
    """A source that dies once it was opened."""

    @contextmanager
    def open(self, source: SourceSpec) -> Iterator[Any]:
        raise KilledError
        yield


@pytest.fixture
def manifest(lab: Lab) -> SnapshotManifest:
    lab.write("people.csv", GOOD)
    return lab.take()


def test_rows_come_as_declared(lab: Lab, manifest: SnapshotManifest) -> None:
    first, second = lab.rows(manifest)
    assert (str(first["born"]), first["paid"], first["ZIP"]) == ("1980-01-31", Decimal("1.50"), "05401")
    assert second == {"id": "b", "born": None, "paid": None, "ZIP": None}


def test_the_manifest_says_where_the_rows_come_from(manifest: SnapshotManifest) -> None:
    assert manifest.position["file people.csv"].startswith(f"{len(GOOD)} bytes, sha256:")
    assert (manifest.taken_at, manifest.schema_version) == ("2026-01-31T02:00:00+00:00", "1")
    assert manifest.table("people").hashes.row_count == 2


def test_a_snapshot_as_taken_verifies(lab: Lab, manifest: SnapshotManifest) -> None:
    lab.verify(manifest)
    found = find_manifest(lab.tables, lab.layout, "clinic", manifest.snapshot_id)
    assert found == manifest


def test_a_changed_row_is_found(lab: Lab, manifest: SnapshotManifest) -> None:
    table = manifest.table("people")
    lab.tables.replace(table.path, lab.tables.read(table.path).where("id = 'a'"))
    moved = replace(table, version=1)
    with pytest.raises(VerificationFailed, match="people: the rows changed"):
        lab.verify(replace(manifest, tables=(moved,)))


def test_a_changed_file_is_found(lab: Lab, manifest: SnapshotManifest) -> None:
    table = manifest.table("people")
    file = Path(lab.tables.data_files(table.path)[0].path)
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(VerificationFailed, match="people: "):
        lab.verify(manifest)


def test_a_lost_file_is_found(lab: Lab, manifest: SnapshotManifest) -> None:
    Path(lab.tables.data_files(manifest.table("people").path)[0].path).unlink()
    with pytest.raises(VerificationFailed, match="people: the table or one of its files cannot be read"):
        lab.verify(manifest)


@pytest.mark.parametrize("change", [{"legal_basis": "another"}, {"taken_at": "2020"}, {"position": {}}])
def test_a_changed_manifest_is_found(lab: Lab, manifest: SnapshotManifest, change: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed, match="snapshot id"):
        lab.verify(replace(manifest, **change))


def test_no_bare_hash_leaves(manifest: SnapshotManifest) -> None:
    said = json.dumps(public_summary(manifest))
    hashes = manifest.table("people").hashes
    assert manifest.table("people").commitment in said
    assert hashes.files not in said
    assert hashes.rows not in said


def test_equal_tables_of_two_snapshots_have_unlike_commitments(lab: Lab, manifest: SnapshotManifest) -> None:
    other = lab.take(run_id="run-2")
    assert other.table("people").hashes.rows == manifest.table("people").hashes.rows
    assert other.table("people").commitment != manifest.table("people").commitment


def test_the_secret_lies_wrapped(lab: Lab, manifest: SnapshotManifest) -> None:
    stored = json.loads(lab.tables.read_bytes(f"{lab.layout.snapshots('clinic')}/run-1/secret.json"))
    assert set(stored) == {"wrapped", "wrapping_key"}
    assert len(lab.keys.unwrap(stored["wrapping_key"], stored["wrapped"])) == 32


def test_a_finished_run_repeats_to_the_same_manifest(lab: Lab, manifest: SnapshotManifest) -> None:
    assert lab.take(reader=KilledSources()) == manifest


def test_a_killed_run_repeats_whole_and_without_leftovers(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    with pytest.raises(KilledError):
        lab.take(reader=KilledSources())
    half = f"{lab.layout.raw_table('clinic', 'run-1', 'half')}"
    lab.tables.replace(half, lab.tables.spark.range(3))

    unfinished = read_manifest(lab.tables, lab.layout, "clinic", "run-1")
    manifest = lab.take()

    assert unfinished is None
    lab.verify(manifest)
    assert lab.tables.list_folder(lab.layout.raw_snapshot("clinic", "run-1")) == ["people"]


def test_runs_that_never_finished_are_removed(lab: Lab, manifest: SnapshotManifest) -> None:
    with pytest.raises(KilledError):
        lab.take(run_id="run-2", reader=KilledSources())
    lab.tables.replace(lab.layout.raw_table("clinic", "run-3", "half"), lab.tables.spark.range(3))

    left = find_leftovers("clinic", running=["run-3"], tables=lab.tables, layout=lab.layout)
    for run in left:
        remove_leftover("clinic", run, tables=lab.tables, layout=lab.layout)

    assert left == ("run-2",)
    assert find_leftovers("clinic", running=[], tables=lab.tables, layout=lab.layout) == ("run-3",)
    lab.verify(manifest)


def test_an_operational_snapshot_is_erased_without_a_trace(lab: Lab, manifest: SnapshotManifest) -> None:
    expire_snapshot(manifest, tables=lab.tables, layout=lab.layout)
    assert lab.left() == []


def test_another_run_s_snapshot_stays(lab: Lab, manifest: SnapshotManifest) -> None:
    kept = lab.take(run_id="run-2")
    expire_snapshot(manifest, tables=lab.tables, layout=lab.layout)
    assert list_manifests(lab.tables, lab.layout, "clinic") == [kept]
    lab.verify(kept)


def test_vacuum_never_removes_what_a_kept_manifest_names(lab: Lab, manifest: SnapshotManifest) -> None:
    table = manifest.table("people")
    lab.tables.replace(table.path, lab.tables.spark.range(3))
    lab.tables.replace(table.path, lab.tables.spark.range(2))
    before = set(lab.tables.list_folder(table.path))
    remove_strays(ports_of(lab), "clinic", manifest.run_id, table.name)
    assert before - set(lab.tables.list_folder(table.path))  # the version between
    lab.verify(manifest)


STUDY = {"retention": RetentionClass.STUDY, "legal_basis": "45 CFR 164.512(i), protocol 17"}


def test_a_study_needs_a_legal_basis(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    with pytest.raises(ConfigurationError, match="legal_basis"):
        lab.take(lab.spec(retention=RetentionClass.STUDY))
    assert lab.left() == []


def test_a_study_is_archived_under_a_lock_and_reads_again_from_the_archive(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    manifest = lab.take(lab.spec(**STUDY))
    until = datetime(2027, 1, 31, 2, 0, tzinfo=UTC)
    archived = list(lab.objects.list("snapshots/clinic/run-1/"))
    for info in archived:
        target = lab.folder / "again" / info.key.removeprefix("snapshots/clinic/run-1/")
        target.parent.mkdir(parents=True, exist_ok=True)
        lab.objects.get_file(info.key, target)

    assert {lab.objects.info(info.key).locked_until for info in archived} == {until}
    assert parse_manifest((lab.folder / "again" / "manifest.json").read_bytes()) == manifest
    again = lab.tables.read(str(lab.folder / "again" / "tables" / "people"), manifest.table("people").version)
    assert sorted(row["id"] for row in again.collect()) == ["a", "b"]
    with pytest.raises(NotAllowed):
        lab.objects.delete("snapshots/clinic/run-1/manifest.json")


def ports_of(lab: Lab) -> PortsInHand:
    registry = SqliteRegistry(lab.folder / "registry.db")
    return cast(
        PortsInHand,
        SimpleNamespace(tables=lab.tables, layout=lab.layout, keys=lab.keys, objects=lab.objects, registry=registry),
    )


def test_a_study_is_verified_from_the_archive_where_the_lake_has_it_no_more(lab: Lab) -> None:
    """No configuration is asked: what is verified years later may be of a source that nobody declares any more."""
    lab.write("people.csv", GOOD)
    manifest = lab.take(lab.spec(**STUDY))
    assert verify_one_snapshot(ports_of(lab), manifest.snapshot_id)["read_from"] == "lake"
    shutil.rmtree(lab.layout.root)
    found = verify_one_snapshot(ports_of(lab), manifest.snapshot_id)
    assert (found["read_from"], found["source"], found["tables"]) == ("archive", "clinic", 1)
    (data,) = [path for path in (lab.folder / "objects").rglob("body") if ".parquet" in str(path)]
    data.chmod(0o644)
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(VerificationFailed, match="people"):
        verify_one_snapshot(ports_of(lab), "run-1")
    with pytest.raises(VerificationFailed, match="no such snapshot"):
        verify_one_snapshot(ports_of(lab), "run-2")


def test_a_study_is_not_erased_and_the_basis_is_said(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    manifest = lab.take(lab.spec(**STUDY))
    with pytest.raises(NotAllowed, match=r"45 CFR 164\.512"):
        expire_snapshot(manifest, tables=lab.tables, layout=lab.layout)
    lab.verify(manifest)


def test_archiving_again_adds_nothing(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    lab.take(lab.spec(**STUDY))
    before = [asdict(info) for info in lab.objects.list("snapshots/")]
    lab.take(lab.spec(**STUDY), study_retention=timedelta(days=10))
    assert [asdict(info) for info in lab.objects.list("snapshots/")] == before


NESTED = """
    SELECT 'a' AS id, named_struct('city', 'Barre', 'lines', array('x', NULL)) AS address, map('k', 1) AS tags,
           CAST(1.23456789 AS decimal(38,18)) AS price, TIMESTAMP '1900-01-01 00:00:00.123456' AS seen, X'00FF' AS image,
           '{"mrn": [1, {"a": null}]}' AS payload, DATE '9999-12-31' AS until, CAST(NULL AS double) AS nothing"""


@pytest.mark.parametrize("kind", [SourceKind.PARQUET, SourceKind.DELTA])
def test_columns_of_every_type_survive(lab: Lab, kind: SourceKind) -> None:
    rows = lab.tables.spark.sql(NESTED)
    rows.write.format(kind.value).save(str(lab.source / "things"))

    manifest = lab.take(lab.spec(TableSpec(name="things", primary_key=("id",)), kind=kind))

    lab.verify(manifest)
    assert lab.rows(manifest, "things") == [row.asDict(recursive=True) for row in rows.collect()]


def test_a_delta_source_is_read_at_one_version(lab: Lab) -> None:
    lab.tables.replace(str(lab.source / "t"), lab.tables.spark.range(3))
    lab.tables.replace(str(lab.source / "t"), lab.tables.spark.range(5))
    spec = lab.spec(TableSpec(name="t"), kind=SourceKind.DELTA)
    newest, pinned = lab.take(spec), lab.take(replace(spec, read={"version.t": "0"}), run_id="run-2")
    assert (newest.position, pinned.position) == ({"table t": "version 1"}, {"table t": "version 0"})
    assert (newest.table("t").hashes.row_count, pinned.table("t").hashes.row_count) == (5, 3)


CHANGED = {
    "a number that became text": ("'1' AS n", {"n": "int"}, "declared int, is string"),
    "a time that became a date": ("DATE '2020-01-01' AS n", {"n": "timestamp"}, "declared timestamp, is date"),
    "a number that became wider": ("1L AS n", {"n": "int"}, "declared int, is bigint"),
    "money with too many decimals": ("CAST(1.505 AS decimal(9,3)) AS n", {"n": "decimal(9,2)"}, "n: 1 values do not fit"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_type_is_refused(lab: Lab, case: str) -> None:
    select, types, said = CHANGED[case]
    lab.tables.spark.sql(f"SELECT {select}").write.parquet(str(lab.source / "t"))
    with pytest.raises(ContractBroken) as caught:
        lab.take(lab.spec(TableSpec(name="t", types=types), kind=SourceKind.PARQUET))
    assert said in str(caught.value)


def test_a_zip_column_of_numbers_comes_as_text_with_a_warning(lab: Lab) -> None:
    lab.tables.spark.sql("SELECT 'a' AS id, 5401 AS ZIP").write.parquet(str(lab.source / "people"))
    spec = lab.spec(replace(PEOPLE, types={"ZIP": "string"}), kind=SourceKind.PARQUET)
    manifest = lab.take(spec)
    assert lab.rows(manifest)[0]["ZIP"] == "5401"
    assert "people.ZIP" in manifest.extra["warnings"]
