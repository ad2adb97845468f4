"""How a refresh begins: who asks, what for, and which run it is or goes on with."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identifiers import new_run_id
from wardlake.model.identity import Identity, Role
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.ports.clock import Clock
from wardlake.ports.registry import Registry
from wardlake.runs.engine import find_unfinished, load_run
from wardlake.runs.states import Run, RunState

KIND = "dev"


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
    told: Callable[[Run], None],
) -> Run:
    """The run named, else the one that can go on, else a new one; `told` hears of a run that goes on."""
    known = load_run(registry, run_id) if run_id else None if fresh else find_unfinished(registry, PLAN, source, arguments)
    if known and known.state is RunState.REFUSED:
        raise ConfigurationError(
            what=f"Run {known.run_id} was refused by a gate and is over.", next_step="run again without --run-id"
        )
    if known:
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
