"""An erasure that breaks off, or that others come between, ends as one that did not: with nothing of the patient anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Desk, cells, make_desk, meanwhile, patient, visit, with_clock
from tests.servers.postgres import PostgresServer

from wardlake.model.errors import ConfigurationError, RunLocked
from wardlake.model.practices import Lane, LaneSpec
from wardlake.pipelines.practices import ingest, marts, quarantine
from wardlake.pipelines.practices.erased import ERASED, UNFINISHED
from wardlake.pipelines.practices.erasure import ERASING, erase_patient
from wardlake.pipelines.practices.freshness import alarm_erasures
from wardlake.pipelines.practices.ingest import TABLE_LOCK, Merged, merge_lease
from wardlake.pipelines.practices.marts import MART_LOCK, build_marts, what_is_built
from wardlake.pipelines.practices.quarantine import QUARANTINE_LOCK

FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = (7_777_770 + number for number in range(1, 7))
SSN = "123-45-6789"
VISITS_TABLE = TABLE_LOCK.format(source="clinics", table="visits")
VISITS_MART = MART_LOCK.format(source="clinics", mart="visits")
VISITS_WAITING = QUARANTINE_LOCK.format(source="clinics", table="visits")


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Of the first patient north has a visit and one that was deleted, west only one that waits; the second has a visit."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("patients/001", patient("I", 1, "north"), patient("I", FIRST, "north", "Zyxwvut"))
        made.drop(
            "visits/001",
            visit("I", 1, "north", "stays"),
            visit("I", 2, "north", "canary note", of=FIRST),
            visit("I", 5_555_555, "north", "canary note", of=FIRST),
            visit("I", 3, "north", "another canary", of=SECOND),
            visit("I", 4, "south", "stays"),
            visit("I", 7, "west", "stays"),
        )
        made.capture()
        made.let_in("north", "south", "west")
        made.work(Lane.BACKFILL)
        made.marts("north", "south", "west")
        made.drop("visits/002", visit("D", 5_555_555, "north"), visit("I", 6, "west", "canary waits", of=FIRST, kind=SSN))
        made.ingest()
        yield made


def visits(desk: Desk) -> dict[str, int]:
    """That the marts count, by practice."""
    rows = desk.mart("visits").groupBy("practice_id").agg({"visits": "sum"}).collect()
    return {row[0]: row[1] for row in rows}


def stages(desk: Desk) -> list[str]:
    return [each["stage"] for each in desk.records("practices.patient-erased")]


def test_nobody_is_erased_whose_rows_a_table_does_not_tell_apart(desk: Desk) -> None:
    raw = dict(desk.practices.admission.raw)
    raw["visits"] = replace(raw["visits"], columns={k: v for k, v in raw["visits"].columns.items() if k != "patient"})
    blocked = replace(desk.practices, admission=replace(desk.practices.admission, raw=raw))
    with pytest.raises(ConfigurationError, match=r"not admitted .*: visits\.patient"):
        erase_patient(blocked, str(FIRST), told=str)
    assert stages(desk) == []


def test_of_whom_nothing_is_here_nothing_is_said_to_be_done(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="Nothing of this patient is here"):
        erase_patient(desk.practices, "7777770", told=str)
    assert stages(desk) == ["begun", "nothing-found"]
    assert desk.practices.ports.registry.find(ERASED) == []


def test_an_erasure_that_breaks_off_is_finished_by_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, queue = desk.practices.ports.registry, desk.practices.queue
    assert visits(desk) == {"north": 4, "south": 1, "west": 1}
    monkeypatch.setattr(ingest, "LOCK_SECONDS", 0.0)
    with registry.lock(VISITS_TABLE), pytest.raises(RunLocked):  # the log has lost the patient, the tables have not
        erase_patient(desk.practices, str(FIRST), told=str)
    queue.hold(["north", "west"], reason=ERASING, tables=())  # as one that was killed leaves them
    with monkeypatch.context() as patch, registry.lock(VISITS_MART):  # nor have the marts, when all else has
        patch.setattr(marts, "LOCK_SECONDS", 0.0)
        with pytest.raises(RunLocked):
            erase_patient(desk.practices, str(FIRST), told=str)
    assert visits(desk) == {"north": 4, "south": 1, "west": 1}
    assert not alarm_erasures(desk.practices, str)  # it may be at work
    tomorrow = with_clock(desk.practices, timedelta(days=1))
    assert alarm_erasures(tomorrow, str)
    page = desk.pages()[-1]
    assert page["title"] == "Erasures of patients of clinics that are not finished: 1"
    assert page["runbook"] == "docs/runbooks/erasure-unfinished.md"
    assert [line.split("UTC: ")[1] for line in page["lines"]] == ["north, west"]
    kept = str(registry.find(UNFINISHED))
    assert ("west" in kept, str(FIRST) in kept, "5555555" in kept) == (True, False, False)
    done = erase_patient(desk.practices, str(FIRST), told=str)
    assert done["practices"] == ["north", "west"]
    assert visits(desk) == {"north": 2, "south": 1, "west": 1}
    everything = cells(desk)
    assert [each for each in (str(FIRST), "5555555", "Zyxwvut", "canary note", "canary waits") if each in everything] == []
    assert (desk.standing("north")[0], registry.find(UNFINISHED)) == ("ready", [])
    assert not alarm_erasures(tomorrow, str)
    assert stages(desk)[2:] == ["begun", "begun", "begun", "done"]


def test_a_mart_read_before_an_erasure_is_not_written_after_it(desk: Desk) -> None:
    before = visits(desk)
    slow = meanwhile(desk.practices, VISITS_MART, lambda: erase_patient(desk.practices, str(SECOND), told=str))
    done = build_marts(slow, ["north"], only=("visits",), again=True, day=date(2024, 1, 31), told=str)
    assert done["built"] == {"visits": 1}
    assert visits(desk) == {**before, "north": before["north"] - 1}


def test_of_two_who_build_the_older_does_not_replace_the_newer(desk: Desk) -> None:
    before = visits(desk)

    def newer() -> None:
        desk.drop("visits/020", visit("I", 20, "north", "stays"))
        desk.ingest()
        desk.marts("north")

    slow = meanwhile(desk.practices, VISITS_MART, newer)
    build_marts(slow, ["north"], only=("visits",), again=True, day=date(2024, 1, 31), told=str)
    assert visits(desk) == {**before, "north": before["north"] + 1}
    assert what_is_built(desk.practices, ["north"]).keys() == {"north"}


def test_an_application_that_read_the_log_before_an_erasure_merges_nothing_after_it(desk: Desk) -> None:
    desk.drop("visits/030", visit("I", 30, "north", "third canary", of=THIRD), visit("I", 31, "south", "goes on"))
    desk.capture()
    lease = desk.practices.queue.take(Lane.STEADY, LaneSpec(lease_seconds=0))  # run out already, and nobody else has it
    assert lease is not None
    slow = meanwhile(desk.practices, VISITS_TABLE, lambda: erase_patient(desk.practices, str(THIRD), told=str))
    done = Merged()
    merge_lease(slow, lease, done, str)
    assert (done.groups, "third canary" in cells(desk)) == (0, False)
    assert desk.work(Lane.STEADY).pieces == 2  # both at once: nobody waits for a lease that was lost
    assert desk.notes("south")[31] == "goes on"
    assert "third canary" not in cells(desk)


def test_what_waits_is_not_shown_by_who_read_it_before_an_erasure(desk: Desk) -> None:
    desk.drop("visits/040", visit("I", 40, "south", "fourth canary", of=FOURTH, kind=SSN))
    desk.capture()
    lease = desk.practices.queue.take(Lane.STEADY, LaneSpec(lease_seconds=0))
    assert lease is not None
    slow = meanwhile(desk.practices, VISITS_WAITING, lambda: erase_patient(desk.practices, str(FOURTH), told=str))
    merge_lease(slow, lease, Merged(), str)
    assert "fourth canary" not in cells(desk)
    assert desk.standing("south") == ("ready", "")
    desk.work(Lane.STEADY)


def test_a_row_that_is_somebody_else_s_by_now_stays_and_tells_nothing_of_who_was_erased(desk: Desk) -> None:
    """Whether what corrects it is merged, waits with it, or waits alone; and of one that became theirs all goes."""
    desk.drop("visits/060", *(visit("I", key, "north", f"fifth canary {key}", of=FIFTH) for key in (60, 61)))
    desk.drop("visits/061", visit("U", 60, "north", "corrected"), visit("I", 63, "north", "was another's"))
    desk.ingest()
    desk.drop("visits/062", visit("U", 61, "north", "corrected"), visit("U", 63, "north", "fifth canary 63", of=FIFTH))
    desk.drop("visits/063", visit("I", 62, "north", "fifth canary 62", of=FIFTH), visit("U", 62, "north", "corrected"))
    desk.capture()
    erase_patient(desk.practices, str(FIFTH), told=str)
    everything = cells(desk)
    assert [each for each in (str(FIFTH), "fifth canary") if each in everything] == []
    desk.work(Lane.STEADY)
    notes = desk.notes("north")
    assert ({key: notes.get(key) for key in (60, 61, 62)}, 63 in notes) == (dict.fromkeys((60, 61, 62), "corrected"), False)
    assert desk.standing("north") == ("ready", "")


def test_of_a_row_that_became_theirs_all_goes_also_after_an_erasure_that_broke_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands as the other's when the log has lost what made it theirs."""
    desk.drop("visits/070", visit("I", 70, "north", "the other's"), visit("I", 71, "north", "the other's, again"))
    desk.ingest()
    desk.drop("visits/071", *(visit("U", key, "north", "sixth canary", of=SIXTH) for key in (70, 71)))
    desk.capture()
    monkeypatch.setattr(ingest, "LOCK_SECONDS", 0.0)
    with desk.practices.ports.registry.lock(VISITS_TABLE), pytest.raises(RunLocked):
        erase_patient(desk.practices, str(SIXTH), told=str)
    desk.drop("visits/072", visit("U", 71, "north", "the other's after all"))
    desk.ingest()
    erase_patient(desk.practices, str(SIXTH), told=str)
    notes = desk.notes("north")
    assert (70 in notes, notes[71]) == (False, "the other's after all")
    assert "sixth canary" not in cells(desk)


def test_a_quarantine_that_cannot_be_written_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "SHOW_SECONDS", 0.0)
    desk.drop("visits/050", visit("I", 50, "north", "merged"), visit("I", 51, "south", "waits", kind=SSN))
    with desk.practices.ports.registry.lock(VISITS_WAITING):
        done = desk.ingest()
    assert (done.pieces, done.set_aside) == (1, ["south"])
    assert (desk.notes("north")[50], desk.standing("south")[0]) == ("merged", "quarantined")
    assert desk.spark.read.format("delta").load(desk.practices.ports.layout.quarantine("clinics", "visits")).count() == 0
    titles = [page["title"] for page in desk.pages()]
    assert [title for title in titles if title.startswith("The quarantine of clinics does not show")] != []
