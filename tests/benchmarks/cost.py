"""What a piece of work costs: CPU of the whole process tree, Spark's JVM and Python workers included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wardlake.runs.cpu import watched_cpu


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of doing the work once."""
    with watched_cpu() as cpu:
        work()
        return round(cpu.seconds(), 2)


def take_turns(kinds: Mapping[str, Callable[[], object]], repeat: int) -> tuple[dict[str, float], dict[str, float]]:
    """By kind of work, the least CPU seconds of `repeat` warm turns, and those of the first turn; the kinds take turns."""
    cold = {name: cpu_of(work) for name, work in kinds.items()}
    warm = [{name: cpu_of(work) for name, work in kinds.items()} for _ in range(repeat)]
    return {name: min(turn[name] for turn in warm) for name in kinds}, cold
