"""Runs a plan: one lock, finished steps skipped, every end recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from wardlake.model.errors import ConfigurationError, RunLocked, WardlakeError
from wardlake.model.plan import Outcome, Plan, Step
from wardlake.ports.registry import Registry, RegistryUnavailable
from wardlake.runs.cpu import watched_cpu
from wardlake.runs.states import (
    FINAL_EXIT_CODES,
    Run,
    RunState,
    StepRecord,
    from_document,
    standing_steps,
    to_document,
)

RUNS = "runs"
StepFunction = Callable[[Mapping[str, Outcome]], Outcome]


class Progress(Protocol):
    """Whoever watches: a terminal, a log, nobody."""

    def started(self, step: Step, number: int, of: int) -> None: ...

    def skipped(self, step: Step, number: int, of: int) -> None: ...

    def finished(self, step: Step, record: StepRecord) -> None: ...

    def failed(self, step: Step, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a plan's run needs: a function and a fingerprint for each step."""

    functions: Mapping[str, StepFunction]
    fingerprints: Mapping[str, str]


def lock_name(plan: Plan, source: str) -> str:
    return f"{plan.lock}/{source}"


def find_unfinished(registry: Registry, plan: Plan, source: str, arguments: Mapping[str, Any]) -> Run | None:
    """The newest run of this plan, source and arguments that can go on."""
    runs = [from_document(document) for _, document in registry.find(RUNS)]
    mine = [r for r in runs if (r.plan, r.source, dict(r.arguments)) == (plan.name, source, dict(arguments))]
    newest = max(mine, key=lambda run: (run.started_at, run.run_id), default=None)
    return newest if newest and newest.state in (RunState.RUNNING, RunState.HALTED) else None


def load_run(registry: Registry, run_id: str) -> Run | None:
    document = registry.get(RUNS, run_id)
    return from_document(document) if document else None


def save_run(registry: Registry, run: Run) -> None:
    registry.put(RUNS, run.run_id, to_document(run))


def run_plan(
    plan: Plan,
    run: Run,
    work: Work,
    *,
    registry: Registry,
    progress: Progress,
    only: str = "",
    wait_seconds: float = 0.0,
    prepare: Callable[[], None] = lambda: None,
) -> Run:
    """Do the steps of `plan` that do not stand yet, in order; `only` does one step whose needs are all done.

    `prepare` is called once the lock is held, before any step. The run's state is saved after every step. A step that raises
    leaves the run halted or refused, with the exit code of its error, and the error goes on to the caller. Raises `RunLocked`
    if another run of the plan and source is at work, or went on with this one since the caller read it.
    """
    with registry.lock(lock_name(plan, run.source), wait_seconds=wait_seconds):
        _require_unchanged(registry, run)
        standing = standing_steps(plan, run, work.fingerprints)
        run = Run(**{**_fields(run), "steps": dict(standing), "state": RunState.RUNNING, "exit_code": 0, "halted_at": ""})
        save_run(registry, run)
        prepare()
        steps = (plan.step(only),) if only else plan.steps
        for number, step in enumerate(steps, start=1):
            if step.name in standing:
                progress.skipped(step, number, len(steps))
                continue
            progress.started(step, number, len(steps))
            run = _do_step(step, run, work, registry, progress)
        if not only or plan.steps[-1].name == only:
            run = run.ended(RunState.DONE)
            save_run(registry, run)
    return run


def _require_unchanged(registry: Registry, run: Run) -> None:
    """Raise `RunLocked` unless the run is as the caller read it before the lock was held: what happened since must stand."""
    stored = load_run(registry, run.run_id)
    if stored is not None and stored != run:
        raise RunLocked(
            f"Run {run.run_id} was gone on with or ended by another command meanwhile.",
            next_step="run again: it begins with what is known then",
        )


def _do_step(step: Step, run: Run, work: Work, registry: Registry, progress: Progress) -> Run:
    outcomes = {name: record.outcome for name, record in run.steps.items()}
    missing = [need for need in step.needs if need not in outcomes]
    if missing:
        raise ConfigurationError(
            what=f"Step {step.name} needs steps that are not done, or that a change of code or configuration has undone: "
            f"{', '.join(missing)}.",
            next_step="run those first, or the whole run without --only",
        )
    wall = time.monotonic()
    try:
        with watched_cpu() as cpu:
            outcome = work.functions[step.name](outcomes)
    except BaseException as problem:
        code = getattr(problem, "exit_code", 70)
        state = RunState.REFUSED if code in FINAL_EXIT_CODES else RunState.HALTED
        _save_end(registry, run.ended(state, exit_code=code, step=step.name), problem)
        progress.failed(step, time.monotonic() - wall)
        raise
    record = StepRecord(
        outcome=outcome,
        fingerprint=work.fingerprints[step.name],
        wall_seconds=round(time.monotonic() - wall, 3),
        cpu_seconds=round(cpu.seconds(), 3),
    )
    run = run.with_step(step.name, record)
    save_run(registry, run)
    progress.finished(step, record)
    return run


def _save_end(registry: Registry, run: Run, problem: BaseException) -> None:
    """Save how the run ended. A registry that does not take it changes nothing of why: the problem says so too."""
    try:
        save_run(registry, run)
    except RegistryUnavailable:
        if isinstance(problem, WardlakeError):
            problem.which = (*problem.which, "the registry did not take the run's end")


def _fields(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in Run.__slots__}
