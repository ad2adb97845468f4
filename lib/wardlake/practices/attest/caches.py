"""What one user's question leaves behind for the next to ask the same."""

from __future__ import annotations

from wardlake.ports.warehouse_door import Caller, Statement
from wardlake.practices.attest.detector import rows_seen, worst
from wardlake.practices.attest.probe import Attempt, Probe
from wardlake.practices.attest.target import Target


def _same_question(at: Target) -> Attempt:
    """The other user asks, the attacker asks the very same; then both the other way about, and the other must see their own."""
    statement = f"SELECT {at.whose}, count(*) FROM {at.name} GROUP BY 1"
    yield Statement(sql=statement, caller=Caller.OTHER)
    first = yield Statement(sql=statement)
    yield Statement(sql=statement, caller=Caller.OTHER)
    second = yield Statement(sql=statement)
    return worst(rows_seen(at, first), rows_seen(at, second))


PROBES = (
    Probe(
        name="cached-result",
        tries="asks what the other user has just asked, word for word",
        hole="results that are kept by the statement's text, or a rule without a filter",
        run=_same_question,
    ),
)
