"""What is known of a run: its steps, their outcomes, and which of them still stand after a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from wardlake.model.plan import Plan


class RunState(StrEnum):
    RUNNING = "running"
    HALTED = "halted"  # goes on after a review or a repair: the finished steps stand
    REFUSED = "refused"  # a gate said no of this output: final
    DONE = "done"


# A run that ended with one of these is over: its output was judged. Every other end can be continued.
FINAL_EXIT_CODES = frozenset({11, 12, 20})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A finished step: what it left, what it was made from, how long it took (seconds of wall and of CPU)."""

    outcome: Mapping[str, Any]
    fingerprint: str
    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a plan over one source."""

    run_id: str
    plan: str
    source: str
    arguments: Mapping[str, Any]
    started_at: str
    actor: str
    state: RunState = RunState.RUNNING
    exit_code: int = 0
    halted_at: str = ""  # the step it stopped in
    steps: Mapping[str, StepRecord] = field(default_factory=dict)

    def with_step(self, name: str, record: StepRecord) -> Run:
        return replace(self, steps={**self.steps, name: record})

    def ended(self, state: RunState, *, exit_code: int = 0, step: str = "") -> Run:
        return replace(self, state=state, exit_code=exit_code, halted_at=step)


def standing_steps(plan: Plan, run: Run, fingerprints: Mapping[str, str]) -> Mapping[str, StepRecord]:
    """The finished steps that need not be done again.

    A step stands if it was made from what its fingerprint now says and every step it needs stands too.
    """
    standing: dict[str, StepRecord] = {}
    for step in plan.steps:
        record = run.steps.get(step.name)
        if record and record.fingerprint == fingerprints[step.name] and all(n in standing for n in step.needs):
            standing[step.name] = record
    return standing


def to_document(run: Run) -> dict[str, Any]:
    """The run as plain JSON data."""
    return {
        "run_id": run.run_id,
        "plan": run.plan,
        "source": run.source,
        "arguments": dict(run.arguments),
        "started_at": run.started_at,
        "actor": run.actor,
        "state": run.state.value,
        "exit_code": run.exit_code,
        "halted_at": run.halted_at,
        "steps": {
            name: {
                "outcome": dict(record.outcome),
                "fingerprint": record.fingerprint,
                "wall_seconds": record.wall_seconds,
                "cpu_seconds": record.cpu_seconds,
            }
            for name, record in run.steps.items()
        },
    }


def from_document(document: Mapping[str, Any]) -> Run:
    """The run that `to_document` wrote."""
    steps = {name: StepRecord(**record) for name, record in document["steps"].items()}
    return Run(**{**document, "state": RunState(document["state"]), "steps": steps})
