"""Nothing happens before its record lies in both sinks, in one chain, whoever writes at the same time."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.spec.audit.conftest import SIX_YEARS, Archive, SetClock, acted

from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.sqlite_audit_sink import SqliteAuditSink
from wardlake.audit.archive import read_records
from wardlake.audit.records import GENESIS, archive_key, decode_record, encode_record
from wardlake.audit.scan import AuditRefused
from wardlake.audit.trail import AuditTrail, with_record
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditEvent
from wardlake.model.errors import NotAllowed

Make = Callable[..., AuditEvent]


def test_records_form_one_chain_in_both_sinks(archive: Archive, event: Make) -> None:
    first, second = archive.trail.append(event()), archive.trail.append(event(zone="raw"))
    assert (first.sequence, first.previous) == (1, GENESIS)
    assert (second.sequence, second.previous) == (2, first.hash)
    assert list(read_records(archive.objects)) == [first, second]
    bodies = [entry.body.encode() for entry in archive.sink.records()]
    assert bodies == [archive.objects.get(archive_key(number)) for number in (1, 2)]


def test_a_record_reads_back_as_it_was_written(archive: Archive, event: Make) -> None:
    record = archive.trail.append(event(details={"β": [1, 2.5, None, True, {"x": "y"}]}))
    assert decode_record(encode_record(record)) == record


def test_a_record_is_locked_for_six_years(archive: Archive, event: Make) -> None:
    archive.trail.append(event())
    assert archive.objects.info(archive_key(1)).locked_until == archive.clock.at + SIX_YEARS
    archive.clock.at += SIX_YEARS - timedelta(seconds=1)
    with pytest.raises(NotAllowed):
        archive.objects.delete(archive_key(1))


def test_a_record_lies_in_the_storage_class_that_was_chosen(archive: Archive, event: Make) -> None:
    trail = AuditTrail(archive.objects, archive.sink, archive.clock, retention=SIX_YEARS, storage_class="STANDARD_IA")
    trail.append(event())
    info = archive.objects.info(archive_key(1))
    assert (info.storage_class, info.locked_until) == ("STANDARD_IA", archive.clock.at + SIX_YEARS)


def test_the_action_happens_after_its_record_and_is_given_it(archive: Archive, event: Make) -> None:
    seen = with_record(archive.trail, event(), lambda record: (record, list(read_records(archive.objects))))
    assert seen == (seen[0], [seen[0]])


def test_an_event_that_may_hold_a_value_stops_the_action_and_is_in_no_sink(archive: Archive, event: Make) -> None:
    with pytest.raises(AuditRefused):
        archive.trail.append(event(details={"note": "999-54-3801"}))
    assert not acted(archive.trail, event(details={"note": "999-54-3801"}))
    assert list(archive.objects.list("")) == []
    assert archive.sink.head() is None


def test_without_the_archive_nothing_happens(archive: Archive, event: Make) -> None:
    archive.trail.append(event())
    shutil.move(archive.folder / "objects", archive.folder / "away")
    (archive.folder / "objects").write_text("a file where the folder was")
    assert not acted(archive.trail, event())


def broken_sink(archive: Archive) -> AuditTrail:
    (archive.folder / "file").write_text("a file where the folder should be")
    return AuditTrail(archive.objects, SqliteAuditSink(archive.folder / "file" / "audit.db"), archive.clock, retention=SIX_YEARS)


def test_without_the_table_nothing_happens(archive: Archive, event: Make) -> None:
    assert not acted(broken_sink(archive), event())


def test_a_record_that_reached_only_the_archive_reaches_the_table_before_the_next(archive: Archive, event: Make) -> None:
    archive.trail.append(event())
    lost = archive.trail.append(event(run_id="lost"))
    fresh = SqliteAuditSink(archive.folder / "restored.db")  # a table restored from before any record
    trail = AuditTrail(archive.objects, fresh, archive.clock, retention=SIX_YEARS)
    third = trail.append(event())
    assert third.previous == lost.hash
    assert [entry.sequence for entry in fresh.records()] == [1, 2, 3]


@pytest.mark.parametrize("damage", ["removed", "replaced", "reforged"])
def test_an_archive_that_disagrees_with_the_table_takes_no_record(archive: Archive, event: Make, damage: str) -> None:
    archive.trail.append(event())
    archive.trail.append(event())
    version = archive.folder / "objects" / f"{archive_key(2)}@000001"
    version.chmod(0o755)
    shutil.rmtree(version)
    match damage:
        case "replaced":
            archive.objects.put(archive_key(2), b"{}")
        case "reforged":
            other = AuditTrail(archive.objects, SqliteAuditSink(archive.folder / "other.db"), archive.clock, retention=SIX_YEARS)
            other.append(event(zone="raw"))
    assert not acted(archive.trail, event())


def _append_ten(folder: Path, event: AuditEvent) -> None:
    clock = SetClock()
    trail = AuditTrail(
        DirectoryObjects(folder / "objects", clock=clock),
        SqliteAuditSink(folder / "audit.db"),
        clock,
        retention=SIX_YEARS,
    )
    for _ in range(10):
        trail.append(event)


def test_three_processes_write_one_chain_without_a_gap(archive: Archive, event: Make) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_ten, args=(archive.folder, event(run_id=f"w{n}"))) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    result = verify_archive(archive.objects, head=archive.sink.head())
    assert (result.records, result.ok) == (30, True)
    runs = [record.event.run_id for record in read_records(archive.objects)]
    assert {run: runs.count(run) for run in ("w0", "w1", "w2")} == {"w0": 10, "w1": 10, "w2": 10}
