"""Changes to tables. Each is only validated, or changes nothing where it succeeds: a deployment is unharmed by its own holes."""

from __future__ import annotations

from collections.abc import Callable

from wardlake.ports.warehouse_door import Statement
from wardlake.practices.attest.detector import must_not_validate
from wardlake.practices.attest.probe import Attempt, Probe, broken
from wardlake.practices.attest.target import Target, quoted


def _validates(name: str, tries: str, hole: str, sql: Callable[[Target], str]) -> Probe:
    """A probe of a statement that the engine checks and does not carry out."""

    def run(at: Target) -> Attempt:
        return must_not_validate((yield Statement(sql=f"EXPLAIN (TYPE VALIDATE) {sql(at)}")), allowed="it would be carried out")

    return Probe(name=name, tries=tries, hole=hole, run=run)


def _makes(name: str, tries: str, hole: str, make: Callable[[Target], str], unmake: Callable[[Target], str]) -> Probe:
    """A probe that makes something under the mark, and takes it away where that succeeds."""

    def run(at: Target) -> Attempt:
        answer = yield Statement(sql=make(at))
        if not answer.done:
            return must_not_validate(answer, allowed="")
        gone = yield Statement(sql=unmake(at))
        return broken("it was made, and taken away again" if gone.done else f"it was made, and is left behind as {at.mark}")

    return Probe(name=name, tries=tries, hole=hole, run=run)


def _add_column(at: Target) -> Attempt:
    """A column that is there already: whoever may alter the table changes nothing."""
    kind = dict(at.columns).get(at.practice, "varchar")
    answer = yield Statement(sql=f"ALTER TABLE {at.name} ADD COLUMN IF NOT EXISTS {at.column} {kind}")
    return must_not_validate(answer, allowed="the table can be altered")


def _grant(at: Target) -> Attempt:
    """Taken back at once; where a metastore keeps it all the same, as Trino's of files does, nobody has that name."""
    answer = yield Statement(sql=f"GRANT SELECT ON {at.name} TO USER {quoted(at.mark)}")
    if answer.done:
        yield Statement(sql=f"REVOKE SELECT ON {at.name} FROM USER {quoted(at.mark)}")
    return must_not_validate(answer, allowed="the table can be granted")


def _definition(at: Target) -> Attempt:
    """Where the table lies is told to its owner alone."""
    answer = yield Statement(sql=f"SHOW CREATE TABLE {at.name}")
    return must_not_validate(answer, allowed="it says where the table lies")


OWNER = "a rule that gives OWNERSHIP of the table"

PROBES = (
    _validates("insert", "adds rows", "a rule that gives INSERT", lambda at: f"INSERT INTO {at.name} SELECT * FROM {at.name}"),
    _validates("delete", "deletes rows", "a rule that gives DELETE", lambda at: f"DELETE FROM {at.name} WHERE {at.is_theirs}"),
    _validates(
        "update",
        "changes whose rows are",
        "a rule that gives UPDATE",
        lambda at: f"UPDATE {at.name} SET {at.column} = {at.column} WHERE {at.is_theirs}",
    ),
    _validates(
        "merge",
        "merges rows into the table",
        "a rule that gives DELETE",
        lambda at: f"MERGE INTO {at.name} t USING {at.name} s ON t.{at.column} = s.{at.column} WHEN MATCHED THEN DELETE",
    ),
    _validates("analyze", "gathers statistics of all rows", "a rule that gives INSERT", lambda at: f"ANALYZE {at.name}"),
    _validates(
        "create-table",
        "copies the table to one of its own",
        "a rule that gives OWNERSHIP of further tables of the schema",
        lambda at: f"CREATE TABLE {at.made()} AS SELECT * FROM {at.name}",
    ),
    _makes(
        "create-view",
        "makes a view of the table",
        "a rule that gives OWNERSHIP of further tables of the schema",
        lambda at: f"CREATE VIEW {at.made()} SECURITY INVOKER AS SELECT * FROM {at.name}",
        lambda at: f"DROP VIEW {at.made()}",
    ),
    Probe(name="alter", tries="alters the table", hole=OWNER, run=_add_column),
    Probe(
        name="grant",
        tries="grants the table, to a user that there is not",
        hole=f"{OWNER}, in a catalogue that keeps grants",
        run=_grant,
    ),
    Probe(name="definition", tries="reads the table's definition", hole=OWNER, run=_definition),
    _makes(
        "create-function",
        "makes a function",
        "a rule that gives OWNERSHIP of functions of the schema, in a catalogue that keeps functions",
        lambda at: f"CREATE FUNCTION {at.made()}() RETURNS bigint RETURN 1",
        lambda at: f"DROP FUNCTION {at.made()}()",
    ),
)
