"""What is installed, reachable and writable here; what is missing, and the command that gets it.

`check_installation(root)` looks and judges; `gather.py` looks, `checks.py` judges what was seen.
"""

from __future__ import annotations

from pathlib import Path

from wardlake.doctor.checks import Check, State, judge_facts
from wardlake.doctor.gather import gather_facts
from wardlake.doctor.services import find_services, judge_services, reach
from wardlake.settings.environment import Environment

__all__ = ["Check", "State", "check_installation", "render_checks"]

MARKS = {State.OK: "✓", State.MISSING: "✗", State.OPTIONAL_MISSING: "○"}


def check_installation(root: Path, *, lake: str = ".lake", environment: Environment | None = None) -> list[Check]:
    """Every check, in the order a person would mend them. `root` is the checkout; `environment` adds its services."""
    checks = judge_facts(gather_facts(root, lake=lake))
    if environment is not None:
        services = find_services(environment)
        checks += judge_services(services, {service: reach(service) for service in services})
    return checks


def render_checks(checks: list[Check]) -> str:
    """One line a check, and under what is missing the command that gets it."""
    width = max((len(check.name) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]} {check.name:<{width}}  {check.detail}")
        if check.state is not State.OK:
            lines.append(f"  {'':<{width}}  serves {check.serves}: {check.remedy}")
    return "\n".join(lines)
