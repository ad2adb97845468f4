"""CPU of this process and everything below it: the JVM and its Python workers do the work, so they count."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

_TICKS = os.sysconf("SC_CLK_TCK")
_EVERY_SECONDS = 1.0
_IGNORES_CHILDREN = 1 << (signal.SIGCHLD - 1)

Life = tuple[int, int]  # process and its start: numbers of processes come again


@dataclass(frozen=True, slots=True)
class _Process:
    """A process at one look. `ticks`: its own and those of the children that it waited for."""

    parent: int
    started: int
    ticks: int


@dataclass(slots=True)
class TreeCpu:
    """User and system CPU seconds of a process and its descendants since it was made, those that ended included.

    Looks into /proc. What a process did counts for its parent once that waited for it. Spark's Python daemon never waits
    for its workers and ends those that are idle for a minute: what they had done at the last look is kept. Look often, or by
    `watched_cpu`. Where there is no /proc (not Linux): what the operating system says of this process and children waited for.
    """

    root: int = field(default_factory=os.getpid)
    _alive: dict[Life, tuple[int, bool]] = field(default_factory=dict)  # ticks, and whether nobody will wait for it
    _ended: int = 0
    _looking: Lock = field(default_factory=Lock)
    _before: float = 0.0

    def __post_init__(self) -> None:
        self._before = self._total()

    def seconds(self) -> float:
        return self._total() - self._before

    def _total(self) -> float:
        if not Path("/proc/self/stat").exists():
            times = os.times()
            return times.user + times.system + times.children_user + times.children_system
        with self._looking:
            self._look()
            return (sum(ticks for ticks, _ in self._alive.values()) + self._ended) / _TICKS

    def _look(self) -> None:
        found = _tree(_processes(), self.root)
        careless = {pid for pid in {process.parent for process in found.values()} if _ignores_children(pid)}
        now = {(pid, process.started): (process.ticks, process.parent in careless) for pid, process in found.items()}
        self._ended += sum(ticks for life, (ticks, unwaited) in self._alive.items() if unwaited and life not in now)
        self._alive = now


@contextmanager
def watched_cpu() -> Iterator[TreeCpu]:
    """The CPU of this process's tree from the block's beginning on, looked at every second until it ends."""
    cpu, over = TreeCpu(), Event()

    def watch() -> None:
        while not over.wait(_EVERY_SECONDS):
            cpu.seconds()

    watcher = Thread(target=watch, name="cpu", daemon=True)
    watcher.start()
    try:
        yield cpu
    finally:
        over.set()
        watcher.join()


def _tree(processes: dict[int, _Process], root: int) -> dict[int, _Process]:
    members: set[int] = set()
    frontier = {root}
    while frontier:
        members |= frontier
        frontier = {pid for pid, process in processes.items() if process.parent in frontier} - members
    return {pid: processes[pid] for pid in members if pid in processes}


def _processes() -> dict[int, _Process]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the reading
        ticks = sum(int(each) for each in fields[11:15])
        found[int(folder.name)] = _Process(parent=int(fields[1]), started=int(fields[19]), ticks=ticks)
    return found


def _ignores_children(pid: int) -> bool:
    """Whether a process has the kernel forget its children: their time is then nobody's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    ignored = next((line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:")), "0")
    return bool(int(ignored, 16) & _IGNORES_CHILDREN)
