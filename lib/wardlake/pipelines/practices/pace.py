"""How fast a lane merges, as its applications last saw it: what estimates are made of."""

from __future__ import annotations

from wardlake.model.practices import Lane
from wardlake.ports.registry import Registry

PACE = "practice-lane-pace"
NEWEST_COUNTS = 0.3  # the share of the newest group in the running mean


def remember_pace(registry: Registry, source: str, lane: Lane, entries: int, seconds: float) -> None:
    """A group was merged; nothing is learnt from one in which nobody was."""
    if not entries or seconds <= 0:
        return
    known = registry.get(PACE, _key(source, lane))
    newest = entries / seconds
    mean = newest if known is None else (1 - NEWEST_COUNTS) * float(known["entries_a_second"]) + NEWEST_COUNTS * newest
    registry.put(PACE, _key(source, lane), {"entries_a_second": round(mean, 3)})


def paces(registry: Registry, source: str) -> dict[Lane, float]:
    """Entries a second of each lane that has merged anything."""
    found = {lane: registry.get(PACE, _key(source, lane)) for lane in Lane}
    return {lane: float(document["entries_a_second"]) for lane, document in found.items() if document}


def _key(source: str, lane: Lane) -> str:
    return f"{source}/{lane.value}"
