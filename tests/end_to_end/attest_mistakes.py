"""Mistakes of a gateway before the warehouse, by the probe that gets through each, and through it alone."""

from __future__ import annotations

from tests.end_to_end.attest_lab import APART, BARE, HELD, OTHER, PLAIN
from tests.servers.gateway import (
    Mistake,
    believes,
    fills_in_secrets,
    forgets_filters,
    keeps_answers,
    leads_to,
    lets_through,
    lists_all_it_leads_to,
    names_another,
    opens_internal_pages,
    reads_paths,
    registers_files,
    shows_operators_pages,
    takes_any_proof,
    takes_no_proof,
)
from tests.servers.trino import CATALOG

ROLES = "X-Trino-Original-Roles"
BESIDE = ("$history", "$partitions", "$properties", "$transactions")
SELECT = f'count(*) FROM "{CATALOG}"."{HELD}"."visits" GROUP BY 1'
# Holes that Trino itself has not, whatever is configured: a gateway before it makes the mistake.
GATEWAYS: dict[str, Mistake] = {
    "claims-presto-user": believes("X-Presto-User"),
    "claims-extra-credential": believes("X-Trino-Extra-Credential"),
    "claims-forwarded": believes("X-Forwarded-User"),
    "claims-remote-user": believes("X-Remote-User"),
    "claims-certificate": believes("X-Forwarded-Client-Cert"),
    "wrong-credentials": takes_any_proof(but_of=(PLAIN, OTHER)),
    "internal-pages": opens_internal_pages,
    "open-pages": shows_operators_pages,
    "query-results": fills_in_secrets,
    "read-by-path": reads_paths("local:///attest/parted", f"{CATALOG}.{BARE}.visits"),
    "cached-result": keeps_answers,
    "roles": forgets_filters(HELD, without=BARE, header="X-Trino-Role"),
    "session-properties": forgets_filters(HELD, without=BARE, header="X-Trino-Session"),
    "version": forgets_filters(HELD, without=BARE, words="FOR VERSION AS OF"),
    "moment": forgets_filters(HELD, without=BARE, words="FOR TIMESTAMP AS OF"),
}
# The engine puts a filter under every reference to a table. A gateway that puts filters in may forget one way to write it.
FORMS = {
    "select-theirs": "IS NULL OR true",
    "table": "(TABLE ",
    "join": "(asked) JOIN",
    "self-join": "CROSS JOIN",
    "cte": "WITH t AS",
    "exists": "EXISTS (",
    "count": "count_if",
    "union": "UNION",
    "window": "OVER (",
    "sample": "TABLESAMPLE",
    "table-function": "exclude_columns",
    "prepared": "EXECUTE ",
    "left-join": "LEFT JOIN",
    "file-columns": 'CAST("$',
    "file-path": '"$path" LIKE',
}
# What one rule of Trino's opens in several ways, a gateway that knows statements and pages may open in one of them.
STATEMENTS_LET_THROUGH = {
    "explain": "EXPLAIN  SELECT",
    "explain-io": "(TYPE IO)",
    "explain-json": "FORMAT JSON",
    "explain-analyze": "EXPLAIN ANALYZE SELECT",
    "explain-analyze-verbose": "ANALYZE VERBOSE",
    "statistics": "SHOW STATS",
    "error-cast": "CAST(concat(",
    "error-division": "1 / (CASE",
    "error-overflow": "9223372036854775807",
    "error-date": "from_iso8601_date",
    **{name: name for name in BESIDE},
    "insert": "INSERT INTO",
    "delete": "DELETE FROM",
    "update": "VALIDATE) UPDATE",
    "merge": "MERGE INTO",
    "analyze": "VALIDATE) ANALYZE",
    "create-table": "VALIDATE) CREATE TABLE",
    "alter": "ADD COLUMN",
    "definition": "SHOW CREATE",
    "call-register_table": "nothing/there",
    "call-vacuum": ".vacuum(",
    "call-drop_extended_stats": ".drop_extended_stats(",
    "call-flush_metadata_cache": ".flush_metadata_cache(",
    "query-kill-call": "kill_query",
    "runtime-queries": "runtime.queries",
    "runtime-tasks": "runtime.tasks",
    "metadata": "FROM system.metadata.",
    "schemas": "information_schema.tables",
    "hidden-tables": APART,
    "set-role": "SET SESSION AUTHORIZATION",
}
A_QUERY = r"/\d{8}_\d{6}_\d{5}_\w{5}"
ALONE: dict[str, Mistake] = {
    **{name: lets_through(words) for name, words in STATEMENTS_LET_THROUGH.items()},
    "select": lets_through(SELECT, but_with=("X-Trino-Role", "X-Trino-Session")),
    "register-files": registers_files("local:///attest/parted"),
    "create-view": lets_through("CREATE VIEW", "DROP VIEW"),
    "create-schema": lets_through("CREATE SCHEMA", "DROP SCHEMA"),
    "call-unregister_table": lets_through(".unregister_table("),
    "claims-user": believes("X-Trino-User", when=lambda said: names_another(said) and "X-Trino-Original-User" not in said),
    "claims-both-users": believes("X-Trino-User", when=lambda said: names_another(said) and "X-Trino-Original-User" in said),
    "claims-original-user": believes("X-Trino-Original-User", when=lambda said: not (names_another(said) or ROLES in said)),
    "claims-original-roles": believes("X-Trino-Original-User", when=lambda said: ROLES in said),
    "query-list": leads_to(r"/v1/query(\?.*)?"),
    "query-page": leads_to(r"/v1/query" + A_QUERY + r"(\?.*)?"),
    "query-ui": leads_to(r"/ui/api/query", to="/v1/query"),
    "query-kill-page": leads_to(r"/v1/query" + A_QUERY + ".*", of=("PUT", "DELETE")),
    "no-credentials": takes_no_proof,
    "pages-without-credentials": leads_to("/v1/query", proven=False),
    "catalogs": lists_all_it_leads_to(CATALOG, "of another warehouse"),
}
MISTAKES = GATEWAYS | ALONE | {name: forgets_filters(HELD, without=BARE, words=words) for name, words in FORMS.items()}
