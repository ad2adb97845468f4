"""What there is beside the marts: other catalogues and schemas, quarantine, and the engine's own tables."""

from __future__ import annotations

from collections.abc import Callable

from wardlake.ports.warehouse_door import Statement
from wardlake.practices.attest.detector import is_refused, must_be_refused, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Scope, broken, held, not_applicable, unknown
from wardlake.practices.attest.target import Target, quoted, texts

METADATA = (
    *("metadata.table_comments", "metadata.catalogs", "metadata.table_properties", "metadata.materialized_views"),
    *("jdbc.tables", "jdbc.columns", "runtime.nodes", "runtime.transactions", "metadata.column_properties"),
)


def _catalogs(at: Target) -> Attempt:
    """Of other catalogues an analyst of marts needs none; the engine's own may be listed, its tables are asked for one by one."""
    answer = yield Statement(sql="SHOW CATALOGS")
    if not answer.done:
        return must_be_refused(answer, allowed="")
    more = {row[0] for row in answer.rows} - {at.catalog, "system"}
    return broken(f"{len(more)} further catalogues are visible") if more else held("no other is visible")


def _schemas(at: Target) -> Attempt:
    sql = (
        f"SELECT count(*) FROM {quoted(at.catalog)}.information_schema.tables "
        f"WHERE table_schema NOT IN ({texts((*at.schemas, 'information_schema'))})"
    )
    answer = yield Statement(sql=sql)
    if not answer.done:
        return must_be_refused(answer, allowed="")
    count = answer.rows[0][0]
    return broken(f"{count} tables of other schemas are visible") if count else held("no other is visible")


def _hidden(at: Target) -> Attempt:
    """Tables that no analyst may know: quarantine, change logs, raw tables. Whoever describes the deployment names them."""
    if not at.hidden:
        return not_applicable("the deployment names no hidden tables")
    found: list[Outcome] = []
    for name in at.hidden:
        answer = yield Statement(sql=f"SELECT count(*) FROM {'.'.join(map(quoted, name.split('.')))}")
        found.append(must_be_refused(answer, allowed="a hidden table can be read"))
    return worst(*found)


def _metadata(at: Target) -> Attempt:
    """Of the tables that they list, those of other schemas and catalogues."""
    found: list[Outcome] = []
    for name in METADATA:
        answer = yield Statement(sql=f"SELECT count(*) FROM system.{name}")
        found.append(must_be_refused(answer, allowed=f"system.{name} can be read"))
    return worst(*found)


def _beans(at: Target) -> Attempt:
    """In any catalogue that is visible, whatever its name; a column is named, since the connector cannot count without."""
    listed = yield Statement(sql="SHOW CATALOGS")
    found: list[Outcome] = []
    for catalog in sorted({"jmx", *(str(row[0]) for row in listed.rows)} - {at.catalog, "system"}):
        answer = yield Statement(sql=f'SELECT node FROM {quoted(catalog)}.current."java.lang:type=runtime" LIMIT 1')
        found.append(must_be_refused(answer, allowed="the server's beans can be read"))
    return worst(*found)


def _make_schema(at: Target) -> Attempt:
    name = f"{quoted(at.catalog)}.{quoted(at.mark)}"
    answer = yield Statement(sql=f"CREATE SCHEMA {name}")
    if answer.done:
        yield Statement(sql=f"DROP SCHEMA {name}")
    return must_be_refused(answer, allowed="a schema was made, and taken away again")


def _make_catalog(at: Target) -> Attempt:
    """A catalogue of one's own has no rules: with a connector that there is not, it cannot be made by mistake."""
    answer = yield Statement(sql=f"CREATE CATALOG {quoted(at.mark)} USING {quoted(at.mark)}")
    return held("refused") if is_refused(answer) or answer.error == "NOT_SUPPORTED" else _let_through(answer.error)


def _let_through(error: str) -> Outcome:
    return broken("catalogues can be made") if error else unknown("a catalogue of no connector was made")


def _probe(name: str, tries: str, hole: str, run: Callable[[Target], Attempt]) -> Probe:
    return Probe(name=name, tries=tries, hole=hole, run=run, scope=Scope.DEPLOYMENT)


PROBES = (
    _probe("catalogs", "lists catalogues", "a rule that grants another catalogue", _catalogs),
    _probe("schemas", "lists tables of other schemas", "a rule for tables of any schema", _schemas),
    _probe("hidden-tables", "reads quarantine and whatever else is hidden", "a rule for tables of any name", _hidden),
    _probe("metadata", "reads the engine's own tables", "a rule that grants the catalogue system", _metadata),
    _probe("beans", "reads the server's beans as tables", "a catalogue of the connector jmx, and a rule that grants it", _beans),
    _probe("create-schema", "makes a schema", "a rule that gives schemas to analysts", _make_schema),
    _probe("create-catalog", "makes a catalogue", "a rule that gives catalogues to analysts", _make_catalog),
)
