"""How a refresh begins: who asks, what for, and which run it is or goes on with."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from wardlake.audit.scan import actor_problem, run_name_problem
from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identifiers import new_run_id
from wardlake.model.identity import Identity, Role
from wardlake.model.zones import PRACTICES
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.ports.clock import Clock
from wardlake.ports.registry import Registry
from wardlake.runs.engine import RUNS, find_unfinished, load_run, save_run
from wardlake.runs.states import Run, RunState, from_document

KIND = "dev"
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
REFUSALS = "refusals"  # what a gate found wrong with a run's output, by run


def parse_sample(text: str) -> float:
    """`5%` or `0.05` as a share above 0 and at most 1."""
    try:
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigurationError(what="A sample is a share above 0 and at most 1.", next_step="e.g. --sample 5%")
    return share


def require_role(actor: Identity, role: Role, what: str) -> None:
    """Raise `NotAllowed` unless the caller's credentials give the role."""
    if role not in actor.roles:
        raise NotAllowed(f"{what} needs the role {role.value}.", next_step="ask for it, or use the credentials that have it")


def choose_run(
    registry: Registry,
    clock: Clock,
    *,
    actor: Identity,
    source: str,
    arguments: dict[str, Any],
    run_id: str,
    fresh: bool,
    snapshot_of: str,
    told: Callable[[Run], None],
) -> Run:
    """The run named, else the one that can go on, else a new one; `told` hears of a run that goes on.

    `snapshot_of` is the fingerprint of the source: a run that took its snapshot of another one is not gone on with. Raises
    `ConfigurationError` for a `fresh` run under the name of one that there is.
    """
    require_name(run_id)
    if fresh and run_id and load_run(registry, run_id):
        raise ConfigurationError(
            what=f"There is a run {run_id}: --fresh cannot begin another under its name.",
            next_step="--fresh without --run-id or with a new one; or go on with the run, without --fresh",
        )
    known = load_run(registry, run_id) if run_id else None if fresh else find_unfinished(registry, PLAN, source, arguments)
    if known and not run_id and (is_refused(registry, known) or not is_of(known, snapshot_of)):
        known = None
    if known:
        require_continuable(registry, known, source, arguments, snapshot_of)
        told(known)
        return known
    now = clock.now()
    return Run(
        run_id=run_id or new_run_id(KIND, now, secrets.token_hex(3)),
        plan=PLAN.name,
        source=source,
        arguments=arguments,
        started_at=now.isoformat(),
        actor=actor.subject,
    )


def is_refused(registry: Registry, run: Run) -> bool:
    """Whether a gate refused the run's output; a run killed just after the refusal is over as well."""
    return run.state is RunState.REFUSED or registry.get(REFUSALS, run.run_id) is not None


def is_of(run: Run, snapshot_of: str) -> bool:
    """Whether the run's snapshot, if it has one, is of the source as it is described now."""
    taken = run.steps.get("snapshot")
    return taken is None or taken.fingerprint == snapshot_of


def require_continuable(registry: Registry, run: Run, source: str, arguments: dict[str, Any], snapshot_of: str) -> None:
    """Raise `ConfigurationError` for a run that is over, or that was begun for something else."""
    if is_refused(registry, run):
        raise ConfigurationError(
            what=f"Run {run.run_id} was refused by a gate and is over.", next_step="run again without --run-id"
        )
    if run.state is RunState.DONE:
        raise ConfigurationError(what=f"Run {run.run_id} is done.", next_step="run again without --run-id")
    if (run.plan, run.source, dict(run.arguments)) != (PLAN.name, source, arguments) or not is_of(run, snapshot_of):
        raise ConfigurationError(
            what=f"Run {run.run_id} was begun for another source, sample or classification.",
            next_step="go on with it under the flags it was begun with, or begin another run",
        )


def give_up_others(registry: Registry, fresh: Run, *, record: Callable[[Run], None]) -> None:
    """A fresh run replaces those that could have gone on: they are over, and what they left may go.

    `record` is called with each before it is given up. To be called by a run that holds the lock: whatever else is called
    unfinished is then not at work.
    """
    for run in (from_document(document) for _, document in registry.find(RUNS)):
        alike = (run.plan, run.source, dict(run.arguments)) == (fresh.plan, fresh.source, dict(fresh.arguments))
        if alike and run.run_id != fresh.run_id and run.state in (RunState.RUNNING, RunState.HALTED):
            record(run)
            save_run(registry, run.ended(RunState.REFUSED, exit_code=run.exit_code, step=run.halted_at))


def require_name(run_id: str) -> None:
    """Raise `ConfigurationError` for a run's name that could be no folder's or that no record takes: it becomes both."""
    if not run_id:
        return
    if not _RUN_NAME.fullmatch(run_id) or ".." in run_id:
        raise ConfigurationError(
            what="A run's name is letters, digits, `-`, `_` and single dots, at most 100.", next_step="e.g. --run-id nightly-7"
        )
    if run_id == PRACTICES:
        raise ConfigurationError(
            what=f"No run is called {run_id}: its place holds the practices' tables.", next_step="another name"
        )
    problem = run_name_problem(run_id)
    if problem:
        raise ConfigurationError(
            what=f"The audit takes no run's name that {problem}.",
            next_step="e.g. --run-id nightly-20260131 instead of nightly-2026-01-31",
        )


def require_actor(actor: Identity) -> None:
    """Raise `NotAllowed` for a caller whose name no record takes: nothing that they do could be recorded."""
    problem = actor_problem(actor.subject)
    if problem:
        raise NotAllowed(
            f"The audit takes no actor whose name {problem}.",
            which=[actor.source],
            next_step="Run as an account of another name: letters, digits and . _ - @ only, no identifier.",
        )
