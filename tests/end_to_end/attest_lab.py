"""A warehouse with holes, each for a schema or an attacker of its own, beside the same without any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.servers.trino import ADMINISTRATOR, CATALOG, DENIED, TrinoServer, replace_file

from wardlake.adapters.trino_door import Credentials, TrinoDoor
from wardlake.model.entitlements import Entitlement, WarehouseRole
from wardlake.ports.warehouse_door import Caller, Statement
from wardlake.practices.attest.target import text
from wardlake.practices.marts.access import ACCESS, quarantine_access
from wardlake.practices.policies.groups import write_groups
from wardlake.practices.policies.reach import compile_policy
from wardlake.practices.policies.rules import write_rules
from wardlake.settings.deployment import Deployment, WarehouseUser

PASSWORD = "a password of the tests"
A, B = "attest-practice-a", "attest-practice-b"
OTHER = "attest_ben"
PLAIN = "attest_ann"  # an attacker for whom nothing is open
# Attackers for whom one thing is open. Each sees the tables of the closed schema as the plain one does.
OPENED = (
    *("attest_impersonates", "attest_sets", "attest_calls", "attest_owns", "attest_views", "attest_kills"),
    *("attest_asks_system", "attest_informed", "attest_wide", "attest_changes", "attest_makes", "attest_opened"),
    "attest_asks_beside",
)
ABROAD = ("attest_grants", "attest_makes_functions", "attest_looks_beside", "attest_measures")  # in the further catalogues
ATTACKERS = (PLAIN, *OPENED, *ABROAD)
SERVICE = "attest_gateway"  # the gateway's own user, who may be anybody
OPERATOR = "attest_operator"  # may all, and signs in by the gateway alone
KEEPS_FUNCTIONS, KEEPS_GRANTS, KEEPS_FILES, BEANS = "functions", "grants", "iceberg", "monitoring"
FURTHER = f"{KEEPS_FUNCTIONS}|{KEEPS_GRANTS}|{KEEPS_FILES}"  # with tables
PLUGINS = ("hive", "iceberg", "jmx")
HELD, BARE, FLAT, ASKED, OWNED, APART, VIEWED, OURS = (
    f"attest_{name}" for name in ("held", "bare", "flat", "asked", "owned", "apart", "viewed", "ours")
)
TABLES = {
    **{f"{schema}.visits": "attest/parted" for schema in (HELD, BARE, OWNED)},
    **{f"{schema}.visits": "attest/flat" for schema in (FLAT, ASKED)},
    f"{APART}.allowed": "attest/allowed",
    **{f"{OURS}.{name}": "attest/parted" for name in ("prescriptions", "quarantine_visits")},
}
ROWS = [(practice, visit, visit * 10 + offset) for practice, offset in ((A, 1), (B, 5_000)) for visit in range(6)]
ALL = ["SELECT", "INSERT", "DELETE", "UPDATE", "OWNERSHIP", "GRANT_SELECT"]
PROCEDURES = "register_table|unregister_table|vacuum|drop_extended_stats|flush_metadata_cache"


@dataclass(frozen=True)
class Lab:
    """The server, and deployments of it."""

    server: TrinoServer
    gateway: str = ""  # where there is one, the address in place of the server's

    @property
    def url(self) -> str:
        return self.gateway or self.server.url

    def deployment(self, schema: str = HELD, attacker: str = PLAIN, *, catalog: str = CATALOG) -> Deployment:
        return Deployment(
            name=f"{schema} as {attacker}",
            url=self.url,
            ca_file=str(self.server.certificate),
            catalog=catalog,
            schemas=(schema,),
            attacker=WarehouseUser(user=attacker, practices=(A,), password="env:ATTEST_PASSWORD"),
            other=WarehouseUser(user=OTHER, practices=(B,), password="env:ATTEST_PASSWORD"),
            hidden=(f"{CATALOG}.{APART}.allowed",),
            locations={
                name: f"local:///{place}" for name, place in TABLES.items() if (catalog, name.split(".")[0]) == (CATALOG, schema)
            },
        )

    def door(self, attacker: str = PLAIN, *, password: str = PASSWORD) -> TrinoDoor:
        callers = {
            Caller.ATTACKER: Credentials(user=attacker, password=password),
            Caller.OTHER: Credentials(user=OTHER, password=password),
        }
        return TrinoDoor(self.url, callers, authority=str(self.server.certificate))


def make_tables(spark: SparkSession, server: TrinoServer) -> None:
    """The same rows laid out by practice and not, in the lake of a server; a column is one that clinicians may not see."""
    frame = spark.createDataFrame(ROWS, "practice_id string, visit int, total_cost int").coalesce(1)
    for name, layout in (("parted", ["practice_id"]), ("flat", [])):
        for mode in ("error", "append"):  # two versions
            frame.write.format("delta").mode(mode).partitionBy(*layout).save(str(server.lake / "attest" / name))
    allowed = spark.createDataFrame([(name, A) for name in ATTACKERS] + [(OTHER, B)], "who string, practice_id string")
    allowed.coalesce(1).write.format("delta").save(str(server.lake / "attest" / "allowed"))


def open_lab(server: TrinoServer) -> None:
    """Rules, and the tables under a schema for each hole."""
    apply_holes(server)
    for name, place in TABLES.items():
        server.register(*name.split("."), place)
    server.rows(ADMINISTRATOR, f"CREATE SCHEMA IF NOT EXISTS {CATALOG}.{VIEWED}")
    for name, schema in (("closed", HELD), ("open", BARE)):
        view = f"{CATALOG}.{VIEWED}.{name} SECURITY INVOKER"
        server.rows(ADMINISTRATOR, f"CREATE VIEW {view} AS SELECT * FROM {CATALOG}.{schema}.visits")


def further_catalogs(lake: Path) -> Mapping[str, Mapping[str, str]]:
    """What Delta's catalogue has not: functions, grants (two catalogues of one metastore), tables of files, and beans."""
    local = {"fs.native-local.enabled": "true", "local.location": str(lake)}
    hive = {"connector.name": "hive", **local, "hive.metastore": "file", "hive.metastore.catalog.dir": "local:///_hive"}
    iceberg = {"iceberg.catalog.type": "TESTING_FILE_METASTORE", "hive.metastore.catalog.dir": "local:///_iceberg"}
    return {
        KEEPS_FUNCTIONS: {**hive, "hive.security": "allow-all"},
        KEEPS_GRANTS: {**hive, "hive.security": "sql-standard"},
        KEEPS_FILES: {"connector.name": "iceberg", **local, **iceberg},
        BEANS: {"connector.name": "jmx"},
    }


def open_further_catalogs(lab: Lab) -> None:
    """The same rows in each; in the one that keeps grants, all may read, and one may grant."""
    values = ", ".join(f"({text(practice)}, {visit}, {cost})" for practice, visit, cost in ROWS)
    made = f"visits AS SELECT * FROM (VALUES {values}) AS rows_of_both (practice_id, visit, total_cost)"
    door = lab.door(ADMINISTRATOR, password="")
    for sql in (
        *(f"CREATE SCHEMA {catalog}.{HELD}" for catalog in (KEEPS_FUNCTIONS, KEEPS_FILES)),
        *(f"CREATE TABLE {catalog}.{HELD}.{made}" for catalog in (KEEPS_FUNCTIONS, KEEPS_FILES)),
        *(f"GRANT SELECT ON {KEEPS_GRANTS}.{HELD}.visits TO USER {user}" for user in (OTHER, PLAIN)),
        f"GRANT SELECT ON {KEEPS_GRANTS}.{HELD}.visits TO USER attest_grants WITH GRANT OPTION",
    ):
        answer = door.ask(Statement(sql=sql))
        assert answer.done, f"{answer.error}: {answer.text}"


def apply_our_rules(server: TrinoServer) -> None:
    """The files that the product writes, over the schema of its own: a clinician of one practice, a manager of the other."""
    now = datetime.now(UTC)
    granted = {"granted_by": "steward", "granted_at": now, "reason": "in the tests"}
    holds = {"source": OURS, "begins": now - timedelta(hours=1), "until": now + timedelta(days=1), **granted}
    entitled = (
        Entitlement(user=PLAIN, practice=A, role=WarehouseRole.CLINICIAN, **holds),
        Entitlement(user=OTHER, practice=B, role=WarehouseRole.MANAGER, **holds),
    )
    policy = compile_policy(entitled, registrar=ADMINISTRATOR, at=now)
    marts = {OURS: {**ACCESS, **quarantine_access(["visits"])}}
    replace_file(server.policies / "rules.json", write_rules(policy, marts, catalog=CATALOG).decode())
    replace_file(server.policies / "groups.txt", write_groups(policy.groups).decode())
    server.wait_until_policies_are_read()


def apply_holes(server: TrinoServer) -> None:
    server.write_policies(rules(), {})
    server.wait_until_policies_are_read()


def rules() -> Mapping[str, Any]:
    """Literal filters over the closed schema; every other rule is a hole."""
    system = {"catalog": "system", "allow": "read-only"}
    whoever, opened = "|".join((OTHER, *ATTACKERS, SERVICE)), "|".join((OTHER, *OPENED))
    return DENIED | {
        "catalogs": [
            {"user": f"{ADMINISTRATOR}|{OPERATOR}", "allow": "all"},
            {"user": "attest_views|attest_asks_system|attest_kills", **system},
            {"user": whoever, "catalog": CATALOG, "allow": "all"},
            {"user": whoever, "catalog": "other", "allow": "read-only"},
            {"user": "attest_measures", "catalog": BEANS, "allow": "read-only"},
            {"user": f"{OTHER}|{PLAIN}|{'|'.join(ABROAD)}", "catalog": FURTHER, "allow": "all"},
            {"user": "attest_makes", "catalog": "wardlake_attest_.*", "allow": "owner"},
            {"allow": "none"},
        ],
        "schemas": [{"user": f"{ADMINISTRATOR}|{OPERATOR}|attest_wide", "owner": True}, {"owner": False}],
        "tables": [
            {"user": OPERATOR, "privileges": ALL},
            {"user": ADMINISTRATOR, "catalog": CATALOG, "schema": f"{APART}|{ASKED}", "privileges": ["OWNERSHIP", "SELECT"]},
            {"user": ADMINISTRATOR, "catalog": CATALOG, "schema": f"{BARE}|{HELD}", "privileges": ["OWNERSHIP", "SELECT"]},
            {"user": ADMINISTRATOR, "catalog": CATALOG, "privileges": ["OWNERSHIP"]},
            {"user": ADMINISTRATOR, "catalog": FURTHER, "privileges": ALL},
            *_closed(),
            {"user": SERVICE, "catalog": CATALOG, "schema": BARE, "privileges": ["SELECT"]},
            {"user": "attest_looks_beside", "catalog": KEEPS_FILES, "table": "visits[$].*", "privileges": ["SELECT"]},
            {"user": "attest_measures", "catalog": BEANS, "privileges": ["SELECT"]},
            {"user": "attest_asks_beside", "catalog": CATALOG, "schema": HELD, "table": "visits[$].*", "privileges": ["SELECT"]},
            {"user": opened, "schema": f"{BARE}|{VIEWED}", "privileges": ["SELECT"]},
            {"user": opened, "schema": OWNED, "privileges": ALL},
            {"user": "attest_wide", "schema": APART, "privileges": ["SELECT"]},
            {"user": "attest_views|attest_asks_system", "catalog": "system", "privileges": ["SELECT"]},
        ],
        "queries": [
            {"user": OPERATOR, "allow": ["execute", "view", "kill"]},
            {"user": f"attest_views|{SERVICE}", "allow": ["execute", "view"]},
            {"user": "attest_kills", "allow": ["execute", "kill"]},
            {"allow": ["execute"]},
        ],
        "impersonation": [
            {"original_user": "attest_impersonates", "new_user": OTHER},
            {"original_user": OTHER, "new_user": "attest_impersonates"},
            {"original_user": f"{SERVICE}|{OPERATOR}", "new_user": ".*"},
        ],
        "system_information": [{"user": "attest_informed", "allow": ["read"]}],
        "system_session_properties": [{"user": "attest_sets", "allow": True}, {"allow": False}],
        "catalog_session_properties": [{"user": "attest_sets", "allow": True}, {"allow": False}],
        "functions": [
            {
                "user": "attest_changes",
                "catalog": CATALOG,
                "schema": "system",
                "function": "table_changes",
                "privileges": ["EXECUTE"],
            },
            {"user": "attest_owns", "catalog": CATALOG, "schema": OWNED, "function": ".*", "privileges": ["OWNERSHIP"]},
            {"user": "attest_makes_functions", "catalog": KEEPS_FUNCTIONS, "function": ".*", "privileges": ["OWNERSHIP"]},
        ],
        "procedures": [
            *DENIED["procedures"],
            {
                **{
                    "user": f"attest_calls|attest_owns|{OPERATOR}",
                    "catalog": CATALOG,
                    "schema": "system",
                    "procedure": PROCEDURES,
                },
                "privileges": ["EXECUTE"],
            },
            {
                **{"user": f"attest_kills|{OPERATOR}", "catalog": "system", "schema": "runtime", "procedure": "kill_query"},
                "privileges": ["EXECUTE"],
            },
        ],
    }


def _closed() -> list[dict[str, Any]]:
    """Filters of each user: literal over what is laid out by practice and what is not, and one that asks another table."""
    found: list[dict[str, Any]] = []
    for user, practice in (*((name, A) for name in ATTACKERS), (OTHER, B)):
        whose = {"user": user, "catalog": CATALOG, "table": "visits", "privileges": ["SELECT"]}
        literal = f"practice_id IN ({text(practice)})"
        if user == "attest_grants":
            found.append({**whose, "catalog": KEEPS_GRANTS, "filter": literal, "privileges": ["SELECT", "OWNERSHIP"]})
        if user in (OTHER, PLAIN, *ABROAD):
            found.append({**whose, "catalog": FURTHER, "schema": HELD, "filter": literal})
        found.append({**whose, "schema": HELD, "filter": literal})
        if user not in (PLAIN, *ABROAD):
            asked = f"practice_id IN (SELECT practice_id FROM {CATALOG}.{APART}.allowed WHERE who = '{user}')"
            found.append({**whose, "schema": FLAT, "filter": literal})
            found.append({**whose, "schema": ASKED, "filter": asked, "filter_environment": {"user": ADMINISTRATOR}})
    return found
