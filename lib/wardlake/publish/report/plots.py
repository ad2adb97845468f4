"""Where the marks of the report's plots lie: pure geometry, drawn as inline SVG by the template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from wardlake.model.evidence import CanaryRecall
from wardlake.publish.report.content import StepTiming

LABEL_WIDTH = 190
PLOT_WIDTH = 420
ROW_HEIGHT = 26
_TICKS = 5
_WIDEST_START = 0.99
_MARGIN = 0.01

Mark = TypeVar("Mark")


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class RecallMark:
    """One kind: the found share with the stretch down to its lower bound, and the floor it must reach."""

    y: float
    kind: str
    found_x: float
    bound_x: float
    floor_x: float
    passed: bool
    enforced: bool
    told: str


@dataclass(frozen=True, slots=True)
class Bar:
    y: float
    label: str
    width: float
    told: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Plot(Generic[Mark]):
    width: float
    height: float
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]


def recall_plot(recalls: Sequence[CanaryRecall]) -> Plot[RecallMark]:
    """One row per kind of canary, on an axis that starts below everything shown and ends at all found."""
    shown = [min(r.lower_bound, r.floor, _found(r)) for r in recalls]
    start = max(0.0, math.floor((min([*shown, _WIDEST_START]) - _MARGIN) * 20) / 20)  # a multiple of 0.05: round ticks

    def at(rate: float) -> float:
        return round(LABEL_WIDTH + PLOT_WIDTH * (rate - start) / (1.0 - start), 1)

    marks = tuple(
        RecallMark(
            y=_row(number),
            kind=recall.kind.value,
            found_x=at(_found(recall)),
            bound_x=at(recall.lower_bound),
            floor_x=at(recall.floor),
            passed=recall.passed,
            enforced=recall.enforced,
            told=f"{recall.found} of {recall.planted}, at least {recall.lower_bound:.4f}, floor {recall.floor:.2f}",
        )
        for number, recall in enumerate(recalls)
    )
    steps = [start + (1.0 - start) * i / _TICKS for i in range(_TICKS + 1)]
    ticks = tuple(Tick(at(step), f"{step:.2f}") for step in steps)
    return Plot(LABEL_WIDTH + PLOT_WIDTH + 360, _row(len(recalls)) + 18, marks, ticks)


def timing_plot(steps: Sequence[StepTiming]) -> Plot[Bar]:
    """One bar per step, as long as its wall time."""
    longest = max([step.seconds for step in steps], default=0.0) or 1.0
    marks = tuple(
        Bar(
            y=_row(number),
            label=step.title,
            width=round(PLOT_WIDTH * step.seconds / longest, 1),
            told=f"{step.seconds:.1f} s"
            + (f", {step.cpu_seconds:.1f} s CPU" if step.cpu_seconds else "")
            + ("" if step.state == "done" else f" ({step.state})"),
            failed=step.state == "failed",
        )
        for number, step in enumerate(steps)
    )
    return Plot(LABEL_WIDTH + 60 + PLOT_WIDTH + 200, _row(len(steps)), marks, ())


def _found(recall: CanaryRecall) -> float:
    return recall.found / recall.planted if recall.planted else 0.0


def _row(number: int) -> float:
    return 8 + number * ROW_HEIGHT
