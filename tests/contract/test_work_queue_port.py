"""What the queue of practices promises: turns, leases, slots, watermarks that move once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from tests.contract.work_queue_steps import DAY, GIANT, SMALL, arrive, state, take, taken
from tests.servers.postgres import Database

from wardlake.adapters.postgres_work_queue import UNKNOWN, PostgresWorkQueue
from wardlake.model.practices import Lane, LaneSpec, Lease, Standing
from wardlake.ports.registry import RegistryUnavailable
from wardlake.ports.work_queue import Arrived, WorkQueue

IMPLEMENTATIONS = ("postgres_work_queue",)


@pytest.fixture
def queue(pipeline_database: Database) -> WorkQueue:
    made = PostgresWorkQueue(pipeline_database.dsn, "clinics")
    made.onboard(["north", "south", "west"], Lane.STEADY)
    return made


def test_whom_nobody_let_in_is_told_once(queue: WorkQueue) -> None:
    arrived = {name: Arrived(rows=1, committed_at=DAY) for name in ("north", "stranger", "another")}
    assert queue.enqueue(queue.next_batch(), arrived, giant_rows=GIANT) == ["another", "stranger"]
    assert queue.enqueue(queue.next_batch(), arrived, giant_rows=GIANT) == []


def test_batches_have_growing_numbers(queue: WorkQueue, pipeline_database: Database) -> None:
    assert [queue.next_batch(), queue.next_batch()] == [1, 2]
    assert PostgresWorkQueue(pipeline_database.dsn, "others").next_batch() == 1


def test_what_was_acknowledged_is_remembered(queue: WorkQueue) -> None:
    assert queue.acknowledged() == ""
    queue.acknowledge("17")
    queue.next_batch()
    assert queue.acknowledged() == "17"


def test_work_is_taken_once_and_the_watermark_moves_when_it_is_done(queue: WorkQueue) -> None:
    first = arrive(queue, {"north": 3, "south": 5})
    last = arrive(queue, {"north": 4}, at=DAY + timedelta(minutes=1))
    lease = take(queue)
    assert taken(lease) == [("north", 7), ("south", 5)]
    assert lease.pieces[0].batches == (first, last)
    assert queue.take(Lane.STEADY, LaneSpec(slots=9)) is None
    assert (state(queue).leased, state(queue).rows, state(queue).oldest) == (True, 7, DAY)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    after = state(queue)
    assert (after.leased, after.rows, after.oldest) == (False, 0, None)
    assert (after.watermark.batch, after.watermark.merges, after.watermark.committed_at) == (last, 1, DAY + timedelta(minutes=1))
    assert queue.take(Lane.STEADY, LaneSpec(slots=9)) is None


def test_what_arrives_meanwhile_waits_for_the_next_turn(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3})
    lease = take(queue)
    arrive(queue, {"north": 2})
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert taken(take(queue)) == [("north", 2)]


def test_only_what_was_taken_is_done_though_an_earlier_batch_comes_meanwhile(queue: WorkQueue) -> None:
    early, late = queue.next_batch(), queue.next_batch()
    queue.enqueue(late, {"north": Arrived(rows=3, committed_at=DAY)}, giant_rows=GIANT)
    lease = take(queue)
    queue.enqueue(early, {"north": Arrived(rows=2, committed_at=DAY)}, giant_rows=GIANT)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert [piece.batches for piece in take(queue).pieces] == [(early,)]


def test_what_waits_is_as_old_as_the_oldest_of_it_and_merged_to_the_newest(queue: WorkQueue) -> None:
    arrived = Arrived(rows=3, committed_at=DAY + timedelta(hours=2), first_at=DAY - timedelta(hours=1))
    queue.enqueue(queue.next_batch(), {"north": arrived}, giant_rows=GIANT)
    assert state(queue).oldest == DAY - timedelta(hours=1)
    lease = take(queue)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert state(queue).watermark.committed_at == DAY + timedelta(hours=2)


def test_a_practice_is_not_whole_while_rows_that_were_read_wait(queue: WorkQueue) -> None:
    for _ in range(2):
        queue.enqueue(queue.next_batch(), {"north": Arrived(rows=9, committed_at=DAY)}, giant_rows=GIANT, is_base=True)
    lease = take(queue, rows=9)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert (state(queue).watermark.merges, state(queue).base_waits) == (1, True)
    lease = take(queue)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert not state(queue).base_waits


def test_rows_that_were_read_come_before_every_change(queue: WorkQueue) -> None:
    change, base = queue.next_batch(), queue.next_batch()
    for batch in (change, base):
        queue.enqueue(batch, {"north": Arrived(rows=60, committed_at=DAY)}, giant_rows=GIANT, is_base=batch == base)
    assert [piece.batches for piece in take(queue, rows=50).pieces] == [(base,)]


def test_capture_that_begins_again_sets_everybody_aside_until_they_are_read(queue: WorkQueue) -> None:
    arrive(queue, {"north": 1})
    assert (queue.epoch(), queue.captured_to()) == (0, None)
    queue.caught_up(DAY)
    assert queue.captured_to() == DAY
    lease = take(queue)
    queue.begin_again("to be read anew")
    assert (queue.epoch(), queue.captured_to()) == (1, None)
    assert not queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert {each.standing for each in queue.states()} == {Standing.QUARANTINED}
    queue.onboard(["north"], Lane.BACKFILL, base=2**65)
    assert [piece.base for piece in take(queue, Lane.BACKFILL).pieces] == [2**65]


def test_who_was_let_in_before_capture_began_again_is_not_released_into_a_hole(queue: WorkQueue) -> None:
    arrive(queue, {"north": 1})
    queue.begin_again("to be read anew")
    assert queue.to_read_anew(["north", "stranger"]) == ["north"]
    assert queue.release(["north"]) == []
    queue.onboard(["north"], Lane.BACKFILL, base=2**64 + 5)
    assert queue.to_read_anew(["north"]) == []
    assert queue.set_aside(take(queue, Lane.BACKFILL), "north", Standing.QUARANTINED, reason="a change without a key", tables=[])
    assert queue.release(["north"]) == ["north"]


def test_who_was_met_is_not_let_in(queue: WorkQueue) -> None:
    queue.meet(["east", "north"])
    assert [(each.practice, each.onboarded) for each in queue.states(["east", "north"])] == [("east", False), ("north", True)]


def test_what_comes_while_a_practice_is_set_aside_to_wait_is_not_slept_through(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3})
    lease = take(queue)
    arrive(queue, {"north": 1})
    found = queue.set_aside(lease, "north", Standing.WAITING, reason="an update before its insert", tables=["visits"])
    assert found is Standing.READY
    assert taken(take(queue, rows=1)) == [("north", 4)]


def test_a_batch_that_is_enqueued_twice_waits_once(queue: WorkQueue) -> None:
    batch = queue.next_batch()
    for _ in range(2):
        queue.enqueue(batch, {"north": Arrived(rows=3, committed_at=DAY)}, giant_rows=GIANT)
    assert taken(take(queue)) == [("north", 3)]


def test_a_group_has_its_limits_and_turns_go_round(queue: WorkQueue) -> None:
    for _ in range(3):
        arrive(queue, {"north": 60})
    arrive(queue, {"south": 60})
    arrive(queue, {"west": 30})
    served = []
    while (lease := queue.take(Lane.STEADY, LaneSpec(rows=100))) is not None:
        served.append(taken(lease))
        assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert served == [[("north", 120)], [("south", 60), ("west", 30)], [("north", 60)]]
    arrive(queue, {"north": 1, "south": 1, "west": 1})
    assert [len(take(queue, practices=2).pieces), len(take(queue, practices=2).pieces)] == [2, 1]


def test_one_practice_is_never_in_two_leases(queue: WorkQueue, pipeline_database: Database) -> None:
    names = [f"p{n:03}" for n in range(60)]
    queue.onboard(names, Lane.STEADY)
    arrive(queue, dict.fromkeys(names, 1))
    leases: list[Lease] = []

    def worker() -> None:
        own = PostgresWorkQueue(pipeline_database.dsn, "clinics")
        while (lease := own.take(Lane.STEADY, LaneSpec(slots=99, practices=4))) is not None:
            leases.append(lease)

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert sorted(piece.practice for lease in leases for piece in lease.pieces) == names


def test_a_lane_has_so_many_slots_and_backfill_takes_none_of_steady_s(queue: WorkQueue) -> None:
    queue.onboard(["giant", "other"], Lane.BACKFILL)
    arrive(queue, {"giant": 5, "other": 5, "north": 1, "south": 1})
    backfill = LaneSpec(practices=1)
    assert taken(queue.take(Lane.BACKFILL, backfill)) == [("giant", 5)]
    assert queue.take(Lane.BACKFILL, backfill) is None
    lease = queue.take(Lane.STEADY, LaneSpec(practices=1))
    assert taken(lease) == [("north", 1)]
    assert queue.take(Lane.STEADY, LaneSpec(practices=1)) is None
    assert lease is not None
    queue.give_back(lease)
    assert taken(queue.take(Lane.STEADY, LaneSpec(practices=2))) == [("north", 1), ("south", 1)]


def test_a_giant_leaves_the_steady_lane_until_it_has_caught_up(queue: WorkQueue) -> None:
    for _ in range(3):
        arrive(queue, {"north": 600, "south": 1})
    assert (state(queue).lane, state(queue, "south").lane) == (Lane.BACKFILL, Lane.STEADY)
    assert taken(take(queue)) == [("south", 3)]
    for lane in (Lane.BACKFILL, Lane.BACKFILL, Lane.STEADY):
        lease = take(queue, Lane.BACKFILL, rows=600)
        assert taken(lease) == [("north", 600)]
        assert queue.complete(lease, lease.pieces, small_rows=SMALL)
        assert state(queue).lane is lane


def test_what_a_dead_application_held_is_taken_again_and_its_late_word_moves_nothing(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3, "south": 1})
    dead = take(queue, lease_seconds=0)
    again = take(queue)
    assert again.number > dead.number
    assert taken(again) == taken(dead)
    assert not queue.complete(dead, dead.pieces, small_rows=SMALL)
    assert not queue.set_aside(dead, "north", Standing.QUARANTINED, reason="late", tables=[])
    assert not queue.renew(dead, 60)
    queue.give_back(dead)
    assert state(queue).rows == 3
    assert queue.renew(again, 60)
    assert queue.complete(again, again.pieces, small_rows=SMALL)


def test_a_group_whose_leases_run_out_is_taken_in_ever_smaller_parts(queue: WorkQueue) -> None:
    names = [f"practice{number:02}" for number in range(16)]
    queue.onboard([*names, "aaa"], Lane.STEADY)
    arrive(queue, dict.fromkeys(names, 1))
    assert len(take(queue, practices=16, lease_seconds=0).pieces) == 16
    arrive(queue, {"aaa": 1})
    again = take(queue, practices=16)
    assert [(piece.practice, piece.lapses) for piece in again.pieces] == [(names[0], 1), (names[1], 1)]
    assert queue.complete(again, again.pieces, small_rows=SMALL)
    groups = [[each.practice for each in take(queue, practices=16).pieces] for _ in range(8)]
    assert groups.count(["aaa"]) == 1  # whose lease never ran out is never beside those


def test_who_is_alone_when_its_leases_run_out_is_said_to_be_at_fault_and_where(queue: WorkQueue) -> None:
    arrive(queue, {"north": 1})
    limits = LaneSpec(practices=16, slots=9)
    found = []
    for _ in range(4):
        lease = take(queue, practices=16, lease_seconds=0)
        queue.renew(lease, 0, merging="visits")
        found += [(piece.lapses, piece.merging, limits.gives_up(piece)) for piece in lease.pieces]
    assert found == [(0, "", False), (1, "visits", False), (2, "visits", False), (3, "visits", False)]  # as everybody's do
    arrive(queue, {"south": 1})
    both = {each.pieces[0].practice: each for each in (take(queue), take(queue))}
    assert queue.complete(both["south"], both["south"].pieces, small_rows=SMALL)
    queue.give_back(both["north"], has_lapsed=True)
    lease = take(queue)
    assert [(piece.practice, piece.lapses, limits.gives_up(piece)) for piece in lease.pieces] == [("north", 5, True)]
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    arrive(queue, {"north": 1})
    (piece,) = take(queue).pieces
    assert (piece.lapses, piece.merging) == (0, "")


def test_parts_of_a_lease_are_completed_one_by_one(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3, "south": 1})
    lease = take(queue)
    north, south = lease.pieces
    assert queue.complete(lease, [north], small_rows=SMALL)
    assert not queue.complete(lease, [north, south], small_rows=SMALL)
    assert (state(queue).rows, state(queue, "south").rows, state(queue, "south").leased) == (0, 1, True)
    assert queue.complete(lease, [south], small_rows=SMALL)


def test_a_practice_that_nobody_let_in_waits_in_quarantine_until_it_is(queue: WorkQueue) -> None:
    arrive(queue, {"stranger": 2, "north": 1})
    assert taken(take(queue)) == [("north", 1)]
    found = state(queue, "stranger")
    assert (found.standing, found.reason, found.rows) == (Standing.QUARANTINED, UNKNOWN, 2)
    assert queue.release(["stranger"]) == []
    queue.onboard(["stranger"], Lane.BACKFILL)
    assert taken(take(queue, Lane.BACKFILL)) == [("stranger", 2)]


def test_a_practice_set_aside_keeps_its_work_and_its_reason(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3, "south": 1})
    lease = take(queue)
    assert queue.set_aside(lease, "north", Standing.QUARANTINED, reason="a change without a key", tables=["visits"])
    assert queue.complete(lease, [lease.pieces[1]], small_rows=SMALL)
    arrive(queue, {"north": 2})
    assert queue.take(Lane.STEADY, LaneSpec()) is None
    found = state(queue)
    assert (found.standing, found.reason, found.tables, found.rows) == (
        Standing.QUARANTINED,
        "a change without a key",
        ("visits",),
        5,
    )
    assert queue.release(["north", "south"]) == ["north"]
    assert taken(take(queue)) == [("north", 5)]


def test_what_people_give_up_of_a_practice_is_given_up_to_that_batch_and_of_no_other(queue: WorkQueue) -> None:
    first = arrive(queue, {"north": 3, "south": 1})
    lease = take(queue)
    for name in ("north", "south"):
        assert queue.set_aside(lease, name, Standing.QUARANTINED, reason="a change without a key", tables=["visits"])
    assert queue.release(["north", "west"], without_bad={"north": first, "west": first}) == ["north"]  # west was not aside
    assert queue.release(["south"]) == ["south"]
    arrive(queue, {"north": 1, "west": 1})
    assert {each.practice: each.without_bad_to for each in take(queue).pieces} == {"north": first, "south": 0, "west": 0}
    queue.hold(["north"], reason="another", tables=[])
    queue.release(["north"])
    assert take(queue).pieces[0].without_bad_to == first  # once for all


def test_a_practice_that_is_held_is_lost_to_who_merges_it_and_nobody_takes_it(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3, "south": 2, "stranger": 1})
    lease = take(queue, lease_seconds=0)  # run out, and nobody took it since
    assert queue.renew(lease, 60)
    for _ in range(2):
        queue.hold(["north", "stranger"], reason="a damaged change file", tables=["visits"])
    arrive(queue, {"north": 1})
    assert not queue.renew(lease, 60)
    assert not queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert not queue.set_aside(lease, "north", Standing.QUARANTINED, reason="late", tables=[])
    queue.give_back(lease)
    assert taken(take(queue)) == [("south", 2)]
    assert (state(queue).standing, state(queue).reason) == (Standing.QUARANTINED, "a damaged change file")
    assert state(queue, "stranger").reason == UNKNOWN
    assert queue.release(["north"], reason="another") == []
    assert queue.release(["north"], reason="a damaged change file") == ["north"]
    assert taken(take(queue)) == [("north", 4)]


def test_what_is_left_of_a_lease_can_be_kept(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3, "south": 1})
    lease = take(queue)
    north, south = lease.pieces
    assert queue.complete(lease, [north], small_rows=SMALL)
    assert not queue.renew(lease, 60)
    assert queue.renew(replace(lease, pieces=(south,)), 60)


def test_a_practice_that_waits_for_more_is_tried_when_more_comes(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3})
    assert queue.set_aside(take(queue), "north", Standing.WAITING, reason="an update before its insert", tables=["visits"])
    assert queue.take(Lane.STEADY, LaneSpec()) is None
    arrive(queue, {"north": 1})
    assert taken(take(queue)) == [("north", 4)]


def test_who_is_in_stays_as_it_is(queue: WorkQueue) -> None:
    queue.onboard(["north"], Lane.BACKFILL)
    assert state(queue).lane is Lane.STEADY


def test_a_practice_read_anew_begins_from_there_also_out_of_quarantine(queue: WorkQueue) -> None:
    arrive(queue, {"north": 3})
    assert queue.set_aside(take(queue), "north", Standing.QUARANTINED, reason="a change without a key", tables=[])
    queue.onboard(["north"], Lane.BACKFILL, base=2**70)
    assert (state(queue).lane, state(queue).standing) == (Lane.BACKFILL, Standing.READY)
    (piece,) = take(queue, Lane.BACKFILL).pieces
    assert (piece.practice, piece.base) == ("north", 2**70)


def test_a_lease_from_before_the_clock_went_back_is_not_kept_for_ever(queue: WorkQueue, pipeline_database: Database) -> None:
    arrive(queue, {"north": 3, "south": 1})
    limits = LaneSpec(slots=1, lease_seconds=60)
    dead = queue.take(Lane.STEADY, limits)
    assert dead is not None
    back(pipeline_database, "leased_until = leased_until + interval '30 seconds'")
    assert queue.take(Lane.STEADY, limits) is None
    back(pipeline_database, "leased_until = leased_until + interval '1 day'")
    assert taken(queue.take(Lane.STEADY, limits)) == taken(dead)
    assert not queue.complete(dead, dead.pieces, small_rows=SMALL)


def test_who_was_served_before_the_clock_went_back_has_its_turn(queue: WorkQueue, pipeline_database: Database) -> None:
    arrive(queue, {"north": 1})
    lease = take(queue)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    back(pipeline_database, "served_at = served_at + interval '1 day'")
    arrive(queue, {"north": 1})
    assert taken(take(queue)) == [("north", 1)]
    arrive(queue, {"south": 1})
    assert taken(take(queue)) == [("south", 1)]


def back(pipeline_database: Database, what: str) -> None:
    """As if the server's clock had gone back since: what it wrote is that far ahead of it."""
    with psycopg.connect(pipeline_database.dsn, autocommit=True) as opened:
        opened.execute(f"UPDATE wardlake.practices SET {what} WHERE practice IN ('north', 'south')".encode())


def test_a_commit_of_the_future_moves_no_watermark_beyond_the_store_s_clock(queue: WorkQueue) -> None:
    future = queue.now() + timedelta(days=300)
    arrive(queue, {"north": 1}, at=future)
    oldest = state(queue).oldest
    assert oldest is not None
    assert oldest <= queue.now()
    lease = take(queue)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    first = state(queue).watermark.committed_at
    arrive(queue, {"north": 1}, at=DAY)
    lease = take(queue)
    assert queue.complete(lease, lease.pieces, small_rows=SMALL)
    assert first is not None
    assert first <= queue.now()
    assert state(queue).watermark.committed_at == first


def test_nothing_is_captured_beyond_the_store_s_clock_nor_before_what_was(queue: WorkQueue, pipeline_database: Database) -> None:
    queue.caught_up(queue.now() + timedelta(days=300))
    first = queue.captured_to()
    assert first is not None
    assert first <= queue.now()
    queue.caught_up(DAY)
    assert queue.captured_to() == first
    with psycopg.connect(pipeline_database.dsn, autocommit=True) as opened:
        opened.execute("UPDATE wardlake.captures SET captured_to = captured_to + interval '1 day'")
    assert queue.captured_to() is None
    queue.caught_up(DAY)
    assert queue.captured_to() == DAY


def test_a_practice_that_is_closed_is_nobody_s_turn(queue: WorkQueue) -> None:
    arrive(queue, {"north": 1})
    lease = take(queue)
    queue.close("north", reason="gone")
    assert not queue.complete(lease, lease.pieces, small_rows=SMALL)
    arrive(queue, {"north": 1})
    assert queue.take(Lane.STEADY, LaneSpec(slots=9)) is None
    assert (state(queue).onboarded, state(queue).reason, queue.release(["north"])) == (False, "gone", [])


def test_practices_are_listed_by_name(queue: WorkQueue) -> None:
    assert [each.practice for each in queue.states()] == ["north", "south", "west"]
    assert queue.states(["nobody"]) == []


def test_a_store_that_does_not_answer_is_said_to_be_away() -> None:
    away = PostgresWorkQueue("host=127.0.0.1 port=1 dbname=none connect_timeout=1", "clinics")
    with pytest.raises(RegistryUnavailable, match="no connection"):
        away.take(Lane.STEADY, LaneSpec())
