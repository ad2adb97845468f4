"""What people and schedulers see of the queue: how far each practice is, and whether it is there yet."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from wardlake.model.errors import ConfigurationError, DoneInPart
from wardlake.model.practices import Lane, PracticeState, Standing
from wardlake.pipelines.practices.opening import Practices, Told

POLL_SECONDS = 1.0


def describe(state: PracticeState) -> dict[str, Any]:
    """A practice's state as a document."""
    mark = state.watermark
    return {
        "practice": state.practice,
        "lane": state.lane.value,
        "standing": state.standing.value,
        "reason": state.reason,
        "tables": list(state.tables),
        "being_merged": state.leased,
        "waiting_entries": state.rows,
        "waiting_since": _text(state.oldest),
        "merged_to": _text(mark.committed_at),
        "merged_at": _text(mark.merged_at),
    }


def line(each: Mapping[str, Any]) -> str:
    """The same for people."""
    waits = f"{each['waiting_entries']:>9,} waiting" + (" *" if each["being_merged"] else "")
    why = f"  {each['standing']}: {each['reason']} ({', '.join(each['tables'])})" if each["reason"] else ""
    merged = f"merged to {each['merged_to'][:19]}" if each["merged_to"] else "nothing merged yet"
    return f"{each['practice'] or '(no practice)':<38} {each['lane']:<9} {waits:<20} {merged}{why}"


def require(practices: Practices, names: Collection[str]) -> list[PracticeState]:
    """The states of these practices, or all; raises `ConfigurationError` for a name that nobody let in or met."""
    found = practices.queue.states(names)
    require_met(names, found)
    return found


def require_met(names: Collection[str], found: Collection[PracticeState]) -> None:
    """Raises `ConfigurationError` for a name that is not among these states."""
    missing = sorted(set(names) - {state.practice for state in found})
    if missing:
        raise ConfigurationError(what=f"No such practice: {', '.join(missing)}.", next_step="wardlake practices freshness")


def wait(practices: Practices, names: Collection[str], lane: Lane | None, *, minutes: float, told: Told) -> dict[str, Any]:
    """Watch until all that waits now is merged. Raises `DoneInPart` for practices set aside, or not there in time."""
    known = [each for each in require(practices, names) if each.onboarded or each.practice in names]
    goals = {each.practice: each for each in known if lane is None or each.lane is lane}
    until = time.monotonic() + minutes * 60
    last = -1
    while True:
        states = practices.queue.states(list(goals)) if goals else []
        behind = [each for each in states if each.rows and each.standing is Standing.READY and not _is_there(each, goals)]
        if len(behind) != last:
            told(f"{len(states) - len(behind)} of {len(states)} practices are there")
            last = len(behind)
        if not behind or time.monotonic() >= until:
            break
        time.sleep(POLL_SECONDS)
    aside = [each for each in states if each.standing is not Standing.READY]
    if behind or aside:
        late = [f"{each.practice}: {each.rows} entries wait ({each.lane.value})" for each in behind]
        raise DoneInPart(
            f"{len(behind)} practices are late, {len(aside)} are set aside; {len(states) - len(behind) - len(aside)} are there.",
            which=[*late, *(f"{each.practice or '(no practice)'}: {each.reason} ({', '.join(each.tables)})" for each in aside)],
            next_step="wardlake practices freshness; docs/runbooks/practice-set-aside.md",
        )
    return {"source": practices.spec.name, "practices": [describe(each) for each in states]}


def _is_there(state: PracticeState, goals: Mapping[str, PracticeState]) -> bool:
    """Whether none of the batches that waited at the beginning waits still."""
    return not set(state.waiting) & set(goals[state.practice].waiting)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
