"""Tells from an answer whether it shows what is another practice's. Fails closed: what is not understood is not held."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from wardlake.ports.warehouse_door import Answer
from wardlake.practices.attest.probe import Outcome, Verdict, broken, held, not_applicable, unknown
from wardlake.practices.attest.target import SHORTEST, Target

DENIED = "PERMISSION_DENIED"
NOT_THERE = frozenset({"TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "COLUMN_NOT_FOUND"})  # also: hidden from them
CLOSED = (401, 403)  # HTTP


def is_refused(answer: Answer) -> bool:
    """The warehouse said that this user may not."""
    return answer.error == DENIED or answer.status in CLOSED


def strangers(values: Collection[Any], own: Collection[str]) -> int:
    """How many practices there are among the values that are not the attacker's; a row of nobody's is a stranger's too."""
    return len({str(value) for value in values} - set(own))


def named(said: str, others: Collection[str]) -> int:
    """How many of the others' practices a text names, as whole words."""
    return sum(bool(re.search(rf"(?<![\w-]){re.escape(each)}(?![\w-])", said)) for each in others)


def can_be_told(others: Collection[str]) -> bool:
    """Whether their ids are long enough to be told from numbers and words that stand in any text."""
    return all(len(each) >= SHORTEST for each in others)


def rows_seen(at: Target, answer: Answer) -> Outcome:
    """Of rows whose first column says whose they are: only the attacker's may be there."""
    if answer.cut:
        return unknown("more rows came than are looked at")
    if count := strangers([row[0] for row in answer.rows], at.own):
        return broken(f"rows of {count} other practices")
    return held("own rows only") if answer.done else not_carried_out(at, answer)


def not_carried_out(at: Target, answer: Answer) -> Outcome:
    """Of a statement that failed, as it should or not: its message must name nobody."""
    if count := named(answer.text, at.others):
        return broken(f"an error's text names {count} other practices")
    if is_refused(answer):
        return held("refused")
    if answer.error in NOT_THERE:
        return held("refused, or not there")
    return failed(answer)


def failed(answer: Answer) -> Outcome:
    return unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")


def text_seen(at: Target, answer: Answer, *, said: str) -> Outcome:
    """Of a text about the attacker's own rows: it must not name another practice."""
    if not answer.done:
        return not_carried_out(at, answer)
    if not can_be_told(at.others):
        return unknown(f"practices of fewer than {SHORTEST} characters cannot be told from other text")
    if count := named(said, at.others):
        return broken(f"names {count} other practices")
    return held("names nobody else")


def must_be_refused(answer: Answer, *, allowed: str) -> Outcome:
    """Of what an analyst has no business with: that it works at all is the hole, `allowed` says what can be done with it."""
    if is_refused(answer):
        return held("refused")
    if answer.error in NOT_THERE:
        return held("refused, or not there")
    if answer.done:
        return broken(allowed)
    return failed(answer)


def must_not_validate(answer: Answer, *, allowed: str) -> Outcome:
    """The same for a change that is only checked: a catalogue that cannot carry it out has nothing to refuse."""
    if answer.error == "NOT_SUPPORTED":
        return not_applicable("the engine does not offer it here")
    return must_be_refused(answer, allowed=allowed)


def worst(*outcomes: Outcome) -> Outcome:
    """The outcome that counts where several questions make one probe."""
    order = (Verdict.BROKEN, Verdict.UNKNOWN, Verdict.HELD, Verdict.NOT_APPLICABLE)
    return min(outcomes, key=lambda outcome: order.index(outcome.verdict))
