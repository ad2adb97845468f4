"""The applications that merge: each takes a group of practices of its lane from the queue, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import groupby

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.model.errors import ConfigurationError, ContractBroken, EngineLost, RunLocked, StorageUnavailable, WardlakeError
from wardlake.model.practices import Lane, Lease, Piece, Standing
from wardlake.pipelines.practices.content import find_speaking
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.pace import remember_pace
from wardlake.pipelines.practices.paging import (
    page_columns_gone,
    page_overdue,
    page_quarantine,
    page_set_aside,
    page_undeclared,
    page_widened,
)
from wardlake.pipelines.practices.quarantine import empty_quarantine, show_quarantined
from wardlake.ports.registry import RegistryUnavailable
from wardlake.practices.bisection import bisect
from wardlake.practices.change_log import select_newest
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
from wardlake.practices.told_columns import ToldColumns, columns_gone, first_told
from wardlake.runs.overdue import at_most
from wardlake.runs.priority import lower_priority
from wardlake.runs.storage_failures import engine_errors_named, is_lost

IDLE_SECONDS = 1.0
LOCK_SECONDS = 120.0
RAW_TABLES = "practice-raw-tables"  # by source and table: how it was made
TOLD_COLUMNS = "practice-told-columns"  # by source and table: the first commit that told each column
TABLE_LOCK = "practices/{source}/tables/{table}"
BLAMELESS = (StorageUnavailable, RunLocked, EngineLost)
_UNREAD = "The change log cannot be read"
OUTLASTED = "its merge did not end, three times in a row and at last alone"
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
    """What a group's entries hold of one practice and table: a problem where one has any, and the columns that rows tell.

    `told`: these columns by the rows that tell the same ones.
    """

    practice: str
    table: str
    problem: str | None
    has_rows: bool
    was_emptied: bool
    columns: Sequence[str] | None
    told: Sequence[ToldColumns] = ()


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
    """Merge groups of a lane for ever, or until nothing waits in it.

    Where a merge takes longer than `merge_seconds`, the process ends with 22 (`at_most`): whoever starts it again takes that
    group in parts.
    """
    limits = practices.spec.lane(lane)
    if not lower_priority(limits.niceness):
        told(f"niceness {limits.niceness} holds within this session alone: start the lane as a service, or with setsid")
    done = Merged()
    with at_most(limits.merge_seconds, lambda: told("the raw tables do not answer: this application ends")):
        prepare_tables(practices, told)
    while True:
        lease = practices.queue.take(lane, limits, giant_rows=practices.spec.giant_rows)
        if lease is None and until_idle:
            return done
        if lease is None:
            time.sleep(IDLE_SECONDS)
        elif any(limits.gives_up(piece) for piece in lease.pieces):
            _give_up(practices, lease, done, told)
        else:
            _work_on(practices, lease, done, told, until_idle=until_idle)


def _work_on(practices: Practices, lease: Lease, done: Merged, told: Told, *, until_idle: bool) -> None:
    """One group. A table that the other lane holds for too long is waited for again, by an application that goes on for ever."""
    begun, before = time.monotonic(), done.rows
    try:
        with _heard_of(practices, lease):
            merge_lease(practices, lease, done, told)
    except RunLocked as problem:
        if until_idle:
            raise
        told(f"group {lease.number} waits: {problem.what}")
        time.sleep(IDLE_SECONDS)
        return
    seconds = time.monotonic() - begun
    remember_pace(practices.ports.registry, practices.spec.name, lease.lane, done.rows - before, seconds)


def prepare_tables(practices: Practices, told: Told) -> None:
    """Make the raw tables that are not there, and widen those that lack a column: people hear how it gets its earlier values.

    Raises `ConfigurationError`, before anything is written, where one that is there has another type or number of buckets.
    """
    present = _columns_there(practices)
    _require_as_made(practices, present)
    raw = practices.admission.raw
    lacking = [f"{name}.{each}" for name, there in present.items() for each in raw[name].columns if each not in there]
    if lacking:
        page_widened(practices, lacking, told)  # before they are there: who goes on where this ends sees them lack still
    for table in raw.values():
        with table_lock(practices, table.name):
            path = practices.ports.layout.practice_table(practices.spec.name, table.name)
            practices.ports.tables.create(path, table.schema, partition_by=[BUCKET], properties=PROPERTIES)


def _columns_there(practices: Practices) -> dict[str, dict[str, DataType]]:
    """The columns of every raw table that is there, by table and name."""
    ports, source = practices.ports, practices.spec.name
    paths = {name: ports.layout.practice_table(source, name) for name in practices.admission.raw}
    return {
        name: {each.name: each.dataType for each in ports.tables.read(path).schema}
        for name, path in paths.items()
        if ports.tables.exists(path)
    }


def _require_as_made(practices: Practices, present: Mapping[str, Mapping[str, DataType]]) -> None:
    ports, source = practices.ports, practices.spec.name
    mistakes = []
    for table in practices.admission.raw.values():
        there = present.get(table.name, {})
        mistakes += [
            f"{table.name}.{each.name}: {there[each.name].simpleString()} is there, {each.dataType.simpleString()} is declared"
            for each in table.schema
            if each.name in there and there[each.name] != each.dataType
        ]
        made = ports.registry.get(RAW_TABLES, f"{source}/{table.name}")
        if there and made and made["buckets"] != table.buckets:
            mistakes.append(f"{table.name}: {made['buckets']} buckets are there, {table.buckets} are declared")
    if mistakes:
        raise ConfigurationError(
            what=f"Raw tables are not as conf/ declares them: {'; '.join(mistakes)}.",
            next_step=f"mend conf/sources/{source}.yaml or conf/practices/{source}.yaml",
        )
    for table in practices.admission.raw.values():
        ports.registry.insert(RAW_TABLES, f"{source}/{table.name}", {"buckets": table.buckets})


def _give_up(practices: Practices, lease: Lease, done: Merged, told: Told) -> None:
    """Set a practice aside, which has this lease for itself, rather than wait for it once more."""
    for piece in lease.pieces:
        tables = (piece.merging,) if piece.merging else ()  # none, where it was before any table
        if _set_aside(practices, lease, piece.practice, Fault(problem=OUTLASTED, tables=tables), told):
            done.set_aside.append(piece.practice)


def merge_lease(practices: Practices, lease: Lease, done: Merged, told: Told) -> None:
    """Merge one group: who is at fault falls out, everybody else's watermark moves, whatever becomes of the quarantine's tables.

    An application that dies here leaves tables in which some of the group are merged already: whoever takes the group next
    merges it again, which changes nothing there.
    """
    log = None
    try:
        with engine_errors_named(_UNREAD, practices.spec.name), _in_time(practices, lease, "", told):
            log = select_pieces(practices.ports.tables.read(practices.log), lease.pieces).persist()
        faults = _merge_tables(practices, lease, log, told)
        merged = _complete(practices, lease, faults, done)
        with _limited(practices, lease, "", told):
            _or_page(practices, faults, partial(_show, practices, lease, log, faults), told)
    except LeaseLost:
        practices.queue.give_back(lease)
        told(f"lease {lease.number} was lost: {len(lease.pieces)} practices go on elsewhere")
        return
    except BaseException as problem:
        practices.queue.give_back(lease, has_lapsed=_may_be_somebodys(problem))
        raise
    finally:
        if log is not None:
            with suppress(Py4JError, ConnectionError):  # an engine that ended keeps nothing
                log.unpersist()
    aside = [practice for practice, fault in faults.items() if _set_aside(practices, lease, practice, fault, told)]
    done.set_aside += aside
    names = [piece.practice for piece in merged]
    with _limited(practices, lease, "", told):
        _or_page(practices, names, partial(empty_quarantine, practices, names), told)
    told(f"group {lease.number}: {len(merged)} practices, {sum(piece.rows for piece in merged)} entries; {len(aside)} set aside")


def _may_be_somebodys(problem: BaseException) -> bool:
    """Whether what ended a whole group may be for what one of it holds: it kills the engine, or is more than that can take."""
    return is_lost(problem) or not isinstance(problem, (*BLAMELESS, RegistryUnavailable, KeyboardInterrupt, SystemExit))


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
    """The entries of these pieces: of exactly their batches, none from before a practice was read, and no bad one let go of."""
    spark = log.sparkSession
    wanted = [
        (piece.practice, batch, Decimal(piece.base), batch <= piece.without_bad_to) for piece in pieces for batch in piece.batches
    ]
    taken = spark.createDataFrame(wanted, "of string, number bigint, base decimal(38,0), without_bad boolean")
    low, high = min(each[1] for each in wanted), max(each[1] for each in wanted)
    near = log.where(F.col("batch").between(low, high) & F.col("practice").isin([piece.practice for piece in pieces]))
    is_taken = (F.col("practice") == F.col("of")) & (F.col("batch") == F.col("number")) & (F.col("commit") >= F.col("base"))
    is_taken &= F.col("problem").isNull() | ~F.col("without_bad")
    return near.join(F.broadcast(taken), is_taken, "semi")


def _merge_tables(practices: Practices, lease: Lease, log: DataFrame, told: Told) -> dict[str, Fault]:
    """Merge table by table; returns who is at fault, by practice."""
    with _in_time(practices, lease, "", told):
        with engine_errors_named(_UNREAD, practices.spec.name):  # a store that is away is nobody's fault
            parts = summarise(log)
        speaking = find_speaking(practices, log)
    faults = faults_of(parts)
    for practice, columns in speaking.items():
        faults.setdefault(practice, Fault(problem=Problem.SPEAKING.value, tables=columns))
    with _in_time(practices, lease, "", told):
        gone = find_gone(practices, log, parts)
    for practice, columns in gone.items():
        faults.setdefault(practice, Fault(problem=Problem.COLUMN_GONE.value, tables=columns))
    for name, table in practices.admission.raw.items():
        of_table = [part for part in parts if part.table == name and part.practice not in faults]
        if not of_table:
            continue
        _tell_undeclared(practices, of_table, table, told)
        attempt = partial(_merge, practices, lease, table, log.where(F.col("table") == name), told=told)
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
    told = F.array_sort(F.array_union(F.json_object_keys("row"), "unchanged"))
    found = log.groupBy("practice", "table", told.alias("columns")).agg(
        F.min("problem").alias("problem"),
        F.bool_or(F.col("deed") != Deed.EMPTY.value).alias("has_rows"),
        F.bool_or(F.col("deed") == Deed.EMPTY.value).alias("was_emptied"),
        F.min("commit").cast("string").alias("first"),
        F.max("commit").cast("string").alias("last"),
    )
    alike = groupby(found.orderBy("practice", "table").collect(), lambda row: (row["practice"], row["table"]))
    return [_part(practice, table, list(rows)) for (practice, table), rows in alike]


def _part(practice: str, table: str, alike: Sequence[Row]) -> Part:
    """`alike`: one row of `summarise` for all entries that tell the same columns."""
    telling = [row for row in alike if row["columns"] is not None]
    return Part(
        practice=practice,
        table=table,
        problem=min((row["problem"] for row in alike if row["problem"]), default=None),
        has_rows=any(row["has_rows"] for row in alike),
        was_emptied=any(row["was_emptied"] for row in alike),
        columns=sorted({name for row in telling for name in row["columns"]}),
        told=[ToldColumns(columns=frozenset(row["columns"]), first=int(row["first"]), last=int(row["last"])) for row in telling],
    )


def find_gone(practices: Practices, log: DataFrame, parts: Sequence[Part]) -> dict[str, tuple[str, ...]]:
    """By practice, the columns, as `table.column`, that rows of its lack at last though the source told them before."""
    gone: dict[str, list[str]] = {}
    for name, table in practices.admission.raw.items():
        of_table = [part for part in parts if part.table == name and part.told]
        since = _since(practices, table, of_table)
        lacking = [part.practice for part in of_table if columns_gone(since, table.columns, part.told)]
        for practice, told in _told_at_last(log, name, lacking) if lacking else ():
            columns = columns_gone(since, table.columns, [told])
            gone.setdefault(practice, []).extend(f"{name}.{column}" for column in columns)
    return {practice: tuple(sorted(set(columns))) for practice, columns in gone.items() if columns}


def _told_at_last(log: DataFrame, table: str, names: Collection[str]) -> Iterator[tuple[str, ToldColumns]]:
    """What these practices' rows tell as their last entries leave them: one that lacked a column may have been told again."""
    is_row = F.col("deed") != Deed.EMPTY.value
    newest = select_newest(log.where((F.col("table") == table) & F.col("practice").isin([*names]) & is_row))
    told = F.array_sort(F.array_union(F.map_keys("row"), "unsent"))
    commits = F.min("commit").cast("string").alias("first"), F.max("commit").cast("string").alias("last")
    there = newest.where(F.col("row").isNotNull()).groupBy("practice", told.alias("columns")).agg(*commits)
    with engine_errors_named(_UNREAD, table):
        for row in there.collect():
            told_last = ToldColumns(columns=frozenset(row["columns"]), first=int(row["first"]), last=int(row["last"]))
            yield row["practice"], told_last


def _since(practices: Practices, table: RawTable, parts: Sequence[Part]) -> dict[str, int]:
    """The first commit that told each column, these rows among them; remembered where it is news."""
    registry, key = practices.ports.registry, f"{practices.spec.name}/{table.name}"
    before = {column: int(commit) for column, commit in (registry.get(TOLD_COLUMNS, key) or {}).items()} if parts else {}
    after = first_told(before, table.columns, (each for part in parts for each in part.told))
    if after != before:
        registry.set_fields(TOLD_COLUMNS, {key: {column: str(commit) for column, commit in after.items()}})
    return after


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
    """Rows are merged without columns that nobody declared or decided on; people hear of these once."""
    columns = {f"{table.name}.{each}" for part in parts for each in part.columns or () if each not in table.columns}
    unknown = sorted(columns - set(practices.admission.blocked))
    if unknown:
        page_undeclared(practices, unknown, told)


def _merge(practices: Practices, lease: Lease, table: RawTable, log: DataFrame, members: Sequence[Part], *, told: Told) -> None:
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
        with _in_time(practices, lease, table.name, told):
            computed = [(held.enter_context(ports.tables.computed(path, rows, how)), how) for rows, how in merges]
        held.enter_context(table_lock(practices, table.name))
        # Within the lock: whoever ends the lease and waits for the lock finds all that was merged.
        with _in_time(practices, lease, table.name, told):
            for rows, how in computed:
                ports.tables.merge(path, rows, how)


@contextmanager
def _in_time(practices: Practices, lease: Lease, table: str, told: Told) -> Iterator[None]:
    """What is within ends in its time, or this process ends. Raises `LeaseLost`."""
    _require_lease(practices, lease, table)
    with _limited(practices, lease, table, told):
        yield


@contextmanager
def _limited(practices: Practices, lease: Lease, table: str, told: Told) -> Iterator[None]:
    tell = partial(page_overdue, practices, lease, table, told)
    with at_most(practices.spec.lane(lease.lane).merge_seconds, tell):
        yield


@contextmanager
def _heard_of(practices: Practices, lease: Lease) -> Iterator[None]:
    """For as long as this process lives and works on a group, nobody else takes it."""
    ended = threading.Event()
    beats = threading.Thread(target=_renew_until, args=(practices, lease, ended), name=f"lease {lease.number}", daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()


def _renew_until(practices: Practices, lease: Lease, ended: threading.Event) -> None:
    seconds = practices.spec.lane(lease.lane).lease_seconds
    while not ended.wait(seconds / 3):
        with suppress(RegistryUnavailable):  # who merges finds it away too, and says so
            practices.queue.renew(lease, seconds)


def _require_lease(practices: Practices, lease: Lease, table: str | None = None) -> None:
    if not practices.queue.renew(lease, practices.spec.lane(lease.lane).lease_seconds, merging=table):
        raise LeaseLost


def _set_aside(practices: Practices, lease: Lease, practice: str, fault: Fault, told: Told) -> bool:
    """Whether the practice is out of its turns: one whose lease was lost, or that is tried with more of what waits, is not."""
    standing = practices.queue.set_aside(lease, practice, fault.standing, reason=fault.problem, tables=fault.tables)
    if standing is None or standing is Standing.READY:
        return False
    if fault.problem == Problem.COLUMN_GONE.value:
        page_columns_gone(practices, fault.tables, told)
    else:
        page_set_aside(practices, practice, lease, reason=fault.problem, tables=fault.tables, told=told)
    return True


def table_lock(practices: Practices, table: str) -> AbstractContextManager[None]:
    """Held by whoever writes to a raw table."""
    name = TABLE_LOCK.format(source=practices.spec.name, table=table)
    return practices.ports.registry.lock(name, wait_seconds=LOCK_SECONDS)
