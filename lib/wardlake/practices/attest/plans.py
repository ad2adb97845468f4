"""Plans and statistics: they must be about the attacker's own rows, in number and in values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from wardlake.ports.warehouse_door import Answer, Statement
from wardlake.practices.attest.detector import text_seen, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Verdict, broken
from wardlake.practices.attest.target import Target, quoted

HOLE = "a table that is not laid out by practice: what is said of its files is said of others' rows"
_ROWS = re.compile(r"(?:rows: |Input: |\"outputRowCount\" : )(\d+(?:\.\d+)?)")
_FILTERED = re.compile(r"Filtered: (\d+(?:\.\d+)?)%")
_NUMBERS = re.compile(r"(tinyint|smallint|integer|bigint|decimal.*|double|real|date)")


def _plan(name: str, tries: str, kind: str) -> Probe:
    """A probe of the plan of reading the whole table."""

    def run(at: Target) -> Attempt:
        answer = yield Statement(sql=f"EXPLAIN {kind} SELECT * FROM {at.name}")
        said = "\n".join(str(row[0]) for row in answer.rows)
        outcome = text_seen(at, answer, said=said)
        if outcome.verdict is Verdict.BROKEN or not answer.done:
            return outcome
        return _counts(at, said) or outcome

    return Probe(name=name, tries=tries, hole=f"{HOLE}; or no filter", run=run)


def _counts(at: Target, said: str) -> Outcome | None:
    """Something is wrong where more rows are spoken of than the attacker has."""
    most = max((float(found) for found in _ROWS.findall(said)), default=0.0)
    if most > max(at.own_rows, 1):
        return broken("speaks of more rows than are the attacker's")
    if any(float(found) > 0 for found in _FILTERED.findall(said)):
        return broken("says how many of the rows that were read are others'")
    return None


def _statistics(at: Target) -> Attempt:
    """Beside the count of rows, least and greatest values are held to the attacker's own."""
    ranged = [name for name, kind in at.columns if _NUMBERS.fullmatch(kind)]
    least = [f"CAST({end}({quoted(name)}) AS varchar)" for name in ranged for end in ("min", "max")]
    own = yield Statement(sql=f"SELECT {', '.join(['count(*)', *least])} FROM {at.name} WHERE {at.is_own}")
    limits = dict(zip(ranged, zip(own.rows[0][1::2], own.rows[0][2::2], strict=True), strict=True)) if own.rows else {}
    found: list[Outcome] = []
    for sql in (f"SHOW STATS FOR {at.name}", f"SHOW STATS FOR (SELECT * FROM {at.name})"):
        answer = yield Statement(sql=sql)
        found.append(text_seen(at, answer, said="\n".join(str(each) for row in answer.rows for each in row)))
        if not answer.done:
            break
        if reason := next(_out_of_limits(at, answer, limits), ""):
            return broken(reason)
    return worst(*found)


def _out_of_limits(at: Target, answer: Answer, limits: dict[str, tuple[str | None, str | None]]) -> Iterator[str]:
    place = {name: number for number, name in enumerate(answer.columns)}
    for row in answer.rows:
        column, rows = row[place["column_name"]], row[place["row_count"]]
        low, high = row[place["low_value"]], row[place["high_value"]]
        if column is None and rows is not None and float(rows) > max(at.own_rows, 1):
            yield "speaks of more rows than are the attacker's"
        if column in limits and (_before(low, limits[column][0]) or _before(limits[column][1], high)):
            yield "least or greatest values are others'"


def _before(one: str | None, other: str | None) -> bool:
    """Whether a value lies before another, as numbers or as dates; of what is not there nothing is said."""
    if one is None or other is None:
        return False
    try:
        return Decimal(one) < Decimal(other)
    except InvalidOperation:
        return one < other


PROBES = (
    _plan("explain", "reads the plan", ""),
    _plan("explain-io", "reads what the plan says of input", "(TYPE IO)"),
    _plan("explain-json", "reads the plan's estimates", "(TYPE DISTRIBUTED, FORMAT JSON)"),
    _plan("explain-analyze", "reads how many rows were read and filtered", "ANALYZE"),
    _plan("explain-analyze-verbose", "reads the distribution of what was read", "ANALYZE VERBOSE"),
    Probe(name="statistics", tries="reads counts, least and greatest values", hole=HOLE, run=_statistics),
)
