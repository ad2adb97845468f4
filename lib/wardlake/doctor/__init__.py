"""What is installed, reachable and writable here; what is missing, and the command that gets it.

`check_installation` looks at the machine (`gather.py`) and judges what was seen (`checks.py`); `check_configuration` says what
of `conf/` is wrong; `check_environment` follows what an environment names: references, services, stores.
"""

from __future__ import annotations

from pathlib import Path

from wardlake.doctor.checks import Check, State, judge_facts
from wardlake.doctor.configuration import check_configuration
from wardlake.doctor.gather import gather_facts
from wardlake.doctor.references import check_references
from wardlake.doctor.services import find_services, judge_services, reach
from wardlake.doctor.stores import Stores, check_stores
from wardlake.settings.environment import Environment

__all__ = ["Check", "State", "check_configuration", "check_environment", "check_installation", "render_checks"]

MARKS = {State.OK: "✓", State.MISSING: "✗", State.OPTIONAL_MISSING: "○"}


def check_installation(root: Path, *, lake: str = ".lake") -> list[Check]:
    """Every check of the machine, in the order a person would mend them. `root` is the checkout."""
    return judge_facts(gather_facts(root, lake=lake))


def check_environment(environment: Environment, stores: Stores) -> list[Check]:
    """What an environment names: whether its references lead somewhere, its services listen and its stores answer."""
    services = find_services(environment)
    reached = {service: reach(service) for service in services}
    silent = {service.name for service in services if not reached[service]}
    return [
        *check_references(environment),
        *judge_services(services, reached),
        *check_stores(environment, stores, silent=silent),
    ]


def render_checks(checks: list[Check]) -> str:
    """One line a check, and under what is missing the command that gets it."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]} {check.name:<{width}}  {check.detail}")
        if check.state is not State.OK:
            lines.append(f"  {'':<{width}}  serves {check.serves}: {check.remedy}")
    return "\n".join(lines)
