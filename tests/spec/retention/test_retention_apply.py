"""What `wardlake retention apply` removes, what it never touches, and that its record comes first. Folders only, no Spark."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pytest
from tests.spec.publish.folder_tables import FolderTables

from wardlake.audit.archive import query_records
from wardlake.audit.records import archive_key
from wardlake.audit.retention import set_hold
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable, NotAllowed, RunLocked
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.zones import Zone
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.retention import apply_retention, describe
from wardlake.ports.clock import Clock
from wardlake.ports.objects import Lock
from wardlake.ports.tables import Tables
from wardlake.publish.archive import Copy, archive_dataset, archived_copies
from wardlake.publish.pointer import Pointer, read_pointer, write_pointer
from wardlake.runs.engine import load_run, lock_name, save_run
from wardlake.runs.states import Run, RunState, StepRecord
from wardlake.settings.environment import Environment, Retention, SystemIdentity
from wardlake.snapshot.manifest import manifest_bytes, manifest_path
from wardlake.snapshot.retention import taking_lock
from wardlake.wiring import Wiring

NOW = datetime(2026, 6, 30, 2, tzinfo=UTC)
LONG_AGO, YESTERDAY = NOW - timedelta(days=100), NOW - timedelta(days=1)


@dataclass
class FixedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


class Ports(Wiring):
    """Embedded ports on a day of the test's choice, over folders."""

    at = NOW

    @cached_property
    def clock(self) -> Clock:
        return FixedClock(self.at)

    @cached_property
    def tables(self) -> Tables:
        return cast(Tables, FolderTables())


class LaterPorts(Ports):
    at = NOW + timedelta(days=7 * 366)


@dataclass
class Lake:
    """A lake that a test lays out by hand."""

    folder: Path
    roles: tuple[str, ...] = ("pipeline",)
    retention: Retention = Retention()  # noqa: RUF009  frozen

    def ports(self, kind: type[Ports] = Ports) -> Ports:
        environment = Environment(name="embedded", identity=SystemIdentity(roles={"*": self.roles}), retention=self.retention)
        return kind(environment=environment, lake=str(self.folder), root=self.folder)

    def apply(self, *, dry_run: bool = False, kind: type[Ports] = Ports) -> dict[str, Any]:
        return apply_retention(self.ports(kind), self.retention, dry_run=dry_run)

    def file(self, name: str, text: str = "rows") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def snapshot(self, run: str, taken: datetime, retention: str = "operational") -> None:
        manifest = SnapshotManifest(
            snapshot_id=f"id-of-{run}", source="clinic", run_id=run, taken_at=taken.isoformat(), schema_version="1",
            position={}, retention=retention, legal_basis="trial 7" if retention == "study" else "", tables=(),
        )  # fmt: skip
        self.file(f"raw/clinic/{run}/patients/part-0.parquet")
        path = Path(manifest_path(self.ports().layout, "clinic", run))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest_bytes(manifest))

    def run(self, run_id: str, started: datetime, state: RunState = RunState.HALTED, **steps: StepRecord) -> None:
        begun = Run(
            run_id=run_id, plan=PLAN.name, source="clinic", arguments={}, started_at=started.isoformat(), actor="os:x",
            state=state, steps=steps,
        )  # fmt: skip
        save_run(self.ports().registry, begun)

    def record(self, kind: AuditKind, at: datetime, *, run: str = "", dataset: str = "") -> int:
        event = AuditEvent(kind=kind, actor="os:x", at=at.isoformat(), run_id=run, dataset_id=dataset)
        return self.ports().trail.append(event).sequence

    def hold(self, *, run: str = "", dataset: str = "") -> None:
        ports = self.ports()
        records = query_records(ports.audit_objects, run_id=run, dataset_id=dataset)
        event = AuditEvent(kind=AuditKind.HOLD_SET, actor="os:x", at=NOW.isoformat(), run_id=run, dataset_id=dataset)
        set_hold(ports.trail, ports.audit_objects, records, held=True, event=event)

    def archive(self, dataset: str, run: str, until: datetime) -> None:
        self.file(f"aside/{dataset}/patients/part-0.parquet")
        archive_dataset(
            self.ports().tables, self.ports().objects, folder=str(self.folder / "aside" / dataset), copy=Copy(dataset, run),
            retain_until=until, storage_class="",
        )  # fmt: skip

    def publish(self, *datasets: str, previous: tuple[str, ...] = ()) -> None:
        """Datasets that lie in dev; the first is the one that readers see."""
        for dataset in datasets:
            self.file(f"dev/clinic/datasets/{dataset}/patients/part-0.parquet")
            self.file(f"dev/clinic/datasets/{dataset}/dataset.json", "{}")
        pointer = Pointer(
            dataset_id=datasets[0], run_id=f"run-of-{datasets[0]}", published_at=NOW.isoformat(), tables={"patients": 0},
            previous=previous,
        )  # fmt: skip
        write_pointer(self.ports().tables, self.ports().layout, Zone.DEV, "clinic", pointer)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def over(done: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["what"], each["name"]) for each in done["over"]]


def applied(lake: Lake) -> list[Any]:
    records = query_records(lake.ports().audit_objects)
    return [record.event for record in records if record.event.kind is AuditKind.RETENTION_APPLIED]


def test_with_nothing_past_its_time_nothing_is_removed_or_recorded(lake: Lake) -> None:
    lake.snapshot("run-1", YESTERDAY)
    lake.publish("ds-1")
    before = lake.names()
    done = lake.apply()
    assert (done["over"], done["audit_sequence"], describe(done)) == ([], None, "nothing is past its time")
    assert {name for name in lake.names() if not name.startswith("restricted/registry.db")} >= before
    assert applied(lake) == []


def test_an_operational_snapshot_goes_in_its_time_and_a_study_s_never(lake: Lake) -> None:
    lake.snapshot("old", LONG_AGO)
    lake.snapshot("new", YESTERDAY)
    lake.snapshot("trial", LONG_AGO, retention="study")
    done = lake.apply()
    assert over(done) == [("snapshot", "old")]
    assert {path.name for path in (lake.folder / "raw" / "clinic").iterdir()} == {"new", "trial"}
    assert {path.name for path in (lake.folder / "restricted" / "snapshots" / "clinic").iterdir()} == {"new", "trial"}
    (event,) = applied(lake)
    assert event.details["removed"] == {"snapshot": ["clinic/old"]}


def test_a_dry_run_says_the_same_and_touches_nothing(lake: Lake) -> None:
    lake.snapshot("old", LONG_AGO)
    lake.file("staging/dead/dataset/patients/part-0.parquet")
    said = lake.apply(dry_run=True)
    assert over(said) == [("snapshot", "old"), ("staging", "dead")]
    assert not said["applied"]
    assert describe(said).startswith("would remove  snapshot")
    assert applied(lake) == []
    assert (lake.folder / "raw" / "clinic" / "old").is_dir()
    assert over(lake.apply()) == over(said)
    assert lake.apply()["over"] == []


def test_what_an_unfinished_snapshot_left_goes_unless_it_is_being_taken(lake: Lake) -> None:
    lake.file("raw/clinic/dead/patients/part-0.parquet")
    lake.file("raw/clinic/busy/patients/part-0.parquet")
    with lake.ports().registry.lock(taking_lock("clinic", "busy")):
        assert over(lake.apply()) == [("raw-leftover", "dead")]
    assert over(lake.apply()) == [("raw-leftover", "busy")]


def test_the_tables_of_practices_are_no_unfinished_snapshot(lake: Lake) -> None:
    layout = lake.ports().layout
    for table in (layout.change_log("clinic"), layout.practice_table("clinic", "patients")):
        lake.file(f"{Path(table).relative_to(lake.folder)}/part-0.parquet")
    assert lake.apply()["over"] == []
    assert len(list((lake.folder / "raw" / "clinic").rglob("part-0.parquet"))) == 2


def test_a_study_whose_manifest_is_lost_in_the_lake_is_left_alone_while_the_archive_has_it(lake: Lake) -> None:
    lake.file("raw/clinic/trial/patients/part-0.parquet")
    lake.ports().objects.put("snapshots/clinic/trial/manifest.json", b"{}", lock=Lock(until=NOW + timedelta(days=9000)))
    assert lake.apply()["over"] == []


def test_a_run_that_can_go_on_keeps_its_snapshot_its_staging_and_what_it_sealed(lake: Lake) -> None:
    sealed = StepRecord(outcome={"dataset_id": "ds-sealed"}, fingerprint="", wall_seconds=0, cpu_seconds=0)
    lake.run("halted", YESTERDAY, seal=sealed)
    lake.snapshot("halted", LONG_AGO)
    lake.file("staging/halted/dataset/patients/part-0.parquet")
    lake.file("restricted/known_values/halted/part-0.parquet")
    lake.publish("ds-now", "ds-sealed")
    assert lake.apply()["over"] == []


def test_a_run_that_nobody_went_on_with_is_over_with_all_it_left(lake: Lake) -> None:
    lake.run("given-up", LONG_AGO)
    lake.snapshot("given-up", LONG_AGO)
    lake.file("staging/given-up/dataset/patients/part-0.parquet")
    lake.file("restricted/known_values/given-up/part-0.parquet")
    assert over(lake.apply()) == [
        ("run", "given-up"), ("snapshot", "given-up"), ("staging", "given-up"), ("known-values", "given-up"),
    ]  # fmt: skip
    ended = load_run(lake.ports().registry, "given-up")
    assert ended is not None
    assert ended.state is RunState.REFUSED
    assert not [name for name in lake.names() if "given-up" in name]


def test_a_refused_dataset_leaves_quarantine_in_its_time(lake: Lake) -> None:
    for run, at in (("old", LONG_AGO), ("new", YESTERDAY)):
        lake.record(AuditKind.DATASET_QUARANTINED, at, run=run)
        lake.file(f"staging/quarantine/{run}/patients/part-0.parquet")
        lake.file(f"restricted/known_values/{run}/part-0.parquet")
    lake.file("staging/quarantine/unknown/patients/part-0.parquet")
    assert over(lake.apply()) == [("quarantined-dataset", "old"), ("known-values", "old")]
    assert {path.name for path in (lake.folder / "staging" / "quarantine").iterdir()} == {"new", "unknown"}


def test_versions_beyond_those_kept_leave_the_zone_and_the_pointer_first(lake: Lake) -> None:
    lake.publish("ds-3", "ds-2", "ds-1", "ds-orphan", previous=("ds-2", "ds-1"))
    done = lake.apply()
    assert over(done) == [("dataset", "ds-1"), ("dataset", "ds-orphan")]
    pointer = read_pointer(lake.ports().tables, lake.ports().layout, Zone.DEV, "clinic")
    assert pointer is not None
    assert (pointer.dataset_id, pointer.previous) == ("ds-3", ("ds-2",))
    assert {path.name for path in (lake.folder / "dev" / "clinic" / "datasets").iterdir()} == {"ds-3", "ds-2"}


def test_an_archived_dataset_goes_in_its_time_but_not_while_readers_see_it(lake: Lake) -> None:
    lake.archive("ds-old", "run-old", LONG_AGO)
    lake.archive("ds-seen", "run-of-ds-seen", LONG_AGO)
    lake.archive("ds-young", "run-young", NOW + timedelta(days=1))
    lake.publish("ds-seen")
    for run in ("run-old", "run-of-ds-seen", "run-young"):
        lake.file(f"restricted/known_values/{run}/part-0.parquet")
    assert over(lake.apply()) == [("archived-dataset", "ds-old/run-old"), ("known-values", "run-old")]
    assert [copy.dataset_id for copy in archived_copies(lake.ports().objects)] == ["ds-seen", "ds-young"]


def test_a_copy_of_a_run_that_was_over_before_it_published_goes(lake: Lake) -> None:
    lake.publish("ds-1")
    for run, state in (("dead", RunState.REFUSED), ("after-its-record", RunState.REFUSED), ("halted", RunState.HALTED)):
        lake.run(run, YESTERDAY, state)
        lake.archive("ds-1", run, NOW + timedelta(days=9))
    lake.record(AuditKind.DATASET_PUBLISHED, YESTERDAY, run="after-its-record", dataset="ds-1")
    assert over(lake.apply()) == [("archived-dataset", "ds-1/dead")]


def test_a_copy_that_was_never_whole_goes(lake: Lake) -> None:
    lake.archive("ds-1", "run-1", NOW + timedelta(days=9))
    lake.ports().objects.put("datasets/ds-1/run-dead/files/patients/part-0.parquet", b"rows")
    assert over(lake.apply()) == [("archived-dataset", "ds-1/run-dead")]
    assert archived_copies(lake.ports().objects) == [Copy("ds-1", "run-1")]


def test_what_a_legal_hold_keeps_stays_and_is_said(lake: Lake) -> None:
    lake.record(AuditKind.SNAPSHOT_CREATED, LONG_AGO, run="run-1")
    lake.record(AuditKind.DATASET_PUBLISHED, LONG_AGO, run="run-1", dataset="ds-1")
    lake.hold(dataset="ds-1")
    lake.snapshot("run-1", LONG_AGO)
    lake.archive("ds-1", "run-1", LONG_AGO)
    lake.publish("ds-2", "ds-1")
    before = lake.names()
    done = lake.apply()
    assert done["over"] == []
    assert {each["what"] for each in done["held"]} == {"snapshot", "archived-dataset", "dataset"}
    assert "held: stays" in describe(done)
    assert before <= lake.names()


def test_a_copy_that_the_store_itself_holds_stays(lake: Lake) -> None:
    lake.archive("ds-1", "run-1", LONG_AGO)
    lake.ports().objects.set_hold("datasets/ds-1/run-1/files/patients/part-0.parquet", True)
    assert lake.apply()["over"] == []


def test_audit_records_go_when_their_lock_has_ended_and_the_rest_is_one_chain(lake: Lake) -> None:
    for number in range(3):
        lake.record(AuditKind.SNAPSHOT_CREATED, NOW, run=f"run-{number}")
    left = lake.apply(kind=LaterPorts)
    assert (left["over"], [each["what"] for each in left["left"]]) == ([], ["audit-records"])
    assert "left to another role" in describe(left)
    done = replace(lake, roles=("compliance",)).apply(kind=LaterPorts)
    assert over(done) == [("audit-records", "the 2 oldest")]
    objects = lake.ports().audit_objects
    assert verify_archive(objects, head=lake.ports().audit_sink.head()).ok
    assert archive_key(1) not in [found.key for found in objects.list("audit/records/")]


def test_without_the_record_nothing_is_removed(lake: Lake) -> None:
    lake.snapshot("old", LONG_AGO)
    lake.record(AuditKind.SNAPSHOT_CREATED, NOW, run="run-1")
    (lake.folder / "audit" / "records.db").unlink()
    shutil.rmtree(lake.folder / "audit" / "objects" / "audit", onerror=_despite_modes)
    (lake.folder / "audit" / "objects" / "audit").write_text("where the records' folder was")
    with pytest.raises(AuditUnavailable) as refused:
        lake.apply()
    assert refused.value.exit_code == 16
    assert (lake.folder / "raw" / "clinic" / "old").is_dir()


def _despite_modes(_: Any, path: str, __: Any) -> None:
    Path(path).parent.chmod(0o755)
    Path(path).chmod(0o755)
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


@pytest.mark.parametrize("lock", ["retention", lock_name(PLAN, "clinic")])
def test_it_is_refused_beside_itself_and_beside_a_refresh(lake: Lake, lock: str) -> None:
    lake.snapshot("old", LONG_AGO)
    with lake.ports().registry.lock(lock), pytest.raises(RunLocked) as refused:
        lake.apply()
    assert refused.value.exit_code == 21
    assert (lake.folder / "raw" / "clinic" / "old").is_dir()


def test_compliance_removes_audit_records_and_nothing_else(lake: Lake) -> None:
    lake.snapshot("old", LONG_AGO)
    done = replace(lake, roles=("compliance",)).apply()
    assert (done["over"], [each["name"] for each in done["left"]]) == ([], ["old"])
    assert (lake.folder / "raw" / "clinic" / "old").is_dir()


def test_it_takes_a_role(lake: Lake) -> None:
    with pytest.raises(NotAllowed):
        replace(lake, roles=("engineer",)).apply()
