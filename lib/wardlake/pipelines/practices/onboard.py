"""`wardlake practices onboard`: let practices in with the rows that they have by then, and read them anew where needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from wardlake.model.changes import TableEmptied
from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.capture import count_arrived
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.change_stream import SourceRows
from wardlake.ports.work_queue import Arrived
from wardlake.practices.change_log import make_entries
from wardlake.practices.log_entries import LogEntry, list_emptied, list_present


def onboard(
    practices: Practices, names: Sequence[str], *, every: bool, snapshot: bool, new_slot: bool, told: Told
) -> dict[str, Any]:
    """Let practices in; with `snapshot` their rows come as backfill, and replace what was merged of them before.

    `every`: all that the source's rows name. `new_slot`: changes are captured from now on, whatever was lost before: for all
    practices alone, since each of them needs its rows anew then. The stream must stand before the rows are read: begin the
    capture first.
    """
    if new_slot and not (every and snapshot):
        raise ConfigurationError(what="A new slot loses changes of every practice.", next_step="--all --new-slot")
    if not snapshot:
        practices.queue.onboard(names, Lane.STEADY)
        return {"practices": list(names), "entries": 0, "batches": 0}
    if new_slot:
        practices.captures.begin_again(practices.admission.told)
        practices.queue.acknowledge("")
    elif not practices.queue.acknowledged():
        practices.captures.open(
            practices.admission.told, acknowledged=""
        ).close()  # so that changes are kept from before the rows
    with practices.captures.rows() as rows:
        chosen = _practices_of(practices, rows) if every else list(names)
        return _read(practices, rows, chosen, told)


def _practices_of(practices: Practices, rows: SourceRows) -> list[str]:
    captured = practices.admission.captured.values()
    return sorted({name for table in captured for name in rows.practices(table.name, table.practice) if name})


def _read(practices: Practices, rows: SourceRows, chosen: Sequence[str], told: Told) -> dict[str, Any]:
    """Every practice's rows into the log; they wait to be merged once all are there."""
    waiting: list[tuple[int, dict[str, Arrived]]] = []
    entries = 0
    for practice in chosen:
        count = 0
        left = _entries(practices, rows, practice)
        while part := list(islice(left, practices.spec.append_rows)):
            batch = practices.queue.next_batch()
            tables = practices.ports.tables
            tables.append(practices.log, make_entries(tables.spark, part, batch=batch).coalesce(1))
            waiting.append((batch, count_arrived(part)))
            count += len(part)
        entries += count
        told(f"{practice}: {count} entries")
    practices.queue.onboard(chosen, Lane.BACKFILL, base=rows.position.commit)
    for batch, arrived in waiting:
        practices.queue.enqueue(batch, arrived, giant_rows=practices.spec.giant_rows)
    return {"practices": list(chosen), "entries": entries, "batches": len(waiting)}


def _entries(practices: Practices, rows: SourceRows, practice: str) -> Iterator[LogEntry]:
    """A practice's rows, and after them, for each table, that what is not among them is gone."""
    captured = practices.admission.captured.values()
    for table in captured:
        for row in rows.rows(table.name, table.practice, practice):
            yield list_present(row, table, rows.position, rows.taken_at)
    for table in captured:
        emptied = TableEmptied(table=table.name, position=rows.position, committed_at=rows.taken_at)
        yield from list_emptied(emptied, [practice])
