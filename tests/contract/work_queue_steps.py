"""What tests of the queue do again and again: practices' entries arrive, groups are taken, states are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from wardlake.model.practices import Lane, LaneSpec, Lease, PracticeState
from wardlake.ports.work_queue import Arrived, WorkQueue

GIANT = 1000
SMALL = 100
DAY = datetime(2026, 1, 31, 8, tzinfo=UTC)


def arrive(queue: WorkQueue, rows: Mapping[str, int], *, at: datetime = DAY) -> int:
    batch = queue.next_batch()
    queue.enqueue(batch, {name: Arrived(rows=count, committed_at=at) for name, count in rows.items()}, giant_rows=GIANT)
    return batch


def taken(lease: Lease | None) -> list[tuple[str, int]]:
    return [(piece.practice, piece.rows) for piece in lease.pieces] if lease else []


def take(queue: WorkQueue, lane: Lane = Lane.STEADY, **limits: int) -> Lease:
    lease = queue.take(lane, LaneSpec(**{"slots": 9, **limits}))
    assert lease is not None
    return lease


def state(queue: WorkQueue, practice: str = "north") -> PracticeState:
    (found,) = queue.states([practice])
    return found
