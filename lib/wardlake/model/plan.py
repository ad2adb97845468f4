"""A run as data: steps with what they need. The CLI and Airflow run the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan; `needs` names the steps whose outcome it reads."""

    name: str
    title: str
    needs: tuple[str, ...] = ()
    pool: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in an order in which every step comes after those it needs."""

    name: str
    steps: tuple[Step, ...]
    lock: str  # name of the lock a run of this plan holds

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            missing = set(step.needs) - seen
            if missing or step.name in seen:
                raise ValueError(f"plan {self.name}: step {step.name} repeats or needs {sorted(missing)} before it")
            seen.add(step.name)

    def step(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


Outcome = Mapping[str, object]  # plain JSON data that a finished step leaves for the ones after it
