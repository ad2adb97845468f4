"""`wardlake practices capture`: a source's changes into the change log, kept before they are acknowledged."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import pyarrow as pa

from wardlake.model.changes import RowChange, TableEmptied
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.practices import PostgresCapture
from wardlake.pipelines.practices.damaged_files import holds_everybody, keep_aside, released_stamps, set_aside
from wardlake.pipelines.practices.erased import without_erased
from wardlake.pipelines.practices.moved_rows import with_moves
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.paging import page_capture_stopped, page_nobodys, page_strangers
from wardlake.ports.change_stream import Aside, Batch, ChangeStream, Damaged
from wardlake.ports.registry import RegistryUnavailable
from wardlake.ports.work_queue import Arrived
from wardlake.practices.change_log import PROPERTIES, number_entries, tabulate_entries
from wardlake.practices.log_entries import NOBODY, LogEntry, Problem, list_emptied, list_entries, list_undeclared

TURN_SECONDS = 0.0005
IDLE_SECONDS = 1.0  # a source that is silent for so long has nothing more to tell
LOCK_SECONDS = 600.0
LOG_LOCK = "practices/{source}/log"
ONE_CAPTURE = "practices/{source}/capture"
UNFILED = (Problem.UNSENT_KEY, Problem.NO_PRACTICE)  # why a row's change is of nobody
MOST_BATCHES = 2  # in one commit of the log, where so many changes are there at once: a commit costs a second


@dataclass(slots=True)
class Captured:
    """What one application captured so far: changes of rows, entries of the log, its batches."""

    changes: int = 0
    entries: int = 0
    batches: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """Entries of one batch, and the same as rows of the log: made while those before them are appended."""

    entries: list[LogEntry]
    rows: pa.Table


@dataclass(slots=True)
class _Gathered:
    changes: list[RowChange | TableEmptied] = field(default_factory=list)
    end: str = ""
    damaged: list[Damaged] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


def capture(practices: Practices, *, until_idle: bool, told: Told) -> Captured:
    """Read changes and append them to the log, for ever, or until all is there that the source had committed by now.

    One application at a time: raises `RunLocked` beside another. A practice's entries stand in the order of its source; what was
    appended and not acknowledged when an application died is appended once more, with the same positions.
    """
    done = Captured()
    lock = ONE_CAPTURE.format(source=practices.spec.name)
    with (
        _paged_if_broken(practices, told),
        practices.ports.registry.lock(lock),
        _short_turns(),
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="keep") as beside,
    ):
        waits = set_aside(practices)
        stream = open_stream(practices)
        appending: list[Future[str]] = []  # one commit at most, while more is read
        asked: tuple[datetime, str] | None = None  # a moment, and where the source's changes ended then
        try:
            while True:
                if set_aside(practices) != waits:
                    _settle(practices, stream, appending)
                    stream.close()  # somebody let a part go
                    stream, asked = open_stream(practices), None
                at, mark = asked = asked or (practices.queue.now(), stream.mark())
                since = time.monotonic()
                gathered = _gather(stream, practices)
                if not _stand_alone(practices, gathered.changes):
                    _settle(practices, stream, appending)
                entries = entries_of(practices, with_moves(practices, gathered.changes))
                ready = [_make_ready(practices, part) for part in _batches_of(practices, entries)]
                _settle(practices, stream, appending)
                appending.append(beside.submit(_keep, practices, gathered, ready, done, told))
                has_told = stream.has_told(mark)
                if len(gathered.changes) >= _most(practices) and not (has_told or gathered.damaged or gathered.mended):
                    continue  # more is there already
                _settle(practices, stream, appending)
                keep_aside(practices, gathered.damaged, gathered.mended, told)
                waits = set_aside(practices)
                if has_told and not gathered.mended:
                    asked = None
                    told_to = stream.told_to(at)
                    if told_to is not None and not holds_everybody(practices):
                        practices.queue.caught_up(told_to)
                    if until_idle:
                        return done
                if not gathered.changes and not gathered.mended:
                    time.sleep(max(0.0, since + IDLE_SECONDS - time.monotonic()))  # a folder says at once that it is empty
        finally:
            stream.close()


@contextmanager
def _paged_if_broken(practices: Practices, told: Told) -> Iterator[None]:
    """People hear at once of a source that cannot be captured any more: nobody's changes come until somebody acts."""
    try:
        yield
    except (ContractBroken, ConfigurationError) as problem:
        with suppress(RegistryUnavailable):  # the board cannot be asked whom it concerns: the error itself says what it is
            page_capture_stopped(practices, problem, told)
        raise


@contextmanager
def _short_turns() -> Iterator[None]:
    """Python's threads take turns; who hands rows to the JVM needs many short ones, and would wait for a whole one at each."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _settle(practices: Practices, stream: ChangeStream, appending: list[Future[str]]) -> None:
    """Wait until what was read before is in the log, and tell the source that it may forget it."""
    while appending:
        end = appending.pop().result()
        if end:
            practices.queue.acknowledge(end)
            stream.acknowledge(end)


def open_stream(practices: Practices) -> ChangeStream:
    """The source's changes; before anything was captured the source is told to keep them from now on."""
    needed, acknowledged = practices.admission.told, practices.queue.acknowledged()
    if not acknowledged:
        acknowledged = practices.captures.begin(needed)
        practices.queue.acknowledge(acknowledged)
    whose = {name: table.practice for name, table in practices.admission.captured.items()}
    stamps = {each.place: each.stamp for each in set_aside(practices)}
    aside = Aside(stamps=stamps, released=released_stamps(practices), practices=whose)
    return practices.captures.open(needed, acknowledged=acknowledged, aside=aside)


def append_batch(practices: Practices, entries: Iterable[LogEntry], told: Told) -> int:
    """Append entries to the log as one batch, which nobody waits for yet; returns its number. Erased patients' are left out."""
    (batch,) = _append(practices, [_make_ready(practices, list(entries))], told)
    return batch


def _batches_of(practices: Practices, entries: Iterator[LogEntry]) -> Iterator[list[LogEntry]]:
    while part := list(islice(entries, practices.spec.append_rows)):
        yield part


def _make_ready(practices: Practices, entries: list[LogEntry]) -> _Ready:
    return _Ready(entries=entries, rows=tabulate_entries(entries, epoch=practices.queue.epoch()))


def _append(practices: Practices, ready: Sequence[_Ready], told: Told) -> list[int]:
    """Append batches in one commit; returns their numbers."""
    tables = practices.ports.tables
    with log_lock(practices):
        batches = {practices.queue.next_batch(): _without_erased(practices, each, told) for each in ready}
        rows = number_entries(tables.spark, batches).coalesce(1)
        if not tables.exists(practices.log):
            tables.create(practices.log, rows.schema, properties=PROPERTIES)
        tables.append(practices.log, rows)
    return list(batches)


def _without_erased(practices: Practices, ready: _Ready, told: Told) -> pa.Table:
    kept = without_erased(practices, ready.entries, told)
    return ready.rows if kept is ready.entries else tabulate_entries(kept, epoch=practices.queue.epoch())


def log_lock(practices: Practices) -> AbstractContextManager[None]:
    """Held by whoever writes to the change log."""
    return practices.ports.registry.lock(LOG_LOCK.format(source=practices.spec.name), wait_seconds=LOCK_SECONDS)


def count_arrived(entries: Iterable[LogEntry]) -> dict[str, Arrived]:
    """How many entries each practice has, and when its oldest and its newest were committed."""
    moments: dict[str, list[datetime]] = {}
    for each in entries:
        moments.setdefault(each.practice, []).append(each.committed_at)
    return {name: Arrived(rows=len(at), committed_at=max(at), first_at=min(at)) for name, at in moments.items()}


def entries_of(practices: Practices, changes: Iterable[RowChange | TableEmptied]) -> Iterator[LogEntry]:
    """The entries of changes, under the practices that they belong to."""
    captured = practices.admission.captured
    met: set[str] = set()
    for change in changes:
        if change.table not in captured:
            yield list_undeclared(change)
        elif isinstance(change, TableEmptied):
            yield from list_emptied(change, sorted({*practices.known, *met} - {NOBODY}))
        else:
            for entry in list_entries(change, captured[change.table]):
                met.add(entry.practice)
                yield entry


def _gather(stream: ChangeStream, practices: Practices) -> _Gathered:
    """Changes for as long, or as many, as one batch of the log holds; nothing where the source is silent."""
    found, most = _Gathered(), _most(practices)
    until = time.monotonic() + practices.spec.append_seconds
    while len(found.changes) < most:
        left = until - time.monotonic()
        batch: Batch = stream.read(most=most - len(found.changes), seconds=min(max(left, 0.0), IDLE_SECONDS))
        found.changes += batch.changes
        found.end = batch.end or found.end
        found.damaged += batch.damaged
        found.mended += batch.mended
        if not batch.changes or left <= 0:
            break
    return found


def _most(practices: Practices) -> int:
    return MOST_BATCHES * practices.spec.append_rows


def _stand_alone(practices: Practices, changes: Sequence[RowChange | TableEmptied]) -> bool:
    """Whether their entries are the same whatever was captured before: rows of a stream that tells where each was."""
    return isinstance(practices.spec.capture, PostgresCapture) and all(isinstance(each, RowChange) for each in changes)


def _keep(practices: Practices, gathered: _Gathered, ready: Sequence[_Ready], done: Captured, told: Told) -> str:
    """Append what was gathered, for which its practices wait then; returns up to where the source may forget."""
    if ready:
        batches = _append(practices, ready, told)
        for batch, each in zip(batches, ready, strict=True):
            fresh = practices.queue.enqueue(batch, count_arrived(each.entries), giant_rows=practices.spec.giant_rows)
            _page_strangers(practices, each.entries, {*fresh} - {NOBODY}, told)
            _page_nobodys(practices, each.entries, told)
            told(f"batch {batch}: {len(each.entries)} entries of {len({entry.practice for entry in each.entries})} practices")
        done.changes += len(gathered.changes)
        done.entries += sum(len(each.entries) for each in ready)
        done.batches += len(batches)
    return gathered.end


def _page_strangers(practices: Practices, entries: Iterable[LogEntry], fresh: set[str], told: Told) -> None:
    """Before anybody is let in, everybody is a stranger."""
    if fresh and any(state.onboarded for state in practices.queue.states()):
        tables = {name: {each.table for each in entries if each.practice == name} for name in fresh}
        page_strangers(practices, tables, told)


def _page_nobodys(practices: Practices, entries: Iterable[LogEntry], told: Told) -> None:
    """Whose changes these are, the source does not say, or no more: nobody's watermark shows that they are missing."""
    of_nobody = (each for each in entries if each.practice == NOBODY)
    for table, problem in sorted({(each.table, each.problem) for each in of_nobody if each.problem in UNFILED}):
        page_nobodys(practices, table, problem, told)
