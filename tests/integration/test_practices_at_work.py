"""What practices are held to at every start and every merge, at one desk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Desk, make_desk, patient, visit
from tests.servers.postgres import PostgresServer

from wardlake.model.entitlements import Entitlement, WarehouseRole
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.capture import capture
from wardlake.pipelines.practices.freshness import alarm_clock, document, look, text_of
from wardlake.pipelines.practices.ingest import prepare_tables
from wardlake.pipelines.practices.onboard import onboard, release
from wardlake.pipelines.practices.opening import Practices
from wardlake.pipelines.practices.unite import MERGED, unite
from wardlake.wiring import Wiring


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
        prepare_tables(desk.reopened(patient="string", ward="string"))
    assert "visits.patient: bigint is there, string is declared" in refused.value.what
    assert [tables.current_version(layout.practice_table("clinics", name)) for name in ("patients", "visits")] == before


def test_another_number_of_buckets_is_refused(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="visits: 2 buckets are there, 4 are declared"):
        prepare_tables(desk.reopened(buckets=4))


def test_a_new_slot_is_refused_where_there_is_none_and_nobody_is_set_aside(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="have no slot"):
        onboard(desk.practices, [], every=True, snapshot=True, new_slot=True, told=str)
    assert [desk.standing(each)[0] for each in ("north", "south")] == ["ready", "ready"]


def test_after_a_hole_nobody_goes_on_who_was_not_read_anew(desk: Desk) -> None:
    desk.practices.queue.begin_again("to be read anew")
    with pytest.raises(ConfigurationError, match="would leave a hole: north, south"):
        release(desk.practices, ["north", "south"])
    with pytest.raises(ConfigurationError, match="changes of before are lost"):
        desk.let_in("west")
    desk.sql("UPDATE wardlake.captures SET epoch = 0")
    assert release(desk.practices, ["north", "south"]) == ["north", "south"]


def test_a_practice_whose_name_reads_as_another_s_is_not_let_in(desk: Desk) -> None:
    with pytest.raises(ConfigurationError) as refused:
        desk.let_in("North ")
    assert "'North ' and 'north'" in refused.value.what


@dataclass
class SetClock:
    """A clock that is so far from the system's."""

    ahead: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def with_clock(practices: Practices, ahead: timedelta) -> Practices:
    ports = practices.ports
    assert isinstance(ports, Wiring)
    other = replace(ports)
    other.__dict__["clock"] = SetClock(ahead)  # as the cached port
    return replace(practices, ports=other)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_machine_s_clock_that_jumps_is_said_and_moves_nothing(desk: Desk, days: int) -> None:
    jumped = with_clock(desk.practices, timedelta(days=days))
    capture(jumped, until_idle=True, told=str)
    captured_to = desk.practices.queue.captured_to()
    assert captured_to is not None
    assert abs((desk.practices.queue.now() - captured_to).total_seconds()) < timedelta(hours=1).total_seconds()
    board = document(jumped, look(jumped))
    assert board["clock_differs"] == pytest.approx(days * 86_400, abs=30)
    assert "clock differs from the queue's" in text_of(board)
    assert [alarm_clock(jumped, str) for _ in range(2)] == [True, True]
    assert document(desk.practices, look(desk.practices))["clock_differs"] == 0


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
