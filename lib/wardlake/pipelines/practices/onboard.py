"""`wardlake practices onboard`: let practices in with the rows that they have by then, and read them anew where needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from wardlake.model.audit import AuditKind
from wardlake.model.changes import TableEmptied
from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import FileCapture, Lane
from wardlake.pipelines.practices.acts import record_act, require_may_act
from wardlake.pipelines.practices.capture import append_batch, count_arrived, open_stream
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import empty_quarantine
from wardlake.pipelines.practices.watching import require
from wardlake.ports.change_stream import SourceRows
from wardlake.ports.work_queue import Arrived
from wardlake.practices.change_log import in_epoch
from wardlake.practices.log_entries import LogEntry, list_emptied, list_present
from wardlake.practices.names import find_alike

READ_ANEW = "capture began again: its rows are to be read anew"


def onboard(
    practices: Practices, names: Sequence[str], *, every: bool, snapshot: bool, new_slot: bool, told: Told
) -> dict[str, Any]:
    """Let practices in; with `snapshot` their rows come as backfill, and replace what was merged of them before.

    `every`: all that the source's rows name; without a snapshot, all whose changes came already. `new_slot`: changes are captured
    from now on, whatever was lost before: for all practices alone, since each of them needs its rows anew then.
    """
    if new_slot and not (every and snapshot):
        raise ConfigurationError(what="A new slot loses changes of every practice.", next_step="--all --new-slot")
    if new_slot and isinstance(practices.spec.capture, FileCapture):
        raise ConfigurationError(
            what="Change files have no slot: there is no database to read every practice's rows from.",
            next_step="have the migration service load the practices in full",
        )
    if not snapshot and practices.queue.epoch():
        raise ConfigurationError(
            what="Capture began again: whoever is let in needs their rows, since changes of before are lost.",
            next_step="without --no-snapshot",
        )
    if not snapshot:
        met = [name for name in practices.known if name] if every else list(names)
        _require_apart(practices, met)
        record_act(practices, AuditKind.PRACTICES_ONBOARDED, met)
        practices.queue.onboard(met, Lane.BACKFILL)
        return {"practices": met, "entries": 0, "batches": 0}
    require_may_act(practices)
    if new_slot:
        record_act(practices, AuditKind.PRACTICES_BEGUN_AGAIN, practices.known)
        practices.queue.begin_again(READ_ANEW)
        practices.queue.acknowledge(practices.captures.begin_again(practices.admission.told))
    elif not practices.queue.acknowledged():
        open_stream(practices).close()  # so that changes are kept from before the rows
    chosen = _everybody(practices) if every else list(names)
    _require_apart(practices, chosen)
    record_act(practices, AuditKind.PRACTICES_ONBOARDED, chosen)
    practices.queue.meet(chosen)  # so that what empties a table from now on is told to them too
    with practices.captures.rows() as rows:
        return _read(practices, rows, chosen, told)


def _require_apart(practices: Practices, chosen: Sequence[str]) -> None:
    """Nobody is let in whose name people cannot tell from another's."""
    inside = [state.practice for state in practices.queue.states() if state.onboarded]
    alike = find_alike(chosen, inside)
    if alike:
        raise ConfigurationError(
            what=f"These names read the same: {'; '.join(' and '.join(map(ascii, group)) for group in alike)}.",
            next_step="mend the name at the source; where they are one practice: wardlake practices merge",
        )


def _everybody(practices: Practices) -> list[str]:
    """Whom the source's rows name, and who is in already: somebody whose rows are all gone has none from now on."""
    inside = {state.practice for state in practices.queue.states() if state.onboarded}
    with practices.captures.rows() as rows:
        return sorted({*_practices_of(practices, rows), *inside})


def _practices_of(practices: Practices, rows: SourceRows) -> list[str]:
    captured = practices.admission.captured.values()
    return sorted({name for table in captured for name in rows.practices(table.name, table.practice) if name})


def _read(practices: Practices, rows: SourceRows, chosen: Sequence[str], told: Told) -> dict[str, Any]:
    """Every practice's rows into the log, many practices in one commit.

    They wait to be merged, before every change, once all are there.
    """
    waiting: list[tuple[int, dict[str, Arrived]]] = []
    left = _entries_of_all(practices, rows, chosen, told)
    while part := list(islice(left, practices.spec.append_rows)):
        waiting.append((append_batch(practices, part, told), count_arrived(part)))
    for batch, arrived in waiting:
        practices.queue.enqueue(batch, arrived, giant_rows=practices.spec.giant_rows, is_base=True)
    practices.queue.onboard(chosen, Lane.BACKFILL, base=in_epoch(rows.position.commit, practices.queue.epoch()))
    entries = sum(each.rows for _, arrived in waiting for each in arrived.values())
    return {"practices": list(chosen), "entries": entries, "batches": len(waiting)}


def _entries_of_all(practices: Practices, rows: SourceRows, chosen: Sequence[str], told: Told) -> Iterator[LogEntry]:
    for practice in chosen:
        count = 0
        for entry in _entries(practices, rows, practice):
            yield entry
            count += 1
        told(f"{practice}: {count} entries")


def _entries(practices: Practices, rows: SourceRows, practice: str) -> Iterator[LogEntry]:
    """A practice's rows, and after them, for each table, that what is not among them is gone."""
    captured = practices.admission.captured.values()
    for table in captured:
        for row in rows.rows(table.name, table.practice, practice):
            yield list_present(row, table, rows.position, rows.taken_at)
    for table in captured:
        emptied = TableEmptied(table=table.name, position=rows.position, committed_at=rows.taken_at)
        yield from list_emptied(emptied, [practice])


def release(practices: Practices, names: Sequence[str]) -> list[str]:
    """Have practices that were set aside tried again; returns those that were.

    Raises `ConfigurationError` for one whose changes were lost since its rows were read: it has to be let in again.
    """
    require(practices, names)
    anew = practices.queue.to_read_anew(names)
    if anew:
        raise ConfigurationError(
            what=f"Changes of these were lost when capture began again; going on would leave a hole: {', '.join(anew)}.",
            next_step="wardlake practices onboard --practice P",
        )
    record_act(practices, AuditKind.PRACTICES_RELEASED, names)
    released = practices.queue.release(names)
    empty_quarantine(practices, released)
    return released
