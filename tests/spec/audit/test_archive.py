"""A regulator's questions, the proof that the chain is whole, legal hold and retention."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from tests.spec.audit.conftest import SIX_YEARS, Archive

from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.audit.archive import published_as_of, query_records
from wardlake.audit.records import archive_key, decode_record, encode_record, seal_event
from wardlake.audit.retention import remove_expired, set_hold
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable, NotAllowed, VerificationFailed

Make = Callable[..., AuditEvent]


@pytest.fixture
def five(archive: Archive, event: Make) -> Archive:
    """Five records: two of dev, on two days, a raw one between, another source and a quarantined dataset."""
    archive.trail.append(event(at="2026-01-30T02:00:00+00:00", run_id="r1", dataset_id="d1"))
    archive.trail.append(event(kind=AuditKind.SNAPSHOT_CREATED, zone="raw", run_id="r2", dataset_id=""))
    archive.trail.append(event(at="2026-01-31T23:59:59+00:00", run_id="r2", dataset_id="d2"))
    archive.trail.append(event(at="2026-01-31T03:00:00+00:00", run_id="r3", dataset_id="o1", details={"source": "other"}))
    archive.trail.append(event(kind=AuditKind.DATASET_QUARANTINED, run_id="r4", dataset_id="d3"))
    return archive


@pytest.mark.parametrize(
    ("question", "sequences"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"zone": "dev", "on": date(2026, 1, 31)}, [3, 4, 5]),
        ({"zone": "raw"}, [2]),
        ({"dataset_id": "d2"}, [3]),
        ({"run_id": "r2"}, [2, 3]),
        ({"zone": "dev", "run_id": "r2"}, [3]),
        ({"on": date(2020, 1, 1)}, []),
        ({"zone": "nowhere"}, []),
    ],
)
def test_a_question_is_answered_from_the_archive_alone(five: Archive, question: dict[str, object], sequences: list[int]) -> None:
    (five.folder / "audit.db").unlink()
    assert [record.sequence for record in query_records(five.objects, **question)] == sequences  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("on", "datasets"),
    [
        (date(2026, 1, 29), []),
        (date(2026, 1, 30), ["d1"]),
        (date(2026, 1, 31), ["o1", "d2"]),
        (date(2026, 6, 1), ["o1", "d2"]),
    ],
)
def test_the_dataset_that_readers_saw_on_a_day_is_the_last_published(five: Archive, on: date, datasets: list[str]) -> None:
    assert [record.event.dataset_id for record in published_as_of(five.objects, zone="dev", on=on)] == datasets


def test_without_a_zone_what_readers_saw_is_answered_for_every_zone(five: Archive, event: Make) -> None:
    five.trail.append(event(zone="study", run_id="r5", dataset_id="s1"))
    seen = published_as_of(five.objects, on=date(2026, 1, 31))
    assert [(record.event.zone, record.event.dataset_id) for record in seen] == [("dev", "o1"), ("dev", "d2"), ("study", "s1")]
    assert [record.event.dataset_id for record in published_as_of(five.objects, zone="study", on=date(2026, 1, 31))] == ["s1"]


def test_a_publication_that_nobody_saw_does_not_count_on_any_day(five: Archive, event: Make) -> None:
    refused = {"kind": AuditKind.RUN_REFUSED, "run_id": "r2", "dataset_id": "d2", "details": {"seen": False}}
    five.trail.append(event(at="2026-03-01T02:00:00+00:00", **refused))
    for on in (date(2026, 1, 31), date(2026, 6, 1)):
        assert [record.event.dataset_id for record in published_as_of(five.objects, zone="dev", on=on)] == ["o1", "d1"]


def test_a_dataset_that_its_run_recorded_again_after_it_was_refused_counts(five: Archive, event: Make) -> None:
    five.trail.append(event(kind=AuditKind.RUN_REFUSED, run_id="r2", dataset_id="d2", at="2026-02-01T02:00:00+00:00"))
    five.trail.append(event(run_id="r2", dataset_id="d2", at="2026-02-02T02:00:00+00:00"))
    seen = {on: [r.event.dataset_id for r in published_as_of(five.objects, zone="dev", on=date(2026, 2, on))] for on in (1, 2)}
    assert seen == {1: ["o1", "d1"], 2: ["o1", "d2"]}


# --- verification ------------------------------------------------------------------------------------------------------


def rewrite(archive: Archive, sequence: int, body: bytes | None) -> None:
    """What someone with the disk in hand can do."""
    version = archive.folder / "objects" / f"{archive_key(sequence)}@000001"
    version.chmod(0o755)
    shutil.rmtree(version)
    if body is not None:
        archive.objects.put(archive_key(sequence), body)


def body_of(archive: Archive, sequence: int) -> bytes:
    return archive.objects.get(archive_key(sequence))


def test_a_whole_chain_verifies(five: Archive) -> None:
    for head in (None, five.sink.head()):
        result = verify_archive(five.objects, head=head)
        assert (result.records, result.ok, result.first_bad) == (5, True, 0)


def test_an_empty_archive_is_whole_unless_a_head_is_known(archive: Archive, five: Archive) -> None:
    empty = DirectoryObjects(archive.folder / "empty")
    assert verify_archive(empty).ok
    assert not verify_archive(empty, head=five.sink.head()).ok


@pytest.mark.parametrize("sequence", [1, 3, 5])
@pytest.mark.parametrize("damage", ["value", "spaces", "nonsense", "empty", "other record"])
def test_a_changed_record_is_found(five: Archive, sequence: int, damage: str) -> None:
    body = body_of(five, sequence)
    changed = {
        "value": body.replace(b'"dev"', b'"raw"').replace(b'"dataset.quarantined"', b'"dataset.published"'),
        "spaces": json.dumps(json.loads(body)).encode(),
        "nonsense": b"\xff\x00",
        "empty": b"",
        "other record": body_of(five, 2),
    }[damage]
    rewrite(five, sequence, changed)
    result = verify_archive(five.objects)
    assert (result.ok, result.first_bad) == (False, sequence)


@pytest.mark.parametrize("sequence", [1, 2, 4])
def test_a_removed_record_is_found(five: Archive, sequence: int) -> None:
    rewrite(five, sequence, None)
    result = verify_archive(five.objects)
    assert (result.ok, result.first_bad) == (False, sequence)


def test_a_cut_end_is_found_by_the_head(five: Archive) -> None:
    rewrite(five, 5, None)
    assert verify_archive(five.objects).ok  # the archive alone cannot know
    result = verify_archive(five.objects, head=five.sink.head())
    assert (result.ok, result.first_bad) == (False, 5)


def test_a_chain_forged_anew_from_the_change_on_is_found_by_the_head(five: Archive, event: Make) -> None:
    records = query_records(five.objects)
    previous = records[1].hash
    for record in records[2:]:
        forged = seal_event(event(run_id="forged"), sequence=record.sequence, previous=previous)
        rewrite(five, record.sequence, encode_record(forged))
        previous = forged.hash
    assert verify_archive(five.objects).ok
    assert not verify_archive(five.objects, head=five.sink.head()).ok


def test_a_damaged_archive_answers_no_question(five: Archive) -> None:
    rewrite(five, 3, b"{}")
    with pytest.raises(VerificationFailed, match="damaged"):
        query_records(five.objects)


def test_an_archive_that_is_away_says_so(five: Archive) -> None:
    folder = five.folder / "objects" / "audit" / "records"
    (folder / f"{archive_key(3).rpartition('/')[2]}@000001" / "body").unlink()
    with pytest.raises(AuditUnavailable):
        verify_archive(five.objects)


# --- hold and retention ------------------------------------------------------------------------------------------------


def test_a_hold_is_recorded_first_and_outlasts_the_lock(five: Archive, event: Make) -> None:
    held = query_records(five.objects, dataset_id="d1")
    written = set_hold(five.trail, five.objects, held, held=True, event=event())
    assert (written.sequence, written.event.kind, written.event.details["sequences"]) == (6, AuditKind.HOLD_SET, [1])
    five.clock.at += SIX_YEARS + timedelta(days=1)
    with pytest.raises(NotAllowed):
        five.objects.delete(archive_key(1))
    assert remove_expired(five.trail, five.objects, five.clock, event=event()) == 0
    lifted = set_hold(five.trail, five.objects, held, held=False, event=event())
    assert lifted.event.kind is AuditKind.HOLD_LIFTED
    assert remove_expired(five.trail, five.objects, five.clock, event=event()) == 6


def test_before_its_time_nothing_is_removed_and_nothing_recorded(five: Archive, event: Make) -> None:
    assert remove_expired(five.trail, five.objects, five.clock, event=event()) == 0
    assert verify_archive(five.objects).records == 5


def test_what_is_past_its_time_goes_and_the_rest_still_verifies(five: Archive, event: Make) -> None:
    five.clock.at += timedelta(days=400)
    five.trail.append(event(at="2027-03-07T02:00:00+00:00"))
    five.clock.at += SIX_YEARS - timedelta(days=300)
    assert remove_expired(five.trail, five.objects, five.clock, event=event()) == 5
    result = verify_archive(five.objects, head=five.sink.head())
    assert (result.records, result.ok) == (2, True)
    assert [record.sequence for record in query_records(five.objects)] == [6, 7]


def test_records_removed_without_a_record_of_it_are_found(five: Archive) -> None:
    for sequence in (1, 2):
        rewrite(five, sequence, None)
    assert verify_archive(five.objects).first_bad == 1


def test_records_stay_in_the_table_and_the_trail_goes_on(five: Archive, event: Make) -> None:
    five.clock.at += SIX_YEARS + timedelta(days=1)
    remove_expired(five.trail, five.objects, five.clock, event=event())
    record = five.trail.append(event())
    assert decode_record(body_of(five, record.sequence)) == record
    assert verify_archive(five.objects, head=five.sink.head()).ok
