"""A dataset whose record was written, and whose run died before readers were pointed to it, is not answered for what they saw."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from tests.spec.retention.test_retention_apply import LONG_AGO, NOW, YESTERDAY, Lake

from wardlake.audit.archive import published_as_of, query_records
from wardlake.model.audit import AuditKind
from wardlake.model.zones import Zone
from wardlake.pipelines.unseen import PUBLISHING, note_all_seen, refuse_unseen
from wardlake.publish.pointer import Pointer, write_pointer


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """`ds-1` is what readers see, and run `late` died after it recorded `ds-2`."""
    lake = Lake(tmp_path / "lake")
    lake.publish("ds-1")
    lake.record(AuditKind.DATASET_PUBLISHED, LONG_AGO, run="run-of-ds-1", dataset="ds-1")
    begin(lake, "late", "ds-2", LONG_AGO)
    return lake


def begin(lake: Lake, run: str, dataset: str, at: datetime) -> None:
    lake.run(run, at)
    lake.ports().registry.put(PUBLISHING, run, {"at": at.isoformat(), "recording": True})
    lake.record(AuditKind.DATASET_PUBLISHED, at, run=run, dataset=dataset)


def point(lake: Lake, run: str, dataset: str) -> None:
    pointer = Pointer(dataset_id=dataset, run_id=run, published_at=NOW.isoformat(), tables={})
    write_pointer(lake.ports().tables, lake.ports().layout, Zone.DEV, "clinic", pointer)


def refused(lake: Lake) -> list[tuple[str, str]]:
    records = query_records(lake.ports().audit_objects)
    return [(r.event.run_id, r.event.dataset_id) for r in records if r.event.kind is AuditKind.RUN_REFUSED]


def seen(lake: Lake) -> list[str]:
    return [record.event.dataset_id for record in published_as_of(lake.ports().audit_objects, zone="", on=NOW.date())]


def test_when_its_run_is_given_up_the_audit_says_that_nobody_saw_it(lake: Lake) -> None:
    lake.apply()
    assert refused(lake) == [("late", "ds-2")]
    assert seen(lake) == ["ds-1"]


def test_one_that_readers_were_pointed_to_before_its_run_died_was_seen(lake: Lake) -> None:
    point(lake, "late", "ds-2")
    lake.apply()
    assert refused(lake) == []
    assert seen(lake) == ["ds-2"]


def test_it_was_seen_also_where_another_run_has_moved_the_pointer_since(lake: Lake) -> None:
    point(lake, "late", "ds-2")
    note_all_seen(lake.ports(), "clinic")  # what every run does first under the lock
    point(lake, "other", "ds-3")
    lake.apply()
    assert refused(lake) == []


def test_a_run_that_makes_other_rows_refuses_what_it_recorded_before_and_not_what_it_publishes(lake: Lake) -> None:
    lake.record(AuditKind.DATASET_PUBLISHED, YESTERDAY, run="late", dataset="ds-3")
    for _ in range(2):
        refuse_unseen(lake.ports(), "late", actor="os:x", but="ds-3")
    assert refused(lake) == [("late", "ds-2")]
    assert seen(lake) == ["ds-3"]


def test_a_run_that_recorded_nothing_is_given_up_without_a_word(lake: Lake) -> None:
    lake.run("idle", LONG_AGO)
    lake.apply()
    assert refused(lake) == [("late", "ds-2")]
