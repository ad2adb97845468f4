"""`wardlake practices onboard`: let practices in with the rows that they have by then, and read them anew where needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from wardlake.model.audit import AuditKind
from wardlake.model.changes import TableEmptied
from wardlake.model.errors import ChangesLost, ConfigurationError
from wardlake.model.practices import FileCapture, Lane, Piece, PracticeState, Standing
from wardlake.pipelines.practices.acts import record_act, require_may_act
from wardlake.pipelines.practices.capture import ONE_CAPTURE, append_batch, count_arrived, open_stream
from wardlake.pipelines.practices.ingest import select_pieces
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import empty_quarantine
from wardlake.pipelines.practices.watching import require
from wardlake.ports.change_stream import SourceRows
from wardlake.ports.work_queue import Arrived
from wardlake.practices.change_log import in_epoch
from wardlake.practices.log_entries import LogEntry, list_emptied, list_present
from wardlake.practices.names import find_alike
from wardlake.runs.storage_failures import engine_errors_named

MEND_NAMES = "mend the name at the source; where they are one practice, have it write one name in all rows"
READ_ANEW = "capture began again: its rows are to be read anew"


def onboard(
    practices: Practices, names: Sequence[str], *, every: bool, snapshot: bool, new_slot: bool, told: Told
) -> dict[str, Any]:
    """Let practices in; with `snapshot` their rows come as backfill, and replace what was merged of them before.

    `every`: all that the source's rows name; without a snapshot, newcomers whose changes came already. `new_slot`: changes are
    captured from now on, whatever was lost before. Each practice needs its rows anew then: those not named stay aside until they
    are read. Raises `ConfigurationError` for who is in already, where their rows are not read.
    """
    if new_slot and not snapshot:
        raise ConfigurationError(what="After a new slot each practice needs its rows anew.", next_step="without --no-snapshot")
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
        _require_newcomers(practices, names)
        met, alike = _newcomers(practices) if every else (list(names), [])
        _require_apart(practices, met)
        record_act(practices, AuditKind.PRACTICES_ONBOARDED, met)
        practices.queue.onboard(met, Lane.BACKFILL)
        return {"practices": met, "entries": 0, "batches": 0, "alike": alike}
    require_may_act(practices)
    if not every:
        _require_apart(practices, names)
    if new_slot and not every:
        _require_lost(practices)
    if new_slot:
        _begin_again(practices)
    elif not practices.queue.acknowledged():
        open_stream(practices).close()  # so that changes are kept from before the rows
    chosen, alike = _everybody(practices) if every else (list(names), [])
    record_act(practices, AuditKind.PRACTICES_ONBOARDED, chosen)
    practices.queue.meet(chosen)  # so that what empties a table from now on is told to them too
    with practices.captures.rows() as rows:
        return {**_read(practices, rows, chosen, told), "alike": alike}


def _require_newcomers(practices: Practices, names: Sequence[str]) -> None:
    """Without its rows nothing of a practice changes that is in already."""
    inside = sorted(_inside(practices) & set(names))
    if inside:
        raise ConfigurationError(
            what=f"These are in already, and their rows are not read: {', '.join(map(ascii, inside))}.",
            next_step="where one is set aside: wardlake practices release (docs/runbooks/practice-set-aside.md)",
        )


def _begin_again(practices: Practices) -> None:
    """Everybody stands aside, and changes are kept from now on. Raises `RunLocked` beside a capture: it holds the slot.

    What the source would not tell is said before anybody stands aside.
    """
    with practices.ports.registry.lock(ONE_CAPTURE.format(source=practices.spec.name)):
        practices.captures.prepare(practices.admission.told)
        record_act(practices, AuditKind.PRACTICES_BEGUN_AGAIN, practices.known)
        practices.queue.begin_again(READ_ANEW)
        practices.queue.acknowledge(practices.captures.begin_again(practices.admission.told))


def _require_lost(practices: Practices) -> None:
    """A new slot loses changes of every practice: for the sake of some it is made only where they are lost already."""
    try:
        open_stream(practices).close()
    except ChangesLost:
        return
    raise ConfigurationError(
        what="The slot is there and goes on: a new one would lose changes of every practice.",
        next_step="without --new-slot; or --all --new-slot, to read everybody's rows",
    )


def _require_apart(practices: Practices, chosen: Sequence[str]) -> None:
    """Nobody is let in whose name people cannot tell from another's."""
    alike = find_alike(chosen, _inside(practices))
    if alike:
        raise ConfigurationError(
            what=f"These names read the same: {'; '.join(' and '.join(map(ascii, group)) for group in alike)}.",
            next_step=MEND_NAMES,
        )


def _everybody(practices: Practices) -> tuple[list[str], list[tuple[str, ...]]]:
    """Whom the source's rows name, and who is in already: somebody whose rows are all gone has none from now on."""
    with practices.captures.rows() as rows:
        return _without_alike(practices, {*_practices_of(practices, rows), *_inside(practices)})


def _newcomers(practices: Practices) -> tuple[list[str], list[tuple[str, ...]]]:
    """Whose changes came and who is not in."""
    met, alike = _without_alike(practices, {name for name in practices.known if name})
    return sorted(set(met) - _inside(practices)), alike


def _without_alike(practices: Practices, named: set[str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Without newcomers whose names read as others': they stop nobody. And the groups of such names."""
    inside = _inside(practices)
    alike = find_alike(named, inside)
    return sorted(named - ({name for group in alike for name in group} - inside)), alike


def _inside(practices: Practices) -> set[str]:
    return {state.practice for state in practices.queue.states() if state.onboarded}


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
    _require_no_hole(practices, names)
    record_act(practices, AuditKind.PRACTICES_RELEASED, names)
    released = practices.queue.release(names)
    empty_quarantine(practices, released)
    return released


def release_without_bad_changes(practices: Practices, names: Sequence[str]) -> dict[str, int]:
    """Have practices that were set aside tried again, but for entries that wait and have a problem: these are never merged.

    Entries that come later are not concerned. Returns how many are given up, by practice. Raises `ConfigurationError` where a
    practice has none, and as `release` does.
    """
    require_may_act(practices)
    states = _require_no_hole(practices, names)
    aside = {each.practice: each for each in states if each.onboarded and each.standing is not Standing.READY}
    given_up = _count_bad(practices, [each for each in aside.values() if each.waiting])
    without = sorted(aside.keys() - given_up.keys())
    if without:
        raise ConfigurationError(
            what=f"No change that waits of these is bad by itself: {', '.join(map(ascii, without))}.",
            next_step="wardlake practices release --practice P; docs/runbooks/practice-set-aside.md",
        )
    record_act(practices, AuditKind.PRACTICES_RELEASED, given_up, given_up=sum(given_up.values()))
    released = practices.queue.release(given_up, without_bad={name: max(aside[name].waiting) for name in given_up})
    empty_quarantine(practices, released)
    return {name: given_up[name] for name in released}


def _count_bad(practices: Practices, states: Sequence[PracticeState]) -> dict[str, int]:
    """Entries that wait and have a problem, by practice; nothing of practices that have none."""
    if not states:
        return {}
    pieces = [Piece(practice=each.practice, batches=each.waiting, rows=each.rows) for each in states]
    with engine_errors_named("The change log cannot be read", practices.spec.name):
        bad = select_pieces(practices.ports.tables.read(practices.log), pieces).where("problem IS NOT NULL")
        return {row["practice"]: row["count"] for row in bad.groupBy("practice").count().collect()}


def _require_no_hole(practices: Practices, names: Sequence[str]) -> list[PracticeState]:
    states = require(practices, names)
    anew = practices.queue.to_read_anew(names)
    if anew:
        raise ConfigurationError(
            what=f"Changes of these were lost when capture began again; going on would leave a hole: {', '.join(anew)}.",
            next_step="wardlake practices onboard --practice P",
        )
    return states
