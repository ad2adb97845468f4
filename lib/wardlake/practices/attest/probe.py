"""A probe: what it tries, what hole lets it succeed, and how to tell from the answers. Verdicts hold counts, never a value."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum

from wardlake.ports.warehouse_door import Answer, PageRequest, Statement
from wardlake.practices.attest.target import Target

Attempt = Generator[Statement | PageRequest, Answer, "Outcome"]


class Verdict(StrEnum):
    """Only the first says that the policy stood against this; a deployment is attested when there is none of the last two."""

    HELD = "held"
    NOT_APPLICABLE = "not applicable"
    BROKEN = "BROKEN"
    UNKNOWN = "could not be run"


class Scope(StrEnum):
    """What a probe is run for, once each."""

    TABLE = "table"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`run` asks questions one after another, is sent each answer, and returns the outcome."""

    name: str
    tries: str
    hole: str
    run: Callable[[Target], Attempt]
    scope: Scope = Scope.TABLE


def held(why: str) -> Outcome:
    return Outcome(Verdict.HELD, why)


def broken(why: str) -> Outcome:
    return Outcome(Verdict.BROKEN, why)


def not_applicable(why: str) -> Outcome:
    return Outcome(Verdict.NOT_APPLICABLE, why)


def unknown(why: str) -> Outcome:
    return Outcome(Verdict.UNKNOWN, why)
