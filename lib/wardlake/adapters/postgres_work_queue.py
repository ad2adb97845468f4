"""The queue of practices in PostgreSQL. Time is the server's: the clocks of applications decide nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from wardlake.adapters.postgres_database import KeptConnections
from wardlake.model.changes import EPOCH
from wardlake.model.practices import GIANT_ROWS, Lane, LaneSpec, Lease, Piece, PracticeState, Standing, Watermark
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
_KNOW: LiteralString = """
    INSERT INTO wardlake.practices (source, practice, lane, standing, reason, onboarded)
    SELECT %(source)s, each, 'steady', 'quarantined', %(unknown)s, false FROM unnest(%(practices)s::text[]) AS each
    ON CONFLICT (source, practice) DO NOTHING RETURNING practice"""
_TRY_AGAIN: LiteralString = """
    UPDATE wardlake.practices SET standing = 'ready', reason = '', tables = '{}'
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND standing = 'waiting'"""
_ARRIVE: LiteralString = """
    INSERT INTO wardlake.practice_work (source, practice, batch, rows, first_at, committed_at, is_base)
    SELECT %(source)s, practice, %(batch)s, rows, least(first_at, now()), least(committed_at, now()), %(is_base)s
    FROM unnest(%(practices)s::text[], %(rows)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[])
        AS given (practice, rows, first_at, committed_at)
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
_ONE_TAKER: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('wardlake.practices:' || %(source)s, 0))"
# Whoever changes several practices locks them first, by name: who keeps a lease and who does not take turns with it wait for each
# other at most.
_LOCK: LiteralString = """
    SELECT FROM wardlake.practices WHERE source = %(source)s AND practice = ANY (%(practices)s)
    ORDER BY practice FOR NO KEY UPDATE"""
_LOCK_ALL: LiteralString = "SELECT FROM wardlake.practices WHERE source = %(source)s ORDER BY practice FOR NO KEY UPDATE"
# A lease that lasts for longer than it was given for was given before the clock went back: nobody waits for that to come again.
# Its own length counts: a practice may be in another lane by now than the one in which it was leased.
_SLOTS_TAKEN: LiteralString = """
    SELECT count(DISTINCT lease) FROM wardlake.practices
    WHERE source = %(source)s AND leased_lane = %(lane)s AND lease IS NOT NULL
        AND leased_until BETWEEN now() AND now() + make_interval(secs => 2 * leased_seconds)"""
_WHOSE_TURN: LiteralString = """
    WITH turn AS (
        SELECT p.practice, p.base, p.reach, p.lapses + (p.lease IS NOT NULL)::int AS lapses, p.merging,
            coalesce(p.lapsed_at < (
                SELECT max(merged_at) FROM wardlake.practices WHERE source = %(source)s), false) AS others_go_on,
            least(greatest(p.served_at, p.leased_until, min(w.arrived_at)), now()) AS since
        FROM wardlake.practices AS p JOIN wardlake.practice_work AS w USING (source, practice)
        WHERE source = %(source)s AND p.lane = %(lane)s AND p.standing = 'ready' AND (p.lease IS NULL
            OR p.leased_until NOT BETWEEN now() AND now() + make_interval(secs => 2 * p.leased_seconds))
        GROUP BY p.source, p.practice
        ORDER BY since, p.practice LIMIT %(most)s),
    counted AS (
        SELECT practice, batch, rows, sum(rows) OVER (PARTITION BY practice ORDER BY is_base DESC, batch) - rows AS before,
            sum(rows) OVER (PARTITION BY practice) AS waiting
        FROM wardlake.practice_work JOIN turn USING (practice) WHERE source = %(source)s)
    SELECT practice, array_agg(batch ORDER BY batch), sum(rows)::bigint, base::text, lapses, merging, others_go_on,
        max(waiting) > %(giant_rows)s
    FROM counted JOIN turn USING (practice)
    WHERE before < greatest(%(rows)s, reach) GROUP BY practice, since, base, lapses, merging, others_go_on
    ORDER BY since, practice"""
_LEASE: LiteralString = """
    UPDATE wardlake.practices
    SET lapses = lapses + (lease IS NOT NULL)::int, lapsed_at = coalesce(lapsed_at, CASE WHEN lease IS NOT NULL THEN now() END),
        lease = %(lease)s, leased_lane = %(lane)s, leased_seconds = %(seconds)s,
        leased_until = now() + make_interval(secs => %(seconds)s)
    WHERE source = %(source)s AND practice = ANY (%(practices)s) RETURNING practice, without_bad_to"""
_LEASE_WORK: LiteralString = """
    UPDATE wardlake.practice_work AS w SET lease = %(lease)s
    FROM unnest(%(of)s::text[], %(batches)s::bigint[]) AS taken (practice, batch)
    WHERE w.source = %(source)s AND w.practice = taken.practice AND w.batch = taken.batch"""
_RENEW: LiteralString = """
    UPDATE wardlake.practices SET leased_until = now() + make_interval(secs => %(seconds)s), leased_seconds = %(seconds)s,
        merging = coalesce(%(merging)s, merging)
    WHERE source = %(source)s AND lease = %(lease)s AND practice = ANY (%(practices)s)"""
_COMPLETE: LiteralString = """
    UPDATE wardlake.practices AS p
    SET lease = NULL, leased_lane = NULL, leased_until = NULL, lapses = 0, lapsed_at = NULL, merging = '',
        reach = 0, served_at = now(), merged_at = now(), merges = p.merges + 1,
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
# What mends a practice that is to wait may stand behind its piece: before it waits for more, all that waits is tried.
_SET_ASIDE: LiteralString = """
    UPDATE wardlake.practices AS p
    SET lease = NULL, leased_lane = NULL, leased_until = NULL, lapses = 0, lapsed_at = NULL, merging = '',
        served_at = now(), standing = work.standing, reach = work.reach,
        reason = CASE work.standing WHEN 'ready' THEN '' ELSE %(reason)s END,
        tables = CASE work.standing WHEN 'ready' THEN '{}' ELSE %(tables)s::text[] END
    FROM (
        SELECT coalesce(2 * sum(rows) FILTER (WHERE lease = %(lease)s AND %(standing)s = 'waiting'), 0) AS reach,
            CASE WHEN %(standing)s = 'waiting' AND bool_or(lease IS DISTINCT FROM %(lease)s) THEN 'ready' ELSE %(standing)s END
                AS standing
        FROM wardlake.practice_work WHERE source = %(source)s AND practice = %(practice)s) AS work
    WHERE source = %(source)s AND practice = %(practice)s AND lease = %(lease)s RETURNING p.standing"""
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
_LET_LAPSE: LiteralString = """
    UPDATE wardlake.practices SET leased_until = least(leased_until, now()) WHERE source = %(source)s AND lease = %(lease)s"""
_RELEASE: LiteralString = """
    UPDATE wardlake.practices SET standing = 'ready', reason = '', tables = '{}',
        without_bad_to = greatest(without_bad_to, (%(without_bad)s::jsonb ->> practice)::bigint)
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND standing <> 'ready' AND onboarded
        AND %(reason)s IN ('', reason) AND base >= %(epoch)s::numeric * (
            SELECT coalesce(max(epoch), 0) FROM wardlake.captures WHERE source = %(source)s) RETURNING practice"""
_TO_READ_ANEW: LiteralString = """
    SELECT practice FROM wardlake.practices JOIN wardlake.captures USING (source)
    WHERE source = %(source)s AND practice = ANY (%(practices)s) AND onboarded AND base < epoch * %(epoch)s::numeric
    ORDER BY practice"""
_STATES: LiteralString = """
    SELECT p.practice, p.lane, p.standing, p.reason, p.tables, p.lease IS NOT NULL AND p.leased_until >= now(),
        coalesce(sum(w.rows), 0)::bigint, min(w.first_at), coalesce(bool_or(w.is_base), false),
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
            for statement in (_ONE_TAKER, _ONBOARD):
                opened.execute(statement, given)

    def next_batch(self) -> int:
        with self._transaction() as opened:
            return _number(opened.execute(_NEXT_BATCH, {"source": self._source}))

    def meet(self, practices: Collection[str]) -> None:
        given = {"source": self._source, "practices": sorted(practices), "unknown": UNKNOWN}
        with self._transaction() as opened:
            opened.execute(_KNOW, given)

    def enqueue(self, batch: int, arrived: Mapping[str, Arrived], *, giant_rows: int, is_base: bool = False) -> list[str]:
        arrived = dict(sorted(arrived.items()))
        given = {
            "is_base": is_base,
            "source": self._source,
            "batch": batch,
            "practices": list(arrived),
            "rows": [each.rows for each in arrived.values()],
            "first": [each.first_at or each.committed_at for each in arrived.values()],
            "last": [each.committed_at for each in arrived.values()],
            "unknown": UNKNOWN,
            "giant_rows": giant_rows,
        }
        with self._transaction() as opened:
            opened.execute(_ONE_TAKER, given)
            met = opened.execute(_KNOW, given).fetchall()
            for statement in (_LOCK, _TRY_AGAIN, _ARRIVE, _PART_GIANTS):
                opened.execute(statement, given)
        return sorted(str(row[0]) for row in met)

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
            for statement in (_ONE_TAKER, _NEW_EPOCH, _LOCK_ALL, _ALL_ASIDE):
                opened.execute(statement, given)

    def _capture(self) -> tuple[Any, ...]:
        with self._transaction() as opened:
            row = opened.execute(_CAPTURE, {"source": self._source}).fetchone()
        return row or ("", 0, None)

    def take(self, lane: Lane, limits: LaneSpec, *, giant_rows: int = GIANT_ROWS) -> Lease | None:
        given = {
            "source": self._source,
            "lane": lane.value,
            "most": limits.practices,
            "rows": limits.rows,
            "seconds": limits.lease_seconds,
            "giant_rows": giant_rows,
        }
        with self._transaction() as opened:
            opened.execute(_ONE_TAKER, given)
            if _number(opened.execute(_SLOTS_TAKEN, given)) >= limits.slots:
                return None
            pieces = _as_many_as_fit(opened.execute(_WHOSE_TURN, given).fetchall(), limits)
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
            opened.execute(_LOCK, taken)
            without_bad: dict[str, int] = dict(opened.execute(_LEASE, taken).fetchall())
            opened.execute(_LEASE_WORK, taken)
        marked = tuple(replace(each, without_bad_to=without_bad[each.practice]) for each in pieces)
        return Lease(number=number, lane=lane, pieces=marked)

    def renew(self, lease: Lease, seconds: int, *, merging: str | None = None) -> bool:
        names = [each.practice for each in lease.pieces]
        given = {**self._of(lease), "practices": names, "seconds": seconds, "merging": merging}
        with self._transaction() as opened:
            opened.execute(_LOCK, given)
            return opened.execute(_RENEW, given).rowcount == len(lease.pieces)

    def complete(self, lease: Lease, pieces: Sequence[Piece], *, small_rows: int) -> bool:
        given = {**self._of(lease), "practices": [each.practice for each in pieces], "small_rows": small_rows}
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _LOCK):
                opened.execute(statement, given)
            if opened.execute(_COMPLETE, given).rowcount != len(pieces):
                opened.rollback()
                return False
            for statement in (_FORGET, _CAUGHT_UP):
                opened.execute(statement, given)
        return True

    def set_aside(
        self, lease: Lease, practice: str, standing: Standing, *, reason: str, tables: Collection[str]
    ) -> Standing | None:
        named = {"practice": practice, "standing": standing.value, "reason": reason, "tables": sorted(tables)}
        given = {**self._of(lease), **named}
        with self._transaction() as opened:
            opened.execute(_ONE_TAKER, given)
            row = opened.execute(_SET_ASIDE, given).fetchone()
        return Standing(row[0]) if row else None

    def close(self, practice: str, *, reason: str) -> None:
        given = {"source": self._source, "practice": practice, "reason": reason}
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _CLOSE):
                opened.execute(statement, given)

    def now(self) -> datetime:
        with self._transaction() as opened:
            found: datetime = next(iter(opened.execute("SELECT clock_timestamp()")))[0]
        return found

    def give_back(self, lease: Lease, *, has_lapsed: bool = False) -> None:
        given = {**self._of(lease), "practices": [each.practice for each in lease.pieces]}
        with self._transaction() as opened:
            for statement in (_LOCK, _LET_LAPSE if has_lapsed else _GIVE_BACK):
                opened.execute(statement, given)

    def hold(self, practices: Collection[str], *, reason: str, tables: Collection[str]) -> None:
        given = {"source": self._source, "practices": sorted(practices), "reason": reason, "tables": sorted(tables)}
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _LOCK, _HOLD):
                opened.execute(statement, given)

    def release(
        self, practices: Collection[str], *, reason: str = "", without_bad: Mapping[str, int] = MappingProxyType({})
    ) -> list[str]:
        given = {
            "source": self._source,
            "practices": sorted(practices),
            "reason": reason,
            "epoch": EPOCH,
            "without_bad": Jsonb(dict(without_bad)),
        }
        with self._transaction() as opened:
            for statement in (_ONE_TAKER, _LOCK):
                opened.execute(statement, given)
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
    oldest, base_waits, waiting, onboarded, batch, merges, committed_at, merged_at = rest
    return PracticeState(
        practice=practice,
        lane=Lane(lane),
        standing=Standing(standing),
        reason=reason,
        tables=tuple(tables),
        leased=leased,
        rows=rows,
        oldest=oldest,
        base_waits=base_waits,
        waiting=tuple(sorted(waiting)),
        onboarded=onboarded,
        watermark=Watermark(batch=batch, merges=merges, committed_at=committed_at, merged_at=merged_at),
    )


def _as_many_as_fit(rows: Sequence[tuple[str, list[int], int, str, int, str, bool, bool]], limits: LaneSpec) -> tuple[Piece, ...]:
    """The first pieces that have together at most so many rows, and whose leases ran out as often; a giant is alone."""
    pieces: list[Piece] = []
    together = 0
    for practice, batches, count, base, lapses, merging, others_go_on, is_giant in rows:
        if pieces and (is_giant or lapses != pieces[0].lapses or len(pieces) >= limits.most_after(lapses)):
            continue
        together += count
        if pieces and together > limits.rows:
            break
        pieces.append(
            Piece(
                practice=practice,
                batches=tuple(batches),
                rows=count,
                base=int(base),
                lapses=lapses,
                merging=merging,
                others_go_on=others_go_on,
            )
        )
        if is_giant:
            break
    return tuple(pieces)


def _number(answer: psycopg.Cursor) -> int:
    """Of an aggregate, a sequence or RETURNING, which always answer one row."""
    return int(next(iter(answer))[0])
