"""What the queue of practices promises where turns meet: giants, leases of two lanes, what is tried again, locks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.contract.work_queue_steps import GIANT, SMALL, arrive, state, take, taken
from tests.servers.postgres import Database

from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.model.practices import Lane, LaneSpec, Standing
from wardlake.ports.work_queue import WorkQueue


@pytest.fixture
def queue(pipeline_database: Database) -> WorkQueue:
    made = PostgresWorkQueue(pipeline_database.dsn, "clinics")
    made.onboard(["north"], Lane.STEADY)
    return made


def test_who_is_to_wait_is_tried_with_ever_more_until_all_that_waits_was_tried(queue: WorkQueue) -> None:
    for _ in range(8):
        arrive(queue, {"north": 10})
    tried, standing = [], Standing.READY
    while standing is Standing.READY:
        lease = take(queue, rows=15)
        tried += taken(lease)
        found = queue.set_aside(lease, "north", Standing.WAITING, reason="an update before its insert", tables=["visits"])
        assert found is not None
        standing = found
    assert (tried, standing) == ([("north", 20), ("north", 40), ("north", 80)], Standing.WAITING)
    assert queue.take(Lane.STEADY, LaneSpec(rows=15)) is None
    arrive(queue, {"north": 10})
    lease = take(queue, rows=15)
    assert taken(lease) == [("north", 90)]  # what mends it is what came last
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    for _ in range(3):
        arrive(queue, {"north": 10})
    assert taken(take(queue, rows=15)) == [("north", 20)]


def test_capture_and_applications_that_keep_their_leases_wait_for_each_other_at_most(
    queue: WorkQueue, pipeline_database: Database
) -> None:
    names = [f"p{n:03}" for n in range(500)]
    queue.onboard(names, Lane.STEADY)
    arrive(queue, dict.fromkeys(names, 1))
    lease = take(queue, practices=500)

    def keep() -> list[bool]:
        own = PostgresWorkQueue(pipeline_database.dsn, "clinics")
        return [own.renew(lease, 60) for _ in range(20)]

    def capture() -> list[int]:
        own = PostgresWorkQueue(pipeline_database.dsn, "clinics")
        return [arrive(own, dict.fromkeys(reversed(names), 1)) for _ in range(20)]

    with ThreadPoolExecutor(2) as threads:
        kept, captured = threads.submit(keep), threads.submit(capture)
    assert (kept.result(), len(captured.result())) == ([True] * 20, 20)


def test_giants_go_by_themselves_and_neither_they_nor_small_ones_wait_for_more_than_their_turn(queue: WorkQueue) -> None:
    small = [f"small{number:02}" for number in range(30)]
    queue.onboard(["first", "middle", *small], Lane.BACKFILL)
    arrive(queue, {"first": GIANT + 1})
    arrive(queue, dict.fromkeys(small[:15], GIANT))
    arrive(queue, {"middle": GIANT})
    arrive(queue, {"middle": GIANT})
    arrive(queue, dict.fromkeys(small[15:], GIANT))
    served = []
    while (lease := queue.take(Lane.BACKFILL, LaneSpec(rows=10**6), giant_rows=GIANT)) is not None:
        served.append([piece.practice for piece in lease.pieces])
        assert queue.complete(lease, lease.pieces, small_rows=0)
        if len(served) == 1:
            arrive(queue, {"first": 2 * GIANT})
    assert served == [["first"], small, ["middle"], ["first"]]


def test_a_lease_has_its_own_length_though_its_practice_goes_into_another_lane(queue: WorkQueue) -> None:
    arrive(queue, {"north": 1})
    lease = take(queue, lease_seconds=600)
    arrive(queue, {"north": GIANT})
    assert state(queue).lane is Lane.BACKFILL
    assert queue.take(Lane.BACKFILL, LaneSpec(lease_seconds=120)) is None
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
