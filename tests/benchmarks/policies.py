"""What row policies cost: planning under layouts of the rules, and queries under a policy beside those on a practice's partition.

    python -m tests.benchmarks.policies --practices 5000 --users 10000

A real Trino, compiled as in production. Layouts: `open`, one rule without a filter; `ours`, a rule for each distinct set of
practices and users in groups; `by user`; `by user and table`. The user who asks is the one whose rule comes last. `queries` are
run in turns by a user under the policy, and by one who sees all and names the practice; then again, by the first, with the files
of every other practice moved away: that they are answered as before shows that none was read. Prints one JSON object;
milliseconds unless named.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.conftest import QUICK
from tests.servers import trino as servers
from tests.servers.keycloak import start_keycloak
from tests.servers.processes import running
from tests.servers.trino import ADMINISTRATOR, DENIED, TrinoServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.spark_session import start_session
from wardlake.model.entitlements import Access, Entitlement, WarehouseRole
from wardlake.practices.policies.groups import write_groups
from wardlake.practices.policies.reach import compile_policy
from wardlake.practices.policies.rules import write_rules

SCHEMA, TABLES = "clinics", [f"mart_{number}" for number in range(10)]
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 31, tzinfo=UTC)
ACCESS = {name: Access(practice="practice_id", hidden={WarehouseRole.MANAGER: frozenset()}) for name in TABLES}
REPEAT, WARM = 31, 20
REPEAT_SLOW = 3  # of layouts that take seconds a table
SEEN = 200  # practices with rows
REFRESH_SECONDS = 5.0  # as in production
ALL = {"user": ADMINISTRATOR, "catalog": "lake", "privileges": ["SELECT", "OWNERSHIP"]}
SECTIONS = {**DENIED, "catalogs": [{"catalog": "lake", "allow": "all"}], "queries": [{"allow": ["execute"]}]}
QUERIES = {
    "count": "SELECT count(*), sum(visits) FROM mart_0 {where}",
    "by day": "SELECT day, sum(visits) FROM mart_0 {where} GROUP BY day ORDER BY day",
    "join": "SELECT count(*) FROM (SELECT * FROM mart_0 {where}) a JOIN (SELECT * FROM mart_1 {where}) b ON a.day = b.day",
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--practices", type=int, default=5000)
    asked.add_argument("--users", type=int, default=10_000)
    given = asked.parse_args()
    servers.REFRESH_SECONDS = REFRESH_SECONDS
    with (
        running(start_keycloak) as keycloak,
        running(lambda: servers.start_trino(keycloak, java=servers.AS_IN_PRODUCTION)) as server,
    ):
        write_tables(server)
        print(json.dumps(measure(server, given.practices, given.users), indent=2))


def write_tables(server: TrinoServer) -> None:
    """Ten marts, each with thirty rows and one file of each of some practices."""
    with tempfile.TemporaryDirectory() as folder:
        spark = session(folder)
        days = spark.range(30).select(F.expr("date_add(date'2026-01-01', int(id))").alias("day"), F.lit(1).alias("visits"))
        names = [practice(number) for number in range(SEEN)]
        for table in TABLES[:2]:
            rows = spark.createDataFrame([(name,) for name in names], "practice_id string").crossJoin(days)
            DeltaTables(spark).replace_partitions(f"{server.lake}/{table}", rows, partition="practice_id", values=names)
        for table in TABLES[2:]:
            rows = spark.createDataFrame([(names[-1],)], "practice_id string").crossJoin(days)
            DeltaTables(spark).replace_partitions(f"{server.lake}/{table}", rows, partition="practice_id", values=names[-1:])
        spark.stop()
    for table in TABLES:
        server.register(SCHEMA, table, table)


def session(folder: str) -> SparkSession:
    conf = {"spark.driver.memory": "1g", "spark.driver.extraJavaOptions": QUICK, "spark.sql.warehouse.dir": folder}
    return start_session("policies", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf=conf)


def practice(number: int) -> str:
    return f"practice-{number:05d}"


def ours_of(practices: int, users: int) -> tuple[dict[str, Any], str]:
    """The rules as Wardlake writes them, and the file of groups."""
    policy = compile_policy(held(practices, users), registrar="wardlake", at=NOW)
    return json.loads(write_rules(policy, {SCHEMA: ACCESS}, catalog="lake")), write_groups(policy.groups).decode()


def measure(server: TrinoServer, practices: int, users: int) -> dict[str, Any]:
    ours, groups = ours_of(practices, users)
    last = ours["tables"][-1]
    name = next(line for line in groups.splitlines() if line.startswith(last["group"])).partition(":")[2].split(",")[0]
    server.add_user(name, secrets.token_hex(8))
    mine = {"user": name, "catalog": "lake", "privileges": ["SELECT"]}
    known = {f"user{number}": practice(number % practices) for number in range(users)}
    known[name] = known.pop(name)  # the last
    layouts: dict[str, dict[str, Any]] = {
        "open": {**SECTIONS, "tables": [ALL, mine]},
        "ours": {**ours, "tables": [ALL, *ours["tables"]], "catalogs": SECTIONS["catalogs"], "queries": SECTIONS["queries"]},
        "by user": {**SECTIONS, "tables": [ALL, *(rule(user, own) for user, own in known.items())]},
        "by user and table": {
            **SECTIONS,
            "tables": [ALL, *(rule(user, own, table) for user, own in known.items() for table in TABLES)],
        },
    }
    planning = {}
    planned(server, name, layouts["open"], groups, REPEAT)  # whatever is asked first finds nothing compiled
    for layout, rules in layouts.items():
        planning[layout] = planned(server, name, rules, groups, REPEAT_SLOW if layout == "by user and table" else REPEAT)
        print(layout, planning[layout], file=sys.stderr)
    return {
        "practices": practices,
        "users": users,
        "rules of ours": len(ours["tables"]),
        "planning": planning,
        "queries": compared(server, layouts["ours"], groups),
    }


def held(practices: int, users: int) -> list[Entitlement]:
    given = {
        "source": SCHEMA,
        "role": WarehouseRole.MANAGER,
        "begins": NOW,
        "until": NOW + timedelta(days=1),
        "granted_by": "sam",
    }
    return [
        Entitlement(user=f"user{number}", practice=practice(number % practices), granted_at=NOW, reason="measured", **given)
        for number in range(users)
    ]


def rule(user: str, own: str, table: str = "|".join(TABLES)) -> dict[str, Any]:
    where = f"\"practice_id\" IN ('{own}')"
    return {"user": user, "catalog": "lake", "schema": SCHEMA, "table": table, "privileges": ["SELECT"], "filter": where}


def planned(server: TrinoServer, user: str, rules: Mapping[str, Any], groups: str, repeat: int) -> dict[str, float]:
    """Medians of the wall time of EXPLAIN over one table and over ten, and the size of the file in MiB."""
    put(server, rules, groups)
    one = f"EXPLAIN SELECT count(*) FROM {SCHEMA}.{TABLES[0]}"
    ten = "EXPLAIN " + " UNION ALL ".join(f"SELECT count(*) FROM {SCHEMA}.{table}" for table in TABLES)
    size = (server.policies / "rules.json").stat().st_size / 2**20
    taken = {"one table": timed(server, user, one, repeat), "ten tables": timed(server, user, ten, repeat)}
    return {**taken, "MiB of rules": round(size, 2)}


def put(server: TrinoServer, rules: Mapping[str, Any], groups: str) -> None:
    servers.replace_file(server.policies / "rules.json", json.dumps(rules))
    servers.replace_file(server.policies / "groups.txt", groups)
    server.wait_until_policies_are_read()


def timed(server: TrinoServer, user: str, statement: str, repeat: int) -> float:
    with server.connect(user) as opened:
        taken = [milliseconds(lambda: opened.cursor().execute(statement).fetchall()) for _ in range(repeat + WARM)][WARM:]
    return round(statistics.median(taken), 1)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def compared(server: TrinoServer, rules: Mapping[str, Any], groups: str) -> dict[str, Any]:
    """Each query by the one under the policy and by the one who names the practice, in turns; rows that were read by each."""
    own = practice(SEEN - 1)
    user = f"user{SEEN - 1}"
    server.add_user(user, secrets.token_hex(8))
    put(server, rules, groups)
    texts = {label: query.replace("mart_", f"{SCHEMA}.mart_") for label, query in QUERIES.items()}
    found = {}
    for label, text in texts.items():
        turns: dict[str, list[Asked]] = {"policy": [], "partition": []}
        for _ in range(REPEAT + WARM):
            turns["policy"].append(asked(server, user, text.format(where="")))
            turns["partition"].append(asked(server, ADMINISTRATOR, text.format(where=f"WHERE practice_id = '{own}'")))
        medians = {kind: statistics.median(each.taken for each in turn[WARM:]) for kind, turn in turns.items()}
        found[label] = {
            **{kind: round(median, 1) for kind, median in medians.items()},
            "ratio": round(medians["policy"] / medians["partition"], 3),
            "rows read": {kind: turn[-1].stats["processedRows"] for kind, turn in turns.items()},
            "splits": {kind: turn[-1].stats["totalSplits"] for kind, turn in turns.items()},
            "answers agree": turns["policy"][-1].rows == turns["partition"][-1].rows,
        }
    before = {label: asked(server, user, text.format(where="")).rows for label, text in texts.items()}
    for table in TABLES[:2]:
        for folder in (server.lake / table).glob("practice_id=*"):
            if folder.name != f"practice_id={own}":
                folder.rename(folder.with_name(f".{folder.name}"))
    after = {label: asked(server, user, text.format(where="")).rows for label, text in texts.items()}
    return {**found, "answered alike without others' files": after == before}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query gave, and its milliseconds."""

    taken: float
    rows: list[list[Any]]
    stats: Mapping[str, Any]


def asked(server: TrinoServer, user: str, statement: str) -> Asked:
    with server.connect(user) as opened:
        cursor = opened.cursor()
        began = time.perf_counter()
        rows = cursor.execute(statement).fetchall()
        return Asked((time.perf_counter() - began) * 1000, rows, dict(cursor.stats))


if __name__ == "__main__":
    main()
