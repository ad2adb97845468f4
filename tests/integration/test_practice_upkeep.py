"""What nobody needs any more goes under the writers' locks; a patient who is erased is nowhere, was nowhere, and stays away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.contract.test_tables_port import jobs_of
from tests.integration.practices_desk import Desk, cells, make_desk, patient, visit
from tests.servers.postgres import PostgresServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.errors import ConfigurationError, RunLocked
from wardlake.model.practices import Lane
from wardlake.pipelines.practices import capture as capturing
from wardlake.pipelines.practices.capture import LOG_LOCK
from wardlake.pipelines.practices.erasure import erase_patient
from wardlake.pipelines.practices.tidy import SEEN, places, tidy

GONE = 7_777_777
CANARIES = (str(GONE), "Zyxwvut", "canary note", "canary waits")


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two practices that share a patient, and marts; south has a change of that patient waiting in quarantine."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("patients/001", patient("I", 1, "north"), patient("I", GONE, "north", "Zyxwvut"), patient("I", 2, "south"))
        made.drop(
            "visits/001",
            visit("I", 1, "north", "stays"),
            visit("I", 2, "north", "canary note", of=GONE),
            visit("I", 3, "south", "canary note", of=GONE),
            visit("I", 4, "south", "stays", of=2),
            visit("I", 5, "north", "goes"),
        )
        made.capture()
        made.let_in("north", "south")
        made.work(Lane.BACKFILL)
        made.drop("visits/002", visit("D", 5, "north"))
        made.ingest()
        made.marts("north", "south", only=("visits", "panel"))
        made.drop("visits/002-waits", visit("I", 6, "south", "canary waits", of=GONE, kind="123-45-6789"))
        made.ingest()
        yield made


def entries(desk: Desk) -> int:
    return desk.practices.ports.tables.read(desk.practices.log).count()


def visits(desk: Desk) -> dict[str, int]:
    """That the marts count, by practice."""
    rows = desk.mart("visits").groupBy("practice_id").agg({"visits": "sum"}).collect()
    return {row[0]: row[1] for row in rows}


def versions(desk: Desk) -> dict[str, int]:
    return {place.path: desk.practices.ports.tables.current_version(place.path) for place in places(desk.practices)}


def test_nothing_is_tidied_beside_a_writer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capturing, "LOCK_SECONDS", 0.0)
    before = versions(desk)
    with desk.practices.ports.registry.lock(LOG_LOCK.format(source="clinics")), pytest.raises(RunLocked):
        tidy(desk.practices, keep_days=1, told=str)
    assert versions(desk) == before
    with pytest.raises(ConfigurationError, match="a day at least"):
        tidy(desk.practices, keep_days=0, told=str)


def age_tombstones(desk: Desk, *, days: int) -> None:
    """As if they had been merged so long ago."""
    path = desk.practices.ports.layout.practice_table("clinics", "visits")
    then = desk.practices.queue.now() - timedelta(days=days)
    desk.spark.sql(f"UPDATE delta.`{path}` SET wardlake_merged_at = TIMESTAMP '{then:%Y-%m-%d %H:%M:%S}' WHERE wardlake_deleted")


def test_a_delete_that_came_late_is_remembered_for_as_long_as_one_that_came_at_once(desk: Desk) -> None:
    """Its source says that it was committed years ago; what is told later still is older."""
    assert tidy(desk.practices, keep_days=1, told=str)["tombstones"] == 0
    position, desk.position = desk.position, 1
    desk.drop("visits/003", visit("I", 5, "north", "older than its delete"))
    desk.position = position
    desk.ingest()
    assert 5 not in desk.notes("north")


class Watching(DeltaTables):
    """Tables that count the times that every lock of writers was free while files were removed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.spark)
        self.free, self._desk = 0, desk

    def end_history(self, path: str) -> None:
        with ExitStack() as held:
            for lock in {place.lock for place in places(self._desk.practices)}:
                held.enter_context(lock())
            super().end_history(path)
        self.free += 1


def test_files_are_removed_beside_writers_and_at_no_job_a_version(desk: Desk) -> None:
    tables, ports = Watching(desk), copy(desk.practices.ports)
    vars(ports)["tables"] = tables
    practices = replace(desk.practices, ports=ports)
    counts = []
    for name in ("few", "many"):
        for _ in range(15):
            tables.append(practices.log, tables.read(practices.log).limit(0))
        counts.append(jobs_of(desk.spark, name, lambda: tidy(practices, keep_days=1, told=str)))
    assert counts[1] < counts[0] + 15
    assert tables.free == 2 * len(places(practices))


def test_what_is_merged_and_past_its_time_goes_and_what_waits_stays(desk: Desk) -> None:
    queue, registry = desk.practices.queue, desk.practices.ports.registry
    first = tidy(desk.practices, keep_days=1, told=str)
    assert first["entries"] == 0  # what came today is not old, whenever it was committed
    newest = max(state.watermark.batch for state in queue.states())
    registry.put(SEEN, "clinics/2000-01-01", {"at": (queue.now() - timedelta(days=9)).isoformat(), "batch": newest})
    assert tidy(desk.practices, keep_days=10, told=str)["entries"] == 0
    files = len(list(Path(desk.practices.log).glob("*.parquet")))
    age_tombstones(desk, days=9)
    before = entries(desk)
    done = tidy(desk.practices, keep_days=8, told=str)
    assert (done["entries"], entries(desk)) == (before - 1, 1)
    assert len(list(Path(desk.practices.log).glob("*.parquet"))) >= files  # history of so many days is still there
    assert (first["tombstones"], done["tombstones"]) == (0, 1)
    assert desk.table("visits").where("wardlake_deleted").count() == 0
    assert desk.notes("north") == {1: "stays", 2: "canary note"}
    for name in ("visits", "panel"):
        ports = desk.practices.ports
        assert len(ports.tables.data_files(ports.layout.mart("clinics", name))) == len(desk.mart_practices(name)) == 2


def test_a_patient_who_is_erased_is_nowhere_and_was_nowhere(desk: Desk) -> None:
    assert [canary for canary in CANARIES if canary not in cells(desk)] == []
    before = visits(desk)
    done = erase_patient(desk.practices, str(GONE), told=str)
    assert (done["practices"], done["rows"]) == (["north", "south"], 3)
    assert [canary for canary in CANARIES if canary in cells(desk)] == []
    after = visits(desk)
    assert {name: before[name] - after[name] for name in before} == {"north": 1, "south": 1}
    assert (desk.notes("north"), desk.notes("south")) == ({1: "stays"}, {4: "stays"})
    assert desk.standing("north")[0] == "ready"
    recorded = desk.records("practices.patient-erased")
    assert [each["stage"] for each in recorded] == ["begun", "done"]
    assert str(GONE) not in str(recorded)
    assert str(GONE) not in str(desk.practices.ports.registry.find("practice-erased-patients"))


def test_what_is_told_of_a_patient_who_was_erased_is_not_kept_and_people_hear_of_it(desk: Desk) -> None:
    desk.drop("patients/010", patient("U", GONE, "north", "Zyxwvut"), patient("U", 1, "north", "Other"))
    desk.drop("visits/010", visit("I", 10, "north", "canary note", of=GONE), visit("I", 11, "north", "another"))
    desk.ingest()
    assert desk.notes("north") == {1: "stays", 11: "another"}
    assert desk.rows("patients", "north").keys() == {1}
    assert [canary for canary in CANARIES if canary in cells(desk)] == []
    titles = [page["title"] for page in desk.pages()]
    assert titles.count("Practice north tells of a patient who was erased") == 2
