"""Session properties and roles: neither may change whose rows are seen."""

from __future__ import annotations

from wardlake.ports.warehouse_door import Answer, Statement
from wardlake.practices.attest.detector import is_refused, must_be_refused, rows_seen, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Scope, broken, held
from wardlake.practices.attest.target import Target, quoted

# What changes how conditions are planned, pushed down and run.
PROPERTIES = (
    *("allow_pushdown_into_connectors=false", "enable_dynamic_filtering=false", "optimize_metadata_queries=true"),
    *("push_aggregation_through_outer_join=false", "legacy_materialized_view_grace_period=true", "enable_stats_calculator=false"),
)
OF_CATALOG = ("projection_pushdown_enabled=false", "statistics_enabled=true", "dynamic_filtering_wait_timeout=1ms")
NO_SUCH = frozenset({"INVALID_SESSION_PROPERTY"})
ROLES = ("ROLE{admin}", "ALL")


def _properties(at: Target) -> Attempt:
    """The rows under each property, set in the header as clients do."""
    found: list[Outcome] = []
    for given in (*PROPERTIES, *(f"{at.catalog}.{each}" for each in OF_CATALOG)):
        sql = f"SELECT {at.whose}, count(*) FROM {at.name} GROUP BY 1"
        answer = yield Statement(sql=sql, headers={"X-Trino-Session": given})
        found.append(held("the engine has no such property") if answer.error in NO_SUCH else rows_seen(at, answer))
    return worst(*found)


def _roles(at: Target) -> Attempt:
    """The rows under each role, of the engine and of the catalogue."""
    found: list[Outcome] = []
    for domain in ("system", at.catalog):
        for role in ROLES:
            sql = f"SELECT {at.whose}, count(*) FROM {at.name} GROUP BY 1"
            found.append(_under_a_role(at, (yield Statement(sql=sql, headers={"X-Trino-Role": f"{domain}={role}"}))))
    return worst(*found)


def _under_a_role(at: Target, answer: Answer) -> Outcome:
    if not answer.done and "Cannot set role" in answer.text:  # Trino says so as an internal error
        return held("refused")
    return rows_seen(at, answer)


def _set_property(at: Target) -> Attempt:
    """Settings are the operators': what they bound, such as a query's memory and time, is for everybody."""
    found: list[Outcome] = []
    for sql in (
        "SET SESSION query_max_run_time = '1000d'",
        f"SET SESSION {quoted(at.catalog)}.projection_pushdown_enabled = false",
    ):
        answer = yield Statement(sql=sql)
        found.append(must_be_refused(answer, allowed="a setting of the session can be changed"))
    return worst(*found)


def _set_role(at: Target) -> Attempt:
    found: list[Outcome] = []
    for sql in ("SET ROLE admin", f"SET ROLE admin IN {quoted(at.catalog)}", "SET SESSION AUTHORIZATION " + quoted(at.other)):
        headers = {"X-Trino-Client-Capabilities": "SESSION_AUTHORIZATION"}
        answer = yield Statement(sql=sql, headers=headers)
        if answer.error in {"ROLE_NOT_FOUND", "NOT_SUPPORTED"}:
            found.append(held("there are no roles"))
        else:
            found.append(held("refused") if is_refused(answer) else broken("another role or user can be taken"))
    return worst(*found)


PROBES = (
    Probe(
        name="session-properties",
        tries="reads the table under settings that change how conditions are planned",
        hole="a rule without a filter",
        run=_properties,
    ),
    Probe(name="roles", tries="reads the table under roles", hole="a rule without a filter", run=_roles),
    Probe(
        name="set-session",
        tries="changes settings of the session",
        hole="a rule that lets session properties be set",
        run=_set_property,
        scope=Scope.DEPLOYMENT,
    ),
    Probe(
        name="set-role",
        tries="takes a role, or another user's name",
        hole="a rule that lets users be impersonated",
        run=_set_role,
        scope=Scope.DEPLOYMENT,
    ),
)
