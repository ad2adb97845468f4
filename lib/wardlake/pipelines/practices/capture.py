"""`wardlake practices capture`: a source's changes into the change log, kept before they are acknowledged."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from wardlake.model.changes import RowChange, TableEmptied
from wardlake.pipelines.practices.damaged_files import holds_everybody, keep_aside, released_stamps, set_aside
from wardlake.pipelines.practices.erased import without_erased
from wardlake.pipelines.practices.moved_rows import with_moves
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.change_stream import Aside, Batch, ChangeStream, Damaged
from wardlake.ports.work_queue import Arrived
from wardlake.practices.change_log import PROPERTIES, make_entries
from wardlake.practices.log_entries import NOBODY, LogEntry, list_emptied, list_entries, list_undeclared

IDLE_SECONDS = 1.0  # a source that is silent for so long has nothing more to tell
LOCK_SECONDS = 600.0
LOG_LOCK = "practices/{source}/log"
ONE_CAPTURE = "practices/{source}/capture"


@dataclass(slots=True)
class Captured:
    """What one application captured so far: changes of rows, entries of the log, its batches."""

    changes: int = 0
    entries: int = 0
    batches: int = 0


@dataclass(slots=True)
class _Gathered:
    changes: list[RowChange | TableEmptied] = field(default_factory=list)
    end: str = ""
    damaged: list[Damaged] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


def capture(practices: Practices, *, until_idle: bool, told: Told) -> Captured:
    """Read changes and append them to the log, for ever, or until the source has nothing more to tell.

    One application at a time: raises `RunLocked` beside another. A practice's entries stand in the order of its source; what was
    appended and not acknowledged when an application died is appended once more, with the same positions.
    """
    done = Captured()
    lock = ONE_CAPTURE.format(source=practices.spec.name)
    with practices.ports.registry.lock(lock):
        waits = set_aside(practices)
        stream = open_stream(practices)
        try:
            while True:
                if set_aside(practices) != waits:
                    stream.close()  # somebody let a part go
                    stream = open_stream(practices)
                begun, since = practices.queue.now(), time.monotonic()
                gathered = _gather(stream, practices)
                if gathered.changes:
                    _keep(practices, gathered.changes, done, told)
                if gathered.end:
                    practices.queue.acknowledge(gathered.end)
                    stream.acknowledge(gathered.end)
                keep_aside(practices, gathered.damaged, gathered.mended, told)
                waits = set_aside(practices)
                if not gathered.changes and not gathered.mended:
                    if not holds_everybody(practices):
                        practices.queue.caught_up(begun)
                    if until_idle:
                        return done
                    time.sleep(max(0.0, since + IDLE_SECONDS - time.monotonic()))  # a folder says at once that it is empty
        finally:
            stream.close()


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


def append_batch(practices: Practices, entries: Sequence[LogEntry], told: Told) -> int:
    """Append entries to the log as one batch, which nobody waits for yet; returns its number. Erased patients' are left out."""
    tables, epoch = practices.ports.tables, practices.queue.epoch()
    with log_lock(practices):
        batch = practices.queue.next_batch()
        kept = without_erased(practices, entries, told)
        rows = make_entries(tables.spark, kept, batch=batch, epoch=epoch).coalesce(1)
        if not tables.exists(practices.log):
            tables.create(practices.log, rows.schema, properties=PROPERTIES)
        tables.append(practices.log, rows)
    return batch


def log_lock(practices: Practices) -> AbstractContextManager[None]:
    """Held by whoever writes to the change log."""
    return practices.ports.registry.lock(LOG_LOCK.format(source=practices.spec.name), wait_seconds=LOCK_SECONDS)


def append_to_log(practices: Practices, entries: Sequence[LogEntry], told: Told) -> int:
    """Append entries as one batch and have their practices wait for it; returns the batch."""
    batch = append_batch(practices, entries, told)
    practices.queue.enqueue(batch, count_arrived(entries), giant_rows=practices.spec.giant_rows)
    return batch


def count_arrived(entries: Iterable[LogEntry]) -> dict[str, Arrived]:
    """How many entries each practice has, and when its newest was committed."""
    rows: dict[str, int] = {}
    newest: dict[str, datetime] = {}
    for each in entries:
        rows[each.practice] = rows.get(each.practice, 0) + 1
        newest[each.practice] = max(newest.get(each.practice, each.committed_at), each.committed_at)
    return {practice: Arrived(rows=count, committed_at=newest[practice]) for practice, count in rows.items()}


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
    found, spec = _Gathered(), practices.spec
    until = time.monotonic() + spec.append_seconds
    while len(found.changes) < spec.append_rows:
        left = until - time.monotonic()
        batch: Batch = stream.read(most=spec.append_rows - len(found.changes), seconds=min(max(left, 0.0), IDLE_SECONDS))
        found.changes += batch.changes
        found.end = batch.end or found.end
        found.damaged += batch.damaged
        found.mended += batch.mended
        if not batch.changes or left <= 0:
            break
    return found


def _keep(practices: Practices, changes: Sequence[RowChange | TableEmptied], done: Captured, told: Told) -> None:
    entries = list(entries_of(practices, with_moves(practices, changes)))
    batch = append_to_log(practices, entries, told)
    done.changes += len(changes)
    done.entries += len(entries)
    done.batches += 1
    told(f"batch {batch}: {len(changes)} changes of {len({each.practice for each in entries})} practices")
