"""What one user's question leaves behind for the next to ask the same."""

from __future__ import annotations

from dataclasses import replace

from wardlake.ports.warehouse_door import Caller, Statement
from wardlake.practices.attest.detector import rows_seen, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe
from wardlake.practices.attest.target import Target


def _same_question(at: Target) -> Attempt:
    """One asks what nobody asked before, the other the very same, either way about: each must see their own."""
    seen_by = {Caller.ATTACKER: at, Caller.OTHER: replace(at, own=at.others, others=at.own)}
    found: list[Outcome] = []
    for callers in ((Caller.OTHER, Caller.ATTACKER), (Caller.ATTACKER, Caller.OTHER)):
        sql = f"SELECT {at.whose}, count(*) AS {at.mark}_{callers[0].value} FROM {at.name} GROUP BY 1"
        for caller in callers:
            found.append(rows_seen(seen_by[caller], (yield Statement(sql=sql, caller=caller))))
    return worst(*found)


PROBES = (
    Probe(
        name="cached-result",
        tries="asks what the other user has just asked, word for word",
        hole="results that are kept by the statement's text, or a rule without a filter",
        run=_same_question,
    ),
)
