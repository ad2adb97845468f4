"""The applications that merge: each takes a group of practices of its lane from the queue, again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.model.errors import ConfigurationError, ContractBroken, RunLocked, StorageUnavailable, WardlakeError
from wardlake.model.practices import Lane, Lease, Piece, Standing
from wardlake.pipelines.practices.content import find_speaking
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.pace import remember_pace
from wardlake.pipelines.practices.paging import page_quarantine, page_set_aside, page_undeclared
from wardlake.pipelines.practices.quarantine import empty_quarantine, show_quarantined
from wardlake.practices.bisection import bisect
from wardlake.practices.log_entries import Deed, Problem
from wardlake.practices.quarantine import Why
from wardlake.practices.raw_tables import (
    BUCKET,
    PRACTICE,
    RawTable,
    empty_before,
    make_emptied,
    make_rows,
    merge_of,
)
from wardlake.runs.storage_failures import engine_errors_named

IDLE_SECONDS = 1.0
LOCK_SECONDS = 120.0
RAW_TABLES = "practice-raw-tables"  # by source and table: how it was made
TABLE_LOCK = "practices/{source}/tables/{table}"
BLAMELESS = (StorageUnavailable, RunLocked)
# Updates leave the files that they touch and mark rows in them. Values of rows do not stand in the table's own log.
PROPERTIES: Mapping[str, str] = {
    "delta.enableDeletionVectors": "true",
    "delta.dataSkippingStatsColumns": PRACTICE,
    "delta.columnMapping.mode": "name",
}


class LeaseLost(Exception):
    """Another application has the group by now: what is left of it is not ours."""


@dataclass(slots=True)
class Merged:
    """What one application merged so far."""

    groups: int = 0
    pieces: int = 0
    rows: int = 0
    set_aside: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a group's entries hold of one practice and table: a problem where one has any, and the columns that rows tell."""

    practice: str
    table: str
    problem: str | None
    has_rows: bool
    was_emptied: bool
    columns: Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a practice falls out of its group, and in which tables and columns.

    `waiting`: the tables that its entries are of; `hidden`: columns whose content speaks against them.
    """

    problem: str
    tables: tuple[str, ...]
    standing: Standing = Standing.QUARANTINED
    waiting: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def work(practices: Practices, lane: Lane, *, until_idle: bool, told: Told) -> Merged:
    """Merge groups of a lane for ever, or until nothing waits in it."""
    limits = practices.spec.lane(lane)
    os.nice(max(0, limits.niceness - os.nice(0)))
    done = Merged()
    prepare_tables(practices)
    while True:
        lease = practices.queue.take(lane, limits)
        if lease is not None:
            begun, before = time.monotonic(), done.rows
            merge_lease(practices, lease, done, told)
            remember_pace(practices.ports.registry, practices.spec.name, lane, done.rows - before, time.monotonic() - begun)
        elif until_idle:
            return done
        else:
            time.sleep(IDLE_SECONDS)


def prepare_tables(practices: Practices) -> None:
    """Make the raw tables that are not there, and widen those that lack a column.

    Raises `ConfigurationError`, before anything is written, where one that is there has another type or number of buckets.
    """
    _require_as_made(practices)
    for table in practices.admission.raw.values():
        with table_lock(practices, table.name):
            path = practices.ports.layout.practice_table(practices.spec.name, table.name)
            practices.ports.tables.create(path, table.schema, partition_by=[BUCKET], properties=PROPERTIES)


def _require_as_made(practices: Practices) -> None:
    ports, source = practices.ports, practices.spec.name
    mistakes = []
    for table in practices.admission.raw.values():
        path = ports.layout.practice_table(source, table.name)
        present = {each.name: each.dataType for each in ports.tables.read(path).schema} if ports.tables.exists(path) else {}
        mistakes += [
            f"{table.name}.{each.name}: {present[each.name].simpleString()} is there, {each.dataType.simpleString()} is declared"
            for each in table.schema
            if each.name in present and present[each.name] != each.dataType
        ]
        made = ports.registry.get(RAW_TABLES, f"{source}/{table.name}")
        if present and made and made["buckets"] != table.buckets:
            mistakes.append(f"{table.name}: {made['buckets']} buckets are there, {table.buckets} are declared")
    if mistakes:
        raise ConfigurationError(
            what=f"Raw tables are not as conf/ declares them: {'; '.join(mistakes)}.",
            next_step=f"mend conf/sources/{source}.yaml or conf/practices/{source}.yaml",
        )
    for table in practices.admission.raw.values():
        ports.registry.insert(RAW_TABLES, f"{source}/{table.name}", {"buckets": table.buckets})


def merge_lease(practices: Practices, lease: Lease, done: Merged, told: Told) -> None:
    """Merge one group: who is at fault falls out, everybody else's watermark moves, whatever becomes of the quarantine's tables.

    An application that dies here leaves tables in which some of the group are merged already: whoever takes the group next
    merges it again, which changes nothing there.
    """
    log = None
    try:
        log = select_pieces(practices.ports.tables.read(practices.log), lease.pieces).persist()
        faults = _merge_tables(practices, lease, log, told)
        merged = _complete(practices, lease, faults, done)
        _or_page(practices, faults, partial(_show, practices, lease, log, faults), told)
    except LeaseLost:
        practices.queue.give_back(lease)
        told(f"lease {lease.number} was lost: {len(lease.pieces)} practices go on elsewhere")
        return
    except BaseException:
        practices.queue.give_back(lease)
        raise
    finally:
        if log is not None:
            log.unpersist()
    for practice, fault in faults.items():
        _set_aside(practices, lease, practice, fault, told)
    done.set_aside += faults
    names = [piece.practice for piece in merged]
    _or_page(practices, names, partial(empty_quarantine, practices, names), told)
    told(f"group {lease.number}: {len(merged)} practices, {sum(piece.rows for piece in merged)} entries; {len(faults)} set aside")


def _complete(practices: Practices, lease: Lease, faults: Mapping[str, Fault], done: Merged) -> list[Piece]:
    """The pieces of everybody who is not at fault are merged; who is stays in the lease. Raises `LeaseLost`."""
    merged = [piece for piece in lease.pieces if piece.practice not in faults]
    if merged and not practices.queue.complete(lease, merged, small_rows=practices.spec.giant_rows // 10):
        raise LeaseLost
    done.groups += 1
    done.pieces += len(merged)
    done.rows += sum(piece.rows for piece in merged)
    return merged


def select_pieces(log: DataFrame, pieces: Sequence[Piece]) -> DataFrame:
    """The entries of these pieces: of exactly their batches, and none from before a practice was read."""
    spark = log.sparkSession
    pairs = [(piece.practice, batch, Decimal(piece.base)) for piece in pieces for batch in piece.batches]
    taken = spark.createDataFrame(pairs, "of string, number bigint, base decimal(38,0)")
    low, high = min(pair[1] for pair in pairs), max(pair[1] for pair in pairs)
    near = log.where(F.col("batch").between(low, high) & F.col("practice").isin([piece.practice for piece in pieces]))
    is_taken = (F.col("practice") == F.col("of")) & (F.col("batch") == F.col("number")) & (F.col("commit") >= F.col("base"))
    return near.join(F.broadcast(taken), is_taken, "semi")


def _merge_tables(practices: Practices, lease: Lease, log: DataFrame, told: Told) -> dict[str, Fault]:
    """Merge table by table; returns who is at fault, by practice."""
    parts = summarise(log)
    faults = faults_of(parts)
    speaking = find_speaking(practices, log)
    for practice, columns in speaking.items():
        faults.setdefault(practice, Fault(problem=Problem.SPEAKING.value, tables=columns))
    for name, table in practices.admission.raw.items():
        of_table = [part for part in parts if part.table == name and part.practice not in faults]
        if not of_table:
            continue
        _tell_undeclared(practices, of_table, table, told)
        attempt = partial(_merge, practices, lease, table, log.where(F.col("table") == name))
        failed = list(bisect(of_table, attempt, BLAMELESS))
        if len(failed) == len(of_table) > 1 and not any(isinstance(problem, ContractBroken) for _, problem in failed):
            raise failed[0][1]  # what the engine refuses of everybody is nobody's fault
        faults |= {part.practice: fault_of(problem, name) for part, problem in failed}
    waiting = {name: tuple(part.table for part in parts if part.practice == name) for name in faults}
    return {name: replace(fault, waiting=waiting[name], hidden=tuple(speaking.get(name, ()))) for name, fault in faults.items()}


def _show(practices: Practices, lease: Lease, log: DataFrame, faults: Mapping[str, Fault]) -> None:
    """Let people who may see a practice see what waits of it; columns whose content speaks against them are not shown.

    Raises `LeaseLost` where somebody else has one of them by now: what was read of it may be what must not be seen any more.
    """
    left = replace(lease, pieces=tuple(piece for piece in lease.pieces if piece.practice in faults))
    why = {name: Why(reason=each.problem, hidden=frozenset(each.hidden)) for name, each in faults.items()}
    waiting = {name: each.waiting for name, each in faults.items()}
    show_quarantined(practices, log, why, waiting, still_ours=partial(_require_lease, practices, left))


def _or_page(practices: Practices, names: Collection[str], act: Callable[[], object], told: Told) -> None:
    """What goes wrong with the quarantine's tables holds nobody up: people hear of it."""
    try:
        act()
    except WardlakeError as problem:
        page_quarantine(practices, names, problem.what, told)


def summarise(log: DataFrame) -> list[Part]:
    """What a group's entries are, by practice and table, in that order."""
    names = F.array_distinct(F.flatten(F.collect_set(F.json_object_keys("row"))))
    found = log.groupBy("practice", "table").agg(
        F.min("problem").alias("problem"),
        F.bool_or(F.col("deed") != Deed.EMPTY.value).alias("has_rows"),
        F.bool_or(F.col("deed") == Deed.EMPTY.value).alias("was_emptied"),
        names.alias("columns"),
    )
    return [Part(**row.asDict()) for row in found.orderBy("practice", "table").collect()]


def faults_of(parts: Sequence[Part]) -> dict[str, Fault]:
    """Practices with entries that cannot be merged: the first reason, and every table that has one."""
    bad = [part for part in parts if part.problem]
    tables: dict[str, list[str]] = {}
    for part in bad:
        tables.setdefault(part.practice, []).append(part.table)
    return {part.practice: Fault(problem=part.problem or "", tables=tuple(tables[part.practice])) for part in reversed(bad)}


def fault_of(problem: WardlakeError, table: str) -> Fault:
    """A refusal by its own words; any other failure by the error's, which hold no value."""
    for known in Problem:
        if isinstance(problem, ContractBroken) and known.value in problem.what:
            column = problem.what.partition(f"{known.value}: ")[2].rstrip(".") if known is Problem.BAD_VALUE else ""
            standing = Standing.WAITING if known.may_mend_itself else Standing.QUARANTINED
            return Fault(problem=known.value, tables=(f"{table}.{column}" if column else table,), standing=standing)
    return Fault(problem=problem.what, tables=(table,))


def _tell_undeclared(practices: Practices, parts: Sequence[Part], table: RawTable, told: Told) -> None:
    """Columns that nobody declared or decided on wait in the log; people hear of them once."""
    columns = {f"{table.name}.{each}" for part in parts for each in part.columns or () if each not in table.columns}
    unknown = sorted(columns - set(practices.admission.blocked))
    if unknown:
        page_undeclared(practices, unknown, told)


def _merge(practices: Practices, lease: Lease, table: RawTable, log: DataFrame, members: Sequence[Part]) -> None:
    """Merge these practices' entries into one table: rows first, then what was emptied. Raises `LeaseLost`."""
    ports, path = practices.ports, practices.ports.layout.practice_table(practices.spec.name, table.name)
    now = practices.queue.now()
    own = log.where(F.col("practice").isin([part.practice for part in members]))
    names = [part.practice for part in members]
    merges = []
    if any(part.has_rows for part in members):
        rows = make_rows(own.where(F.col("deed") != Deed.EMPTY.value), table, merged_at=now)
        merges.append((rows, merge_of(table, names)))
    if any(part.was_emptied for part in members):
        emptied = make_emptied(own.where(F.col("deed") == Deed.EMPTY.value), table, merged_at=now)
        merges.append((emptied, empty_before(table, names)))
    with engine_errors_named("Changes cannot be merged", table.name), ExitStack() as held:
        # All that needs no lock is done before it: the other lane waits for as long as it is held.
        computed = [(held.enter_context(ports.tables.computed(path, rows, how)), how) for rows, how in merges]
        held.enter_context(table_lock(practices, table.name))
        _require_lease(practices, lease)  # within the lock: whoever ends it and waits for the lock finds all that was merged
        for rows, how in computed:
            ports.tables.merge(path, rows, how)


def _require_lease(practices: Practices, lease: Lease) -> None:
    if not practices.queue.renew(lease, practices.spec.lane(lease.lane).lease_seconds):
        raise LeaseLost


def _set_aside(practices: Practices, lease: Lease, practice: str, fault: Fault, told: Told) -> None:
    kept = practices.queue.set_aside(lease, practice, fault.standing, reason=fault.problem, tables=fault.tables)
    if kept:
        page_set_aside(practices, practice, lease, reason=fault.problem, tables=fault.tables, told=told)


def table_lock(practices: Practices, table: str) -> AbstractContextManager[None]:
    """Held by whoever writes to a raw table."""
    name = TABLE_LOCK.format(source=practices.spec.name, table=table)
    return practices.ports.registry.lock(name, wait_seconds=LOCK_SECONDS)
