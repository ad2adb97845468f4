"""Errors that only another practice's row can raise: that one comes at all tells of it, its text may hold the value."""

from __future__ import annotations

from collections.abc import Callable

from wardlake.ports.warehouse_door import Statement
from wardlake.practices.attest.detector import is_refused, named, not_carried_out
from wardlake.practices.attest.probe import Attempt, Probe, broken, held
from wardlake.practices.attest.target import Target

HOLE = "a filter that asks another table: the user's own condition runs before the join"
RAISED = frozenset({"INVALID_CAST_ARGUMENT", "DIVISION_BY_ZERO", "NUMERIC_VALUE_OUT_OF_RANGE", "INVALID_FUNCTION_ARGUMENT"})


def _raises(name: str, tries: str, condition: Callable[[Target], str]) -> Probe:
    """A probe whose condition fails on rows that are not the attacker's, and on no other."""

    def run(at: Target) -> Attempt:
        for sql in (
            f"SELECT count(*) FROM {at.name} WHERE {condition(at)}",
            f"SELECT count(*) FROM {at.name} x JOIN (VALUES 1) AS v (one) ON one = 1 AND {condition(at)}",
        ):
            answer = yield Statement(sql=sql)
            if answer.error in RAISED:
                said = named(answer.text, at.others)
                return broken(f"an error tells of others' rows, and its text names {said} practices")
            if not answer.done:
                return held("refused") if is_refused(answer) else not_carried_out(at, answer)
        return held("no row of others' is reached")

    return Probe(name=name, tries=tries, hole=HOLE, run=run)


PROBES = (
    _raises(
        "error-cast",
        "casts the other practice's id to a number",
        lambda at: f"CASE WHEN {at.is_own} THEN 1 ELSE CAST(concat('~', {at.whose}, '~') AS bigint) END > 0",
    ),
    _raises(
        "error-division",
        "divides by zero on others' rows",
        lambda at: f"1 / (CASE WHEN {at.is_own} THEN 1 ELSE 0 END) > 0",
    ),
    _raises(
        "error-overflow",
        "overflows on others' rows",
        lambda at: f"CASE WHEN {at.is_own} THEN 1 ELSE 9223372036854775807 END + length(coalesce({at.whose}, 'x')) > 0",
    ),
    _raises(
        "error-date",
        "parses the other practice's id as a date",
        lambda at: f"CASE WHEN {at.is_own} THEN true ELSE from_iso8601_date(concat('~', {at.whose}, '~')) IS NOT NULL END",
    ),
)
