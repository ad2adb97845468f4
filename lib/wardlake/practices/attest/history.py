"""Earlier versions of a table, and what changed between them."""

from __future__ import annotations

from wardlake.ports.warehouse_door import Answer, Statement
from wardlake.practices.attest.detector import NOT_THERE, must_be_refused, rows_seen, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, held, not_applicable
from wardlake.practices.attest.target import Target, quoted, text

FIRST_VERSIONS = 3
AGO = ("'1' SECOND", "'1' HOUR", "'1' DAY")
GONE = "INVALID_ARGUMENTS"  # there is no such version any more, or there never was


def _versions(at: Target) -> Attempt:
    found: list[Outcome] = []
    for version in range(FIRST_VERSIONS):
        sql = f"SELECT {at.whose}, count(*) FROM {at.name} FOR VERSION AS OF {version} GROUP BY 1"
        found.append(_of_a_version(at, (yield Statement(sql=sql))))
    return worst(*found)


def _times(at: Target) -> Attempt:
    found: list[Outcome] = []
    for ago in AGO:
        sql = f"SELECT {at.whose}, count(*) FROM {at.name} FOR TIMESTAMP AS OF current_timestamp - INTERVAL {ago} GROUP BY 1"
        found.append(_of_a_version(at, (yield Statement(sql=sql))))
    return worst(*found)


def _of_a_version(at: Target, answer: Answer) -> Outcome:
    if answer.error in {GONE, "NOT_SUPPORTED"}:
        return not_applicable("there is no such version")
    return rows_seen(at, answer)


def _changes(at: Target) -> Attempt:
    """They know neither filters nor masks: that they are granted at all is the hole."""
    function = f"{quoted(at.catalog)}.system.table_changes"
    arguments = f"schema_name => {text(at.schema)}, table_name => {text(at.table)}, since_version => 0"
    answer = yield Statement(sql=f"SELECT * FROM TABLE({function}({arguments}))")
    if answer.error == "FUNCTION_NOT_FOUND":
        return held("the engine has no such function")
    if answer.error and answer.error not in NOT_THERE and answer.error != "PERMISSION_DENIED":
        # It was let through: what the connector says of the table comes after that.
        return must_be_refused(Answer(status=200), allowed="table_changes is granted")
    return must_be_refused(answer, allowed="table_changes is granted: it knows no filter")


PROBES = (
    Probe(
        name="version",
        tries="reads the table's first versions",
        hole="a rule without a filter",
        run=_versions,
    ),
    Probe(
        name="moment",
        tries="reads the table as it was at a time",
        hole="a rule without a filter",
        run=_times,
    ),
    Probe(name="table-changes", tries="reads what changed", hole="a rule that grants the function table_changes", run=_changes),
)
