"""The queue of practices in PostgreSQL. Time is the server's: the clocks of applications decide nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from wardlake.adapters.postgres_database import KeptConnections
from wardlake.model.changes import EPOCH
from wardlake.model.practices import Lane, LaneSpec, Lease, Piece, PracticeState, Standing, Watermark
from wardlake.ports.registry import RegistryUnavailable
from wardlake.ports.work_queue import Arrived

UNKNOWN = "a practice that nobody let in"

_ONBOARD: LiteralString = """
    INSERT INTO wardlake.practices AS p (source, practice, lane, standing, onboarded, base)
    SELECT %(source)s, each, %(lane)s, 'ready', true, %(base)s FROM unnest(%(practices)s::text[]) AS each
    ON CONFLICT (source, practice) DO UPDATE SET
        onboarded = true, lane = excluded.lane, standing = 'ready', reason = '', tables = '{}', base = excluded.base
    WHERE NOT p.onboarded OR excluded.base > p.base"""
_NEXT_BATCH: LiteralString = """
    INSERT INTO wardlake.captures (source, last_batch) VALUES (%(source)s, 1)
    ON CONFLICT (source) DO UPDATE SET last_batch = captures.last_batch + 1 RETURNING last_batch"""
_MEET: LiteralString = """
    INSERT INTO wardlake.practices (source, practice, lane, standing, reason, onboarded)
    SELECT %(source)s, each, 'steady', 'quarantined', %(unknown)s, false FROM unnest(%(practices)s::text[]) AS each
    ON CONFLICT (source, practice) DO UPDATE SET standing = 'ready', reason = '', tables = '{}'
    WHERE practices.standing = 'waiting'"""
_KNOW: LiteralString = """
    INSERT INTO wardlake.practices (source, practice, lane, standing, reason, onboarded)
    SELECT %(source)s, each, 'steady', 'quarantined', %(unknown)s, false FROM unnest(%(practices)s::text[]) AS each
    ON CONFLICT (source, practice) DO NOTHING"""
_ARRIVE: LiteralString = """
    INSERT INTO wardlake.practice_work (source, practice, batch, rows, committed_at, is_base)
    SELECT %(source)s, practice, %(batch)s, rows, least(committed_at, now()), %(is_base)s
    FROM unnest(%(practices)s::text[], %(rows)s::bigint[], %(moments)s::timestamptz[]) AS given (practice, rows, committed_at)
    ON CONFLICT (source, practice, batch) DO NOTHING"""
_PART_GIANTS: LiteralString = """
    UPDATE wardlake.practices AS p SET lane = 'backfill'
    WHERE source = %(source)s AND lane = 'steady' AND practice = ANY (%(practices)s) AND %(giant_rows)s <
        (SELECT sum(rows) FROM wardlake.practice_work AS w WHERE w.source = p.source AND w.practice = p.practice)"""
_ACKNOWLEDGE: LiteralString = """
    INSERT INTO wardlake.captures (source, acknowledged) VALUES (%(source)s, %(end)s)
    ON CONFLICT (source) DO UPDATE SET acknowledged = excluded.acknowledged"""
_CAUGHT_UP_TO: LiteralString = """
    INSERT INTO wardlake.captures (source, captured_to) VALUES (%(source)s, least(%(at)s, now()))
    ON CONFLICT (source) DO UPDATE SET captured_to = CASE
        WHEN captures.captured_to > now() THEN excluded.captured_to
        ELSE greatest(captures.captured_to, excluded.captured_to) END"""
_CAPTURE: LiteralString = """
    SELECT acknowledged, epoch, CASE WHEN captured_to <= now() THEN captured_to END
    FROM wardlake.captures WHERE source = %(source)s"""
_NEW_EPOCH: LiteralString = """
    INSERT INTO wardlake.captures (source, epoch) VALUES (%(source)s, 1)
    ON CONFLICT (source) DO UPDATE SET epoch = captures.epoch + 1, captured_to = NULL"""
_ALL_ASIDE: LiteralString = """
    UPDATE wardlake.practices
    SET standing = 'quarantined', reason = %(reason)s, tables = '{}', lease = NULL, leased_lane = NULL, leased_until = NULL
    WHERE source = %(source)s"""
# A lease that lasts for longer than any is given was given before the clock went back: nobody waits for that to come again.
_ONE_TAKER: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('wardlake.practices:' || %(source)s, 0))"
_SLOTS_TAKEN: LiteralString = """
    SELECT count(DISTINCT lease) FROM wardlake.practices
    WHERE source = %(source)s AND leased_lane = %(lane)s AND lease IS NOT NULL
        AND leased_until BETWEEN now() AND now() + make_interval(secs => 2 * %(seconds)s)"""
_WHOSE_TURN: LiteralString = """
    WITH turn AS (
        SELECT p.practice, p.base, least(greatest(p.served_at, min(w.arrived_at)), now()) AS since
        FROM wardlake.practices AS p JOIN wardlake.practice_work AS w USING (source, practice)
        WHERE source = %(source)s AND p.lane = %(lane)s AND p.standing = 'ready' AND (p.lease IS NULL
            OR p.leased_until NOT BETWEEN now() AND now() + make_interval(secs => 2 * %(seconds)s))
        GROUP BY p.practice, p.base, p.served_at ORDER BY since, p.practice LIMIT %(most)s),
    counted AS (
        SELECT practice, batch, rows, sum(rows) OVER (PARTITION BY practice ORDER BY is_base DESC, batch) - rows AS before
        FROM wardlake.practice_work JOIN turn USING (practice) WHERE source = %(source)s)
    SELECT practice, array_agg(batch ORDER BY batch), sum(rows)::bigint, base::text FROM counted JOIN turn USING (practice)
    WHERE before < %(rows)s GROUP BY practice, since, base ORDER BY since, practice"""
_LEASE: LiteralString = """
    UPDATE wardlake.practices
    SET lease = %(lease)s, leased_lane = %(lane)s, leased_until = now() + make_interval(secs => %(seconds)s)
    WHERE source = %(source)s AND practice = ANY (%(practices)s)"""
_LEASE_WORK: LiteralString = """
    UPDATE wardlake.practice_work AS w SET lease = %(lease)s
    FROM unnest(%(of)s::text[], %(batches)s::bigint[]) AS taken (practice, batch)
    WHERE w.source = %(source)s AND w.practice = taken.practice AND w.batch = taken.batch"""
_RENEW: LiteralString = """
    UPDATE wardlake.practices SET leased_until = now() + make_interval(secs => %(seconds)s)
    WHERE source = %(source)s AND lease = %(lease)s AND practice = ANY (%(practices)s)"""
_COMPLETE: LiteralString = """
    UPDATE wardlake.practices AS p
    SET lease = NULL, leased_lane = NULL, leased_until = NULL, served_at = now(), merged_at = now(), merges = p.merges + 1,
        merged_batch = greatest(p.merged_batch, done.last), committed_at = greatest(p.committed_at, done.newest)
    FROM (
        SELECT practice, max(batch) AS last, max(committed_at) AS newest FROM wardlake.practice_work
        WHERE source = %(source)s AND lease = %(lease)s AND practice = ANY (%(practices)s) GROUP BY practice) AS done
    WHERE p.source = %(source)s AND p.practice = done.practice AND p.lease = %(lease)s"""
_FORGET: LiteralString = """
    DELETE FROM wardlake.practice_work WHERE source = %(source)s AND lease = %(lease)s AND practice = ANY (%(practices)s)"""
_CAUGHT_UP: LiteralString = """
    UPDATE wardlake.practices AS p SET lane = 'steady'
    WHERE source = %(source)s AND lane = 'backfill' AND practice = ANY (%(practices)s) AND %(small_rows)s >=
        (SELECT coalesce(sum(rows), 0) FROM wardlake.practice_work AS w WHERE w.source = p.source AND w.practice = p.practice)"""
_SET_ASIDE: LiteralString = """
    UPDATE wardlake.practices AS p
    SET lease = NULL, leased_lane = NULL, leased_until = NULL, served_at = now(),
        standing = CASE WHEN %(standing)s = 'waiting' AND more.waits THEN 'ready' ELSE %(standing)s END,
        reason = %(reason)s, tables = %(tables)s
    FROM (
        SELECT EXISTS (SELECT FROM wardlake.practice_work
            WHERE source = %(source)s AND practice = %(practice)s AND lease IS DISTINCT FROM %(lease)s) AS waits) AS more
    WHERE source = %(source)s AND practice = %(practice)s AND lease = %(lease)s"""
_HOLD: LiteralString = """
    UPDATE wardlake.practices
    SET standing = 'quarantined', reason = %(reason)s, tables = %(tables)s,
        lease = NULL, leased_lane = NULL, leased_until = NULL
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND standing = 'ready' AND onboarded"""
_CLOSE: LiteralString = """
    UPDATE wardlake.practices
    SET onboarded = false, standing = 'quarantined', reason = %(reason)s, tables = '{}',
        lease = NULL, leased_lane = NULL, leased_until = NULL
    WHERE source = %(source)s AND practice = %(practice)s"""
_GIVE_BACK: LiteralString = """
    UPDATE wardlake.practices SET lease = NULL, leased_lane = NULL, leased_until = NULL
    WHERE source = %(source)s AND lease = %(lease)s"""
_RELEASE: LiteralString = """
    UPDATE wardlake.practices SET standing = 'ready', reason = '', tables = '{}'
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND standing <> 'ready' AND onboarded
        AND %(reason)s IN ('', reason) AND base >= %(epoch)s::numeric * (
            SELECT coalesce(max(epoch), 0) FROM wardlake.captures WHERE source = %(source)s) RETURNING practice"""
_TO_READ_ANEW: LiteralString = """
    SELECT practice FROM wardlake.practices JOIN wardlake.captures USING (source)
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND onboarded AND base < epoch * %(epoch)s::numeric
    ORDER BY practice"""
_STATES: LiteralString = """
    SELECT p.practice, p.lane, p.standing, p.reason, p.tables, p.lease IS NOT NULL AND p.leased_until >= now(),
        coalesce(sum(w.rows), 0)::bigint, min(w.committed_at),
        coalesce(array_agg(w.batch) FILTER (WHERE w.batch IS NOT NULL), '{}'),
        p.onboarded, p.merged_batch, p.merges, p.committed_at, p.merged_at
    FROM wardlake.practices AS p LEFT JOIN wardlake.practice_work AS w USING (source, practice)
    WHERE source = %(source)s AND (%(practices)s::text[] = '{}' OR practice = ANY (%(practices)s))
    GROUP BY p.source, p.practice ORDER BY p.practice"""


class PostgresWorkQueue:
    """The port `WorkQueue` for the practices of one source, over the schema of `infra/postgres`."""

    def __init__(self, dsn: str, source: str) -> None:
        self._kept = KeptConnections(dsn, RegistryUnavailable)
        self._source = source

    def onboard(self, practices: Collection[str], lane: Lane, *, base: int = 0) -> None:
        given = {"source": self._source, "practices": sorted(practices), "lane": lane.value, "base": base}
        with self._transaction() as opened:
            opened.execute(_ONBOARD, given)

    def next_batch(self) -> int:
        with self._transaction() as opened:
            return _number(opened.execute(_NEXT_BATCH, {"source": self._source}))

    def meet(self, practices: Collection[str]) -> None:
        given = {"source": self._source, "practices": sorted(practices), "unknown": UNKNOWN}
        with self._transaction() as opened:
            opened.execute(_KNOW, given)

    def enqueue(self, batch: int, arrived: Mapping[str, Arrived], *, giant_rows: int, is_base: bool = False) -> None:
        given = {
            "is_base": is_base,
            "source": self._source,
            "batch": batch,
            "practices": list(arrived),
            "rows": [each.rows for each in arrived.values()],
            "moments": [each.committed_at for each in arrived.values()],
            "unknown": UNKNOWN,
            "giant_rows": giant_rows,
        }
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _MEET, _ARRIVE, _PART_GIANTS):
                opened.execute(statement, given)

    def acknowledge(self, end: str) -> None:
        with self._transaction() as opened:
            opened.execute(_ACKNOWLEDGE, {"source": self._source, "end": end})

    def acknowledged(self) -> str:
        return str(self._capture()[0])

    def caught_up(self, at: datetime) -> None:
        with self._transaction() as opened:
            opened.execute(_CAUGHT_UP_TO, {"source": self._source, "at": at})

    def captured_to(self) -> datetime | None:
        found: datetime | None = self._capture()[2]
        return found

    def epoch(self) -> int:
        return int(self._capture()[1])

    def begin_again(self, reason: str) -> None:
        given = {"source": self._source, "reason": reason}
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _NEW_EPOCH, _ALL_ASIDE):
                opened.execute(statement, given)

    def _capture(self) -> tuple[Any, ...]:
        with self._transaction() as opened:
            row = opened.execute(_CAPTURE, {"source": self._source}).fetchone()
        return row or ("", 0, None)

    def take(self, lane: Lane, limits: LaneSpec) -> Lease | None:
        given = {
            "source": self._source,
            "lane": lane.value,
            "most": limits.practices,
            "rows": limits.rows,
            "seconds": limits.lease_seconds,
        }
        with self._transaction() as opened:
            opened.execute(_ONE_TAKER, given)
            if _number(opened.execute(_SLOTS_TAKEN, given)) >= limits.slots:
                return None
            pieces = _as_many_as_fit(opened.execute(_WHOSE_TURN, given).fetchall(), limits.rows)
            if not pieces:
                return None
            number = _number(opened.execute("SELECT nextval('wardlake.practice_leases')"))
            pairs = [(each.practice, batch) for each in pieces for batch in each.batches]
            taken = {
                **given,
                "lease": number,
                "practices": [each.practice for each in pieces],
                "of": [practice for practice, _ in pairs],
                "batches": [batch for _, batch in pairs],
            }
            for statement in (_LEASE, _LEASE_WORK):
                opened.execute(statement, taken)
        return Lease(number=number, lane=lane, pieces=pieces)

    def renew(self, lease: Lease, seconds: int) -> bool:
        given = {**self._of(lease), "practices": [each.practice for each in lease.pieces], "seconds": seconds}
        with self._transaction() as opened:
            return opened.execute(_RENEW, given).rowcount == len(lease.pieces)

    def complete(self, lease: Lease, pieces: Sequence[Piece], *, small_rows: int) -> bool:
        given = {**self._of(lease), "practices": [each.practice for each in pieces], "small_rows": small_rows}
        with self._transaction() as opened:
            opened.execute(_ONE_TAKER, given)
            if opened.execute(_COMPLETE, given).rowcount != len(pieces):
                opened.rollback()
                return False
            for statement in (_FORGET, _CAUGHT_UP):
                opened.execute(statement, given)
        return True

    def set_aside(self, lease: Lease, practice: str, standing: Standing, *, reason: str, tables: Collection[str]) -> bool:
        given = {"practice": practice, "standing": standing.value, "reason": reason, "tables": sorted(tables)}
        with self._transaction() as opened:
            return opened.execute(_SET_ASIDE, {**self._of(lease), **given}).rowcount == 1

    def close(self, practice: str, *, reason: str) -> None:
        with self._transaction() as opened:
            opened.execute(_CLOSE, {"source": self._source, "practice": practice, "reason": reason})

    def now(self) -> datetime:
        with self._transaction() as opened:
            found: datetime = next(iter(opened.execute("SELECT clock_timestamp()")))[0]
        return found

    def give_back(self, lease: Lease) -> None:
        with self._transaction() as opened:
            opened.execute(_GIVE_BACK, self._of(lease))

    def hold(self, practices: Collection[str], *, reason: str, tables: Collection[str]) -> None:
        given = {"source": self._source, "practices": sorted(practices), "reason": reason, "tables": sorted(tables)}
        with self._transaction() as opened:
            opened.execute(_HOLD, given)

    def release(self, practices: Collection[str], *, reason: str = "") -> list[str]:
        given = {"source": self._source, "practices": sorted(practices), "reason": reason, "epoch": EPOCH}
        with self._transaction() as opened:
            released = opened.execute(_RELEASE, given).fetchall()
        return sorted(str(row[0]) for row in released)

    def to_read_anew(self, practices: Collection[str]) -> list[str]:
        given = {"source": self._source, "practices": sorted(practices), "epoch": EPOCH}
        with self._transaction() as opened:
            return [str(row[0]) for row in opened.execute(_TO_READ_ANEW, given)]

    def states(self, practices: Collection[str] = ()) -> list[PracticeState]:
        with self._transaction() as opened:
            rows = opened.execute(_STATES, {"source": self._source, "practices": sorted(practices)}).fetchall()
        return [_state(*row) for row in rows]

    def _of(self, lease: Lease) -> dict[str, object]:
        return {"source": self._source, "lease": lease.number}

    def _transaction(self) -> AbstractContextManager[psycopg.Connection]:
        return self._kept.transaction()


def _state(
    practice: str, lane: str, standing: str, reason: str, tables: Sequence[str], leased: bool, rows: int, *rest: Any
) -> PracticeState:
    """A row of `_STATES`."""
    oldest, waiting, onboarded, batch, merges, committed_at, merged_at = rest
    return PracticeState(
        practice=practice,
        lane=Lane(lane),
        standing=Standing(standing),
        reason=reason,
        tables=tuple(tables),
        leased=leased,
        rows=rows,
        oldest=oldest,
        waiting=tuple(sorted(waiting)),
        onboarded=onboarded,
        watermark=Watermark(batch=batch, merges=merges, committed_at=committed_at, merged_at=merged_at),
    )


def _as_many_as_fit(rows: Sequence[tuple[str, list[int], int, str]], most: int) -> tuple[Piece, ...]:
    """The first pieces, at least one, that have together at most so many rows."""
    pieces: list[Piece] = []
    together = 0
    for practice, batches, count, base in rows:
        together += count
        if pieces and together > most:
            break
        pieces.append(Piece(practice=practice, batches=tuple(batches), rows=count, base=int(base)))
    return tuple(pieces)


def _number(answer: psycopg.Cursor) -> int:
    """Of an aggregate, a sequence or RETURNING, which always answer one row."""
    return int(next(iter(answer))[0])
