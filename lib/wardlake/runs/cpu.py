"""CPU of this process and everything below it: the JVM and its Python workers do the work, so they count."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree_cpu_seconds(root: int | None = None) -> float:
    """User and system CPU seconds of process `root` (this one by default), its descendants, and their reaped children.

    Read from /proc; where there is none (not Linux), what the operating system says of this process and its reaped children.
    A process that ends unreaped between two readings takes its share with it: read before the session stops.
    """
    if not Path("/proc/self/stat").exists():
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    parents, ticks = _processes()
    members, frontier = set(), {root or os.getpid()}
    while frontier:
        members |= frontier
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - members
    return sum(ticks.get(pid, 0) for pid in members) / _TICKS


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Every process's parent, and its CPU ticks with those of children it has waited for."""
    parents, ticks = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(int(field) for field in fields[11:15])
    return parents, ticks
