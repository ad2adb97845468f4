"""Ways to read rows: each must give the attacker's alone."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote_plus

from wardlake.ports.warehouse_door import Statement
from wardlake.practices.attest.detector import rows_seen
from wardlake.practices.attest.probe import Attempt, Probe, broken
from wardlake.practices.attest.target import Target, text

NO_FILTER = "a rule without a filter, or a filter that holds for others' rows"


def _reads(name: str, tries: str, sql: Callable[[Target], str], *, hole: str = NO_FILTER) -> Probe:
    """A probe of one statement whose first column says whose each row is."""

    def run(at: Target) -> Attempt:
        return rows_seen(at, (yield Statement(sql=sql(at))))

    return Probe(name=name, tries=tries, hole=hole, run=run)


def _prepared(at: Target) -> Attempt:
    statement = quote_plus(f"SELECT {at.whose}, count(*) FROM {at.name} GROUP BY 1")
    answer = yield Statement(sql=f"EXECUTE {at.mark}", headers={"X-Trino-Prepared-Statement": f"{at.mark}={statement}"})
    return rows_seen(at, answer)


def _left_join(at: Target) -> Attempt:
    """From every practice that is known, and one that is not: each must come back, and find rows only if it is the attacker's."""
    asked = (*at.own, *at.others, at.mark)
    values = ", ".join(f"({text(each)})" for each in asked)
    sql = f"SELECT DISTINCT {at.whose}, asked FROM (VALUES {values}) AS v (asked) LEFT JOIN {at.name} ON {at.whose} = asked"
    answer = yield Statement(sql=sql)
    if answer.done and {row[1] for row in answer.rows} != set(asked):
        return broken("rows of the left side vanish")
    found = tuple(row for row in answer.rows if row[0] is not None)
    return rows_seen(at, type(answer)(status=answer.status, error=answer.error, text=answer.text, rows=found, cut=answer.cut))


PROBES = (
    _reads("select", "reads the table", lambda at: f"SELECT {at.whose}, count(*) FROM {at.name} GROUP BY 1"),
    _reads(
        "select-theirs",
        "asks for the other practice's rows",
        lambda at: f"SELECT {at.whose}, count(*) FROM {at.name} WHERE {at.is_theirs} OR {at.column} IS NULL OR true GROUP BY 1",
    ),
    _reads("table", "gives the table as a query", lambda at: f"SELECT DISTINCT {at.whose} FROM (TABLE {at.name})"),
    _reads(
        "join",
        "joins from the other practice's id",
        lambda at: (
            f"SELECT {at.whose}, count(*) FROM (VALUES {', '.join(f'({text(each)})' for each in at.others)}) AS v (asked) "
            f"JOIN {at.name} ON {at.whose} = asked GROUP BY 1"
        ),
    ),
    _reads(
        "self-join",
        "joins the table with itself on nothing",
        lambda at: (
            f"SELECT DISTINCT x.w FROM (SELECT DISTINCT {at.whose} AS w FROM {at.name}) x "
            f"CROSS JOIN (SELECT DISTINCT {at.whose} AS w FROM {at.name}) y"
        ),
    ),
    _reads(
        "cte",
        "reads through a common table expression",
        lambda at: f"WITH t AS (SELECT * FROM {at.name}) SELECT {at.whose}, count(*) FROM t GROUP BY 1",
    ),
    _reads(
        "exists",
        "asks whether the other practice has rows",
        lambda at: f"SELECT {text('theirs')} WHERE EXISTS (SELECT 1 FROM {at.name} WHERE {at.is_theirs})",
    ),
    _reads(
        "count",
        "counts what is not its own",
        lambda at: f"SELECT {text('theirs')} FROM (SELECT count_if(NOT {at.is_own}) AS n FROM {at.name}) WHERE n > 0",
    ),
    _reads(
        "union",
        "unites the table with itself",
        lambda at: f"SELECT {at.whose} FROM {at.name} UNION SELECT {at.whose} FROM {at.name}",
    ),
    _reads(
        "window",
        "looks over neighbouring rows",
        lambda at: (
            f"SELECT DISTINCT w FROM (SELECT lead(whose) OVER (ORDER BY whose) AS w FROM "
            f"(SELECT DISTINCT {at.whose} AS whose FROM {at.name})) WHERE w IS NOT NULL"
        ),
    ),
    _reads(
        "sample",
        "takes a sample of blocks",
        lambda at: f"SELECT {at.whose}, count(*) FROM {at.name} TABLESAMPLE SYSTEM (100) GROUP BY 1",
    ),
    _reads(
        "table-function",
        "hands the table to a table function",
        lambda at: (
            f"SELECT DISTINCT {at.whose} FROM TABLE(system.builtin.exclude_columns("
            f"input => TABLE(SELECT {at.column}, 1 AS {at.mark} FROM {at.name}), columns => DESCRIPTOR({at.mark})))"
        ),
    ),
    Probe(name="prepared", tries="reads by a statement prepared in a header", hole=NO_FILTER, run=_prepared),
    Probe(
        name="left-join",
        tries="joins practices to the table, and looks whether those that find nothing stay",
        hole=f"{NO_FILTER}; or an engine that turns the join into an inner one",
        run=_left_join,
    ),
)
