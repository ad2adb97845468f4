"""A dataset is visible whole, after every gate, or not at all: also when the run is killed anywhere."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import DataType, LongType, StringType, StructField, StructType
from tests.spec.publish.folder_tables import FolderTables
from tests.spec.publish.staging_script import publication, stage_folders

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.errors import AuditUnavailable, VerificationFailed, WardlakeError
from wardlake.model.snapshots import TableHashes
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.tables import Tables
from wardlake.publish.pointer import open_dataset, read_pointer
from wardlake.publish.staging import dataset_id, publish_dataset, quarantine_dataset, recover

SCRIPT = Path(__file__).with_name("staging_script.py")
FOLDERS = cast(Tables, FolderTables())


def publish(layout: LakeLayout, number: int) -> None:
    stage_folders(layout, number)
    publish_dataset(FOLDERS, layout, publication(number), record=lambda: None)


def everything_below(lake: Path) -> dict[str, str]:
    """Every file and folder of the lake with its content."""
    paths = sorted(lake.rglob("*"))
    return {str(p.relative_to(lake)): p.read_text() if p.is_file() else "" for p in paths}


def read_whole(layout: LakeLayout) -> set[str]:
    """The dataset numbers that one reader sees over all the tables it opened."""
    opened = open_dataset(FOLDERS, layout, Zone.DEV, "clinic")
    return {Path(path, "_delta_log/0.json").read_text().split()[-1] for path in opened.values()}


def test_a_published_dataset_is_opened_through_the_pointer(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    assert open_dataset(FOLDERS, layout, Zone.DEV, "clinic") == {
        "patients": f"{tmp_path}/dev/clinic/datasets/ds-1/patients",
        "visits": f"{tmp_path}/dev/clinic/datasets/ds-1/visits",
    }
    assert not list(Path(layout.zone(Zone.STAGING)).iterdir())


def test_the_dataset_before_stays_and_older_ones_go(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    for number in (1, 2, 3):
        publish(layout, number)
    assert sorted(p.name for p in (tmp_path / "dev/clinic/datasets").iterdir()) == ["ds-2", "ds-3"]
    pointer = read_pointer(FOLDERS, layout, Zone.DEV, "clinic")
    assert pointer is not None
    assert (pointer.dataset_id, pointer.previous) == ("ds-3", ("ds-2",))


def test_publishing_the_same_rows_again_leaves_their_files_alone(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    folder = tmp_path / "dev/clinic/datasets/ds-1"
    before = folder.stat().st_ino
    publish(layout, 1)
    assert folder.stat().st_ino == before
    assert read_whole(layout) == {"1"}


def test_nothing_is_visible_when_the_audit_record_cannot_be_written(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    stage_folders(layout, 2)

    def refuse() -> None:
        raise AuditUnavailable("The audit record cannot be written.")

    with pytest.raises(AuditUnavailable):
        publish_dataset(FOLDERS, layout, publication(2), record=refuse)
    assert read_whole(layout) == {"1"}
    assert [p.name for p in (tmp_path / "dev/clinic/datasets").iterdir()] == ["ds-1"]


def test_a_missing_staged_table_stops_the_publication(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    stage_folders(layout, 1)
    FOLDERS.delete_folder(layout.staged_table("dev-1", "visits"))
    recorded: list[str] = []
    with pytest.raises(WardlakeError, match="visits"):
        publish_dataset(FOLDERS, layout, publication(1), record=lambda: recorded.append("dev-1"))
    assert not (tmp_path / "dev").exists()
    assert recorded == []


def test_a_run_that_made_other_rows_since_publishes_them(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    stage_folders(layout, 2)
    recorded: list[str] = []
    for _ in range(2):
        changed = replace(publication(2), run_id="dev-1")
        FOLDERS.move_folder(layout.staged_dataset("dev-2"), layout.staged_dataset("dev-1"))
        publish_dataset(FOLDERS, layout, changed, record=lambda: recorded.append("ds-2"))
        assert read_whole(layout) == {"2"}
        stage_folders(layout, 2)
    assert recorded == ["ds-2"]


@pytest.mark.parametrize("order", ["first", "second", "third"])
def test_killed_anywhere_and_run_again_ends_in_the_same_state(tmp_path: Path, order: str) -> None:
    """Killed before every single write in turn, by SIGKILL: a reader sees old or new, and a rerun leaves nothing over."""
    number = {"first": 1, "second": 2, "third": 3}[order]
    expected = tmp_path / "expected"
    prepare(expected, number)
    run(expected, number, -1)
    dies_before = 0
    while True:
        lake = tmp_path / f"dies-before-{dies_before}"
        prepare(lake, number)
        if run(lake, number, dies_before) == 0:
            break
        seen_between = (
            set() if number == 1 and not (lake / "dev/clinic/current.json").exists() else read_whole(LakeLayout(str(lake)))
        )
        assert seen_between in (set(), {str(number - 1)}, {str(number)})
        assert is_recorded(lake, number) or not (lake / f"dev/clinic/datasets/ds-{number}").exists()
        assert run(lake, number, -1) == 0
        assert everything_below(lake) == everything_below(expected)
        dies_before += 1
    assert dies_before >= 6  # recovery, record, move, manifest, pointer, staging: the loop met every one


def prepare(lake: Path, number: int) -> None:
    """A lake in which the datasets before `number` are published, and a run that died earlier left its staging."""
    layout = LakeLayout(str(lake))
    for earlier in range(1, number):
        publish(layout, earlier)
    stage_folders(layout, number)
    stage_folders(layout, 9)


def is_recorded(lake: Path, number: int) -> bool:
    audit = lake / "audit.txt"
    return audit.exists() and f"dev-{number}" in audit.read_text().split()


def run(lake: Path, number: int, dies_before: int) -> int:
    done = subprocess.run(
        [sys.executable, SCRIPT, lake, str(number), str(dies_before)], check=False, capture_output=True, text=True
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def test_a_reader_beside_a_publisher_sees_old_or_new_never_a_mix(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    done = threading.Event()
    seen: list[set[str]] = []
    failures: list[Exception] = []

    def read_on() -> None:
        while not done.is_set():
            try:
                seen.append(read_whole(layout))
            except Exception as error:
                failures.append(error)

    reader = threading.Thread(target=read_on)
    reader.start()
    for number in range(2, 9):
        publish(layout, number)
        count = len(seen)  # the second read from here on began after the pointer moved: older ones may still be under way
        while len(seen) < count + 2 and not failures:
            pass
    done.set()
    reader.join()
    assert failures == []
    assert all(len(one) == 1 for one in seen)
    assert {number for one in seen for number in one} >= {"2", "8"}


def test_a_quarantined_dataset_lies_where_no_reader_of_the_zone_can_list(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    stage_folders(layout, 1)
    folder = quarantine_dataset(FOLDERS, layout, "dev-1", ["patients.NOTE: 3 cells of ssn"])
    again = quarantine_dataset(FOLDERS, layout, "dev-1", ["patients.NOTE: 3 cells of ssn"])
    assert folder == again == f"{tmp_path}/staging/quarantine/dev-1"
    assert sorted(p.name for p in Path(folder).iterdir()) == ["patients", "reasons.json", "visits"]
    assert not (tmp_path / "dev").exists()
    recover(FOLDERS, layout, zone=Zone.DEV, source="clinic", live_runs=())
    assert Path(folder).exists()


def test_recovery_leaves_live_runs_and_recorded_datasets_alone(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    for number in (1, 2, 3):
        stage_folders(layout, number)
    FOLDERS.move_folder(layout.staged_dataset("dev-2"), layout.dataset(Zone.DEV, "clinic", "ds-2"))
    FOLDERS.move_folder(layout.staged_dataset("dev-3"), layout.dataset(Zone.DEV, "clinic", "ds-3"))
    removed = recover(FOLDERS, layout, zone=Zone.DEV, source="clinic", live_runs={"dev-1"}, keep={"ds-3"})
    assert sorted(removed) == ["dev-2", "dev-3", "ds-2"]
    assert Path(layout.staged_dataset("dev-1")).exists()


def test_a_damaged_pointer_is_an_error_and_not_an_empty_zone(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    Path(layout.pointer(Zone.DEV, "clinic")).write_text("{")
    with pytest.raises(VerificationFailed):
        open_dataset(FOLDERS, layout, Zone.DEV, "clinic")


def test_what_lies_in_the_zone_names_counts_and_commitments_and_no_bare_hash(tmp_path: Path) -> None:
    layout = LakeLayout(str(tmp_path))
    publish(layout, 1)
    manifest = json.loads((tmp_path / "dev/clinic/datasets/ds-1/dataset.json").read_text())
    assert manifest["tables"][0] == {"name": "patients", "version": 1, "rows": 1, "commitment": "c"}


def columns(**types: DataType) -> dict[str, StructType]:
    return {"patients": StructType([StructField(name, kind) for name, kind in types.items()])}


TEXT = StringType()


def test_a_dataset_has_the_same_name_for_the_same_rows_and_another_under_another_secret() -> None:
    tables = {"patients": TableHashes(files="f", rows="12", row_count=1)}
    laid_out_again = {"patients": TableHashes(files="g", rows="12", row_count=1)}
    other_rows = {"patients": TableHashes(files="f", rows="13", row_count=1)}
    same = columns(id=TEXT, sex=TEXT)
    name = dataset_id(b"s", Zone.DEV, "clinic", tables, same)
    assert name.startswith("ds-")
    assert dataset_id(b"s", Zone.DEV, "clinic", laid_out_again, same) == name
    assert dataset_id(b"s", Zone.DEV, "clinic", other_rows, same) != name
    assert dataset_id(b"t", Zone.DEV, "clinic", tables, same) != name


@pytest.mark.parametrize(
    "other",
    [
        columns(id=TEXT, gender=TEXT),
        columns(sex=TEXT, id=TEXT),
        columns(id=LongType(), sex=TEXT),
        columns(id=TEXT),
        columns(id=TEXT, sex=StructType([StructField("code", TEXT)])),
    ],
)
def test_other_columns_over_the_same_row_sum_are_another_dataset(other: dict[str, StructType]) -> None:
    """A row sum knows no names of columns, and that of an empty table not even their types."""
    empty = {"patients": TableHashes(files="f", rows="0", row_count=0)}
    before = dataset_id(b"s", Zone.DEV, "clinic", empty, columns(id=TEXT, sex=TEXT))
    assert dataset_id(b"s", Zone.DEV, "clinic", empty, other) != before


def test_real_delta_tables_are_staged_published_and_read(spark: SparkSession, tmp_path: Path) -> None:
    tables, layout = DeltaTables(spark), LakeLayout(str(tmp_path))
    frames = {"patients": spark.range(3), "visits": spark.range(5)}
    staged = {name: tables.replace(layout.staged_table("dev-1", name), rows) for name, rows in frames.items()}
    assert staged == {"patients": 0, "visits": 0}
    publish_dataset(tables, layout, publication(1), record=lambda: None)
    opened = open_dataset(tables, layout, Zone.DEV, "clinic")
    assert {name: tables.read(path).count() for name, path in opened.items()} == {"patients": 3, "visits": 5}
