"""What practices are held to at every start and every merge, at one desk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from tests.integration.practices_desk import Desk, make_desk, patient, visit, with_clock
from tests.servers.postgres import PostgresServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.entitlements import Entitlement, WarehouseRole
from wardlake.model.errors import ConfigurationError, ContractBroken, RunLocked, StorageUnavailable, WardlakeError
from wardlake.model.practices import Lane, PostgresCapture
from wardlake.pipelines.practices import ingest
from wardlake.pipelines.practices.capture import ONE_CAPTURE, capture
from wardlake.pipelines.practices.content import find_speaking
from wardlake.pipelines.practices.freshness import alarm_clock, alarm_silence, document, look, text_of
from wardlake.pipelines.practices.ingest import OUTLASTED, prepare_tables
from wardlake.pipelines.practices.onboard import onboard, release
from wardlake.pipelines.practices.unite import MERGED, unite
from wardlake.practices.log_entries import Problem


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two practices with a patient and a visit each; every test leaves both ready."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("patients/001", patient("I", 1, "north"), patient("I", 2, "south"))
        made.drop("visits/001", visit("I", 1, "north", "first"), visit("I", 2, "south", "first", of=2))
        made.capture()
        made.let_in("north", "south")
        made.work()
        yield made


def test_a_type_that_changed_is_named_and_nothing_is_written(desk: Desk) -> None:
    tables, layout = desk.practices.ports.tables, desk.practices.ports.layout
    before = [tables.current_version(layout.practice_table("clinics", name)) for name in ("patients", "visits")]
    with pytest.raises(ConfigurationError) as refused:
        prepare_tables(desk.reopened(patient="string", ward="string"), str)
    assert "visits.patient: bigint is there, string is declared" in refused.value.what
    assert [tables.current_version(layout.practice_table("clinics", name)) for name in ("patients", "visits")] == before


def test_another_number_of_buckets_is_refused(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="visits: 2 buckets are there, 4 are declared"):
        prepare_tables(desk.reopened(buckets=4), str)


def test_a_new_slot_is_refused_where_there_is_none_and_nobody_is_set_aside(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="have no slot"):
        onboard(desk.practices, [], every=True, snapshot=True, new_slot=True, told=str)
    assert [desk.standing(each)[0] for each in ("north", "south")] == ["ready", "ready"]


def test_a_new_slot_is_refused_beside_a_capture_and_nobody_is_set_aside(desk: Desk) -> None:
    """PostgreSQL does not drop a slot that is read; by then everybody would stand aside."""
    by_slot = PostgresCapture(dsn="env:UNUSED", slot="unused", publication="unused")
    practices = replace(desk.practices, spec=replace(desk.practices.spec, capture=by_slot))
    acts = len(desk.records("practices.begun-again"))
    with desk.practices.ports.registry.lock(ONE_CAPTURE.format(source="clinics")), pytest.raises(RunLocked):
        onboard(practices, [], every=True, snapshot=True, new_slot=True, told=str)
    assert [desk.standing(each)[0] for each in ("north", "south")] == ["ready", "ready"]
    assert (desk.practices.queue.epoch(), len(desk.records("practices.begun-again"))) == (0, acts)


def test_after_a_hole_nobody_goes_on_who_was_not_read_anew(desk: Desk) -> None:
    desk.practices.queue.begin_again("to be read anew")
    with pytest.raises(ConfigurationError, match="would leave a hole: north, south"):
        release(desk.practices, ["north", "south"])
    with pytest.raises(ConfigurationError, match="changes of before are lost"):
        desk.let_in("west")
    desk.sql("UPDATE wardlake.captures SET epoch = 0")
    assert release(desk.practices, ["north", "south"]) == ["north", "south"]


def test_what_is_merged_is_computed_before_the_table_is_held(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other lane waits for the merge alone."""
    seen: list[str] = []
    computed, lock = DeltaTables.computed, ingest.table_lock

    @contextmanager
    def compute(*given: Any) -> Iterator[DataFrame]:
        with computed(*given) as rows:
            seen.append("computed")
            yield rows

    def hold(*given: Any) -> AbstractContextManager[None]:
        seen.append("held")
        return lock(*given)

    desk.drop("visits/002", visit("U", 1, "north", "again"))
    desk.capture()
    ingest.prepare_tables(desk.practices, str)
    monkeypatch.setattr(DeltaTables, "computed", compute)
    monkeypatch.setattr(ingest, "prepare_tables", lambda *_: None)
    monkeypatch.setattr(ingest, "table_lock", hold)
    desk.work(Lane.STEADY)
    assert seen == ["computed", "held"]


def test_who_is_in_already_is_not_let_in_without_their_rows(desk: Desk) -> None:
    before = len(desk.records("practices.onboarded"))
    with pytest.raises(ConfigurationError, match="in already, and their rows are not read: 'north'") as refused:
        desk.let_in("newcomer", "north")
    assert ("wardlake practices release" in str(refused.value.next_step), desk.practices.queue.states(["newcomer"])) == (True, [])
    assert len(desk.records("practices.onboarded")) == before


def test_a_practice_whose_name_reads_as_another_s_is_not_let_in(desk: Desk) -> None:
    with pytest.raises(ConfigurationError) as refused:
        desk.let_in("North ")
    assert "'North ' and 'north'" in refused.value.what


@pytest.mark.parametrize("days", [-2, 2])
def test_a_machine_s_clock_that_jumps_is_said_and_moves_nothing(desk: Desk, days: int) -> None:
    jumped = with_clock(desk.practices, timedelta(days=days))
    desk.beat()
    capture(jumped, until_idle=True, told=str)
    captured_to = desk.practices.queue.captured_to()
    assert captured_to is not None
    assert abs((desk.practices.queue.now() - captured_to).total_seconds()) < timedelta(hours=1).total_seconds()
    board = document(jumped, look(jumped))
    assert board["clock_differs"] == pytest.approx(days * 86_400, abs=30)
    assert "clock differs from the queue's" in text_of(board)
    assert [alarm_clock(jumped, str) for _ in range(2)] == [True, True]
    assert document(desk.practices, look(desk.practices))["clock_differs"] == 0


def test_a_service_that_drops_nothing_any_more_ends_no_day_and_people_hear_of_it(desk: Desk) -> None:
    desk.beat()
    desk.capture()
    captured_to = desk.practices.queue.captured_to()
    desk.capture()  # of a folder in which nothing comes
    assert captured_to is not None
    assert (desk.practices.queue.captured_to(), alarm_silence(desk.practices, str)) == (captured_to, False)
    impatient = replace(desk.practices, spec=replace(desk.practices.spec, silent_hours=1e-6))
    assert alarm_silence(impatient, str)
    assert f"{captured_to:%Y-%m-%d %H:%M}" in desk.pages()[-1]["title"]
    desk.beat()
    desk.capture()
    assert desk.practices.queue.captured_to() > captured_to
    desk.sql("UPDATE wardlake.captures SET captured_to = NULL")
    assert not alarm_silence(impatient, str)  # nothing was captured yet


def test_a_column_that_is_told_no_more_sets_aside_whose_rows_change_and_leaves_their_rows(desk: Desk) -> None:
    whole = visit("U", 1, "north", "renamed")
    lacking = {name: value for name, value in whole[1].items() if name != "kind"}
    desk.drop("visits/055", ("U", {**lacking, "sort": "wellness"}))
    desk.drop("visits/056", visit("U", 2, "south", "untouched", of=2))
    desk.ingest()
    assert desk.standing("north") == ("quarantined", Problem.COLUMN_GONE.value)
    (state,) = desk.practices.queue.states(["north"])
    assert state.tables == ("visits.kind",)
    assert (desk.rows("visits", "north")[1]["kind"], desk.notes("south")[2]) == ("wellness", "untouched")
    assert [page["lines"][0] for page in desk.pages() if "columns no more" in page["title"]] == ["visits.kind"]
    release(desk.practices, ["north"])
    desk.work(Lane.STEADY)
    assert desk.standing("north")[0] == "quarantined"
    desk.drop("visits/057", whole)
    desk.capture()
    release(desk.practices, ["north"])
    desk.work(Lane.STEADY)
    assert (desk.standing("north")[0], desk.notes("north")[1]) == ("ready", "renamed")


def test_a_practice_that_went_into_another_ends_once_its_rows_are_there(desk: Desk) -> None:
    desk.drop("visits/050", visit("I", 50, "east", "moves"))
    desk.capture()
    desk.let_in("east")
    desk.work(Lane.BACKFILL)
    until = datetime.now(UTC) + timedelta(days=1)
    granted = Entitlement(
        source="clinics",
        user="manager",
        practice="east",
        role=WarehouseRole.MANAGER,
        begins=datetime(2026, 1, 1, tzinfo=UTC),
        until=until,
        granted_by="steward",
        granted_at=datetime(2026, 1, 1, tzinfo=UTC),
        reason="test",
    )
    desk.practices.ports.entitlements.grant([granted])
    desk.marts("east", "south")
    with pytest.raises(ContractBroken) as refused:
        unite(desk.practices, "east", "south", told=str)
    assert refused.value.which == ("visits",)
    desk.drop("visits/051", visit("U", 50, "south", "moves"))
    desk.capture()
    with pytest.raises(ConfigurationError, match="Changes of 'east' wait"):
        unite(desk.practices, "east", "south", told=str)
    desk.work(Lane.STEADY)
    assert desk.mart_practices("visits") == {"east", "south"}
    done = unite(desk.practices, "east", "south", told=str)
    assert (done["entitlements_ended"], desk.practices.ports.entitlements.find(practice="east")) == (1, [])
    assert desk.mart_practices("visits") == {"south"}
    assert desk.notes("south")[50] == "moves"
    assert desk.standing("east") == ("quarantined", MERGED)
    board = document(desk.practices, look(desk.practices))
    assert (board["not_let_in"], "east" in {each["practice"] for each in board["practices"]}) == ([], False)
    assert unite(desk.practices, "east", "south", told=str)["merged"] == "east"  # what a crash left is finished
    assert desk.records("practices.merged")[0]["entitlements"] == 1


def test_of_all_who_are_to_be_let_in_those_with_names_that_read_the_same_stop_nobody(desk: Desk) -> None:
    desk.drop("visits/060", visit("I", 60, "NORTH", "whose?"), visit("I", 61, "newcomer", "comes"))
    desk.capture()
    done = onboard(desk.practices, (), every=True, snapshot=False, new_slot=False, told=str)
    assert done["alike"] == [("NORTH", "north")]
    assert ("newcomer" in done["practices"], "north" in done["practices"]) == (True, False)  # who is in already is not let in
    assert desk.standing("NORTH")[0] == "quarantined"
    desk.work()
    assert desk.notes("newcomer") == {61: "comes"}


def test_a_practice_that_no_application_survives_is_set_aside_with_the_table_it_stood_at(desk: Desk) -> None:
    desk.drop("visits/070", visit("I", 70, "north", "kills"))
    desk.capture()
    for _ in range(3):  # as applications that die while they merge: nothing is given back
        lease = desk.practices.queue.take(Lane.STEADY, replace(desk.practices.spec.steady, lease_seconds=0))
        assert lease is not None
        desk.practices.queue.renew(lease, 0, merging="visits")
    desk.drop("visits/071", visit("I", 71, "south", "goes on"))
    desk.capture()
    left = desk.practices.queue.take(Lane.STEADY, replace(desk.practices.spec.steady, slots=2))  # by one that dies later
    assert left is not None
    assert [piece.practice for piece in left.pieces] == ["north"]
    desk.work(Lane.STEADY)
    desk.practices.queue.give_back(left, has_lapsed=True)
    done = desk.work(Lane.STEADY)
    assert done.set_aside == ["north"]
    assert desk.notes("south")[71] == "goes on"
    assert desk.standing("north") == ("quarantined", OUTLASTED)
    page = desk.pages()[-1]
    assert (page["title"], page["lines"]) == (f"Practice north is set aside: {OUTLASTED}", ["lane steady", "visits"])
    desk.practices.queue.release(["north"])
    desk.work(Lane.STEADY)
    assert desk.notes("north")[70] == "kills"


def test_a_group_stays_with_an_application_that_lives_however_long_it_takes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.drop("visits/080", visit("I", 80, "north", "slow"))
    desk.capture()
    brief = replace(desk.practices.spec.steady, lease_seconds=10, slots=2)
    hurried = replace(desk.practices, spec=replace(desk.practices.spec, steady=brief))
    seen: list[object] = []

    def slow(*given: Any) -> Any:
        time.sleep(24)  # more than two leases
        seen.append(desk.practices.queue.take(Lane.STEADY, brief))
        return find_speaking(*given)

    monkeypatch.setattr(ingest, "find_speaking", slow)
    done = ingest.work(hurried, Lane.STEADY, until_idle=True, told=str)
    assert (seen, done.pieces, desk.notes("north")[80]) == ([None], 1, "slow")


@pytest.mark.parametrize(
    ("problem", "lapses"),
    [
        (Py4JNetworkError("Answer from Java side is empty"), 1),
        (WardlakeError("Content cannot be looked into: Py4JJavaError (details withheld)."), 1),
        (MemoryError(), 1),
        (StorageUnavailable("The store does not answer."), 0),
        (SystemExit(143), 0),
    ],
    ids=lambda given: type(given).__name__,
)
def test_who_is_more_than_the_engine_can_take_is_counted_as_who_hangs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, problem: BaseException, lapses: int
) -> None:
    desk.drop(f"visits/09-{type(problem).__name__}", visit("I", 90, "north", "too much"))
    desk.capture()

    def too_much(*_: Any) -> None:
        raise problem

    with monkeypatch.context() as patch, pytest.raises(type(problem)):
        patch.setattr(ingest, "find_speaking", too_much)
        desk.work(Lane.STEADY)
    lease = desk.practices.queue.take(Lane.STEADY, desk.practices.spec.steady)
    assert lease is not None
    assert [(piece.practice, piece.lapses) for piece in lease.pieces] == [("north", lapses)]
    desk.practices.queue.give_back(lease)
    desk.work(Lane.STEADY)
    assert desk.notes("north")[90] == "too much"


def test_a_store_that_is_away_while_the_log_is_read_is_nobody_s_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.drop("visits/10-away", visit("I", 100, "north", "waits"))
    desk.capture()

    def away(*_: Any) -> None:
        raise PySparkException("Connection refused")

    with monkeypatch.context() as patch, pytest.raises(StorageUnavailable, match="The change log cannot be read"):
        patch.setattr(ingest, "summarise", away)
        desk.work(Lane.STEADY)
    lease = desk.practices.queue.take(Lane.STEADY, desk.practices.spec.steady)
    assert lease is not None
    assert [(piece.practice, piece.lapses) for piece in lease.pieces] == [("north", 0)]
    desk.practices.queue.give_back(lease)
    desk.work(Lane.STEADY)
    assert desk.notes("north")[100] == "waits"
