"""`wardlake practices tidy`: what nobody needs any more goes, tables are written together, and history ends with the retention.

Every commit is made under the lock of the table's writers, so that never two are at one table: one piece of a table at a time, so
that writers come between. Removing files is no commit, and takes no lock: files of writers who have not committed yet are younger
than what is removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from wardlake.model.audit import AuditKind
from wardlake.model.errors import ConfigurationError
from wardlake.pipelines.practices.acts import record_act
from wardlake.pipelines.practices.capture import log_lock
from wardlake.pipelines.practices.damaged_files import set_aside
from wardlake.pipelines.practices.ingest import table_lock
from wardlake.pipelines.practices.marts import MART_LOCK
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import QUARANTINE_LOCK
from wardlake.practices.marts.every import MARTS
from wardlake.practices.raw_tables import BUCKET, DELETED, KEY, MERGED_AT, PRACTICE

SEEN = "practice-batches"  # by source and day: the last batch there was
LOCK_SECONDS = 600.0
FEWEST_DAYS = 1
LOG_DAYS = 1  # of history: the log has a version every few seconds, which nobody reads once it is past
GIVE_WAY_SECONDS = 0.2  # who waits for a lock asks for it more often than that
_SAME_ROW = " AND ".join(f"target.{name} = source.{name}" for name in (BUCKET, PRACTICE, KEY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A table to tidy, the lock that its writers hold, and the conditions of the pieces that are written together one by one."""

    path: str
    lock: Callable[[], AbstractContextManager[None]]
    pieces: tuple[str, ...] = ("",)


def tidy(practices: Practices, *, keep_days: int, told: Told) -> dict[str, Any]:
    """Remove log entries that are merged and tombstones, `keep_days` after they came; compact; end history from before that.

    A change that comes later than so many days may be taken for new: nothing then remembers that its row is gone. Raises
    `ConfigurationError` for less than a day.
    """
    if keep_days < FEWEST_DAYS:
        raise ConfigurationError(what="History is kept for a day at least: readers are at it.", next_step="--keep-days 1")
    record_act(practices, AuditKind.PRACTICES_TIDIED, [], keep_days=keep_days)
    since = practices.queue.now() - timedelta(days=keep_days)
    entries = _forget_entries(practices, since)
    tombstones = _forget_tombstones(practices, since)
    told(f"{entries} entries and {tombstones} tombstones are gone")
    for place in places(practices):
        _keep(practices, place, LOG_DAYS if place.path == practices.log else keep_days)
    return {"entries": entries, "tombstones": tombstones, "tables": len(places(practices))}


def places(practices: Practices) -> list[Place]:
    """Every table of these practices that is there."""
    ports, source = practices.ports, practices.spec.name

    def named(name: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: ports.registry.lock(name, wait_seconds=LOCK_SECONDS)

    found = [Place(path=practices.log, lock=lambda: log_lock(practices))]
    for name, table in practices.admission.raw.items():
        path, lock = ports.layout.practice_table(source, name), partial(table_lock, practices, name)
        found.append(Place(path=path, lock=lock, pieces=tuple(f"{BUCKET} = {each}" for each in range(table.buckets))))
        found.append(
            Place(path=ports.layout.quarantine(source, name), lock=named(QUARANTINE_LOCK.format(source=source, table=name)))
        )
    for name in MARTS:
        found.append(Place(path=ports.layout.mart(source, name), lock=named(MART_LOCK.format(source=source, mart=name))))
    return [place for place in found if ports.tables.exists(place.path)]


def _forget_entries(practices: Practices, since: datetime) -> int:
    """Entries of batches that were there so long ago and that no practice waits for. When a batch came is known by looking."""
    ports = practices.ports
    if not ports.tables.exists(practices.log):
        return 0
    log = ports.tables.read(practices.log)
    last = _last_batch_of(practices, since, int(log.agg(F.max("batch")).first()[0] or 0))  # type: ignore[index]
    waiting = [(state.practice, batch) for state in practices.queue.states() for batch in state.waiting]
    waits = ports.tables.spark.createDataFrame(waiting, "practice string, batch bigint")
    old = log.where(F.col("batch") <= last).select("practice", "batch")
    gone = old.join(F.broadcast(waits), ["practice", "batch"], "anti").groupBy("practice", "batch").count().persist()
    count = int(gone.agg(F.sum("count")).first()[0] or 0)  # type: ignore[index]
    if count:
        on = f"target.batch <= {last} AND target.batch = source.batch AND target.practice = source.practice"
        with log_lock(practices):
            ports.tables.remove(practices.log, gone, on=on)
    gone.unpersist()
    return count


def _last_batch_of(practices: Practices, since: datetime, newest: int) -> int:
    """The last batch that was seen by then; today's is remembered."""
    registry, source = practices.ports.registry, practices.spec.name
    now = practices.queue.now()
    seen = {datetime.fromisoformat(document["at"]): int(document["batch"]) for _, document in registry.find(SEEN, f"{source}/")}
    registry.insert(SEEN, f"{source}/{now:%Y-%m-%d}", {"at": now.isoformat(), "batch": newest})
    return max((batch for at, batch in seen.items() if at <= since), default=0)


def _forget_tombstones(practices: Practices, since: datetime) -> int:
    """Tombstones of practices of which nothing waits: an older change that still comes must know that its row is gone."""
    files = set_aside(practices)
    if any(each.practice is None for each in files):
        return 0
    busy = {state.practice for state in practices.queue.states() if state.rows} | {each.practice for each in files}
    settled = ~F.col(PRACTICE).isin(sorted(filter(None, busy)))
    return sum(_forget_in(practices, name, settled, since) for name in practices.admission.raw)


def _forget_in(practices: Practices, name: str, settled: Column, since: datetime) -> int:
    """Tombstones of one raw table, bucket by bucket; they are found before the lock is taken, and looked at again under it."""
    tables, path = practices.ports.tables, practices.ports.layout.practice_table(practices.spec.name, name)
    if not tables.exists(path):
        return 0
    is_old = f"{MERGED_AT} < TIMESTAMP '{since.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
    rows = tables.read(path).where(f"{DELETED} AND {is_old}").where(settled).select(BUCKET, PRACTICE, KEY).persist()
    found = {row[BUCKET]: row["count"] for row in rows.groupBy(BUCKET).count().collect()}
    for bucket in sorted(found):
        on = f"target.{BUCKET} = {bucket} AND {_SAME_ROW} AND target.{DELETED} AND target.{is_old}"
        with table_lock(practices, name):
            tables.remove(path, rows.where(F.col(BUCKET) == bucket), on=on)
        time.sleep(GIVE_WAY_SECONDS)
    rows.unpersist()
    return sum(found.values())


def _keep(practices: Practices, place: Place, days: int) -> None:
    tables = practices.ports.tables
    with place.lock():
        tables.keep_history(place.path, days=days)
    for piece in place.pieces:
        with place.lock():
            tables.compact(place.path, where=piece)
        time.sleep(GIVE_WAY_SECONDS)
    tables.end_history(place.path)
