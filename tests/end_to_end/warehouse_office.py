"""Practices with marts in a lake that a real Trino reads, and the commands that say who sees them."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trino
from pyspark.sql import SparkSession
from tests.commands import Ended, command
from tests.end_to_end.practices_office import PROGRAM, ROOT, practices_environment, write
from tests.servers.postgres import PostgresServer
from tests.servers.trino import ADMINISTRATOR, TrinoServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.postgres_database import migrate
from wardlake.practices.marts.mart import PRACTICE

SOURCE = "surgeries"
NORTH, SOUTH, WEST = "north", "o'south", 'w"est -- \\ 5 %'
PRACTICES = (NORTH, SOUTH, WEST)
DENIED = "PERMISSION_DENIED"
OBEYED = timedelta(seconds=10)
BAD_DAY = "31.1.2024"
ROWS = {
    "visits": (
        "practice_id string, day date, visit_class string, hour int, visits bigint, patients bigint, minutes bigint",
        lambda practice, number: [
            (practice, date(2026, 1, day), "ambulatory", 9, number, 1, 10 * number) for day in range(1, number + 1)
        ],
    ),
    "prescriptions": (
        "practice_id string, month date, code string, drug string, prescriptions bigint, patients bigint, dispenses bigint, "
        "total_cost decimal(18,2)",
        lambda practice, number: [(practice, date(2026, 1, 1), "860975", "metformin", number, 1, 1, Decimal(number))],
    ),
    "revenue": (
        "practice_id string, month date, charged decimal(18,2), paid decimal(18,2)",
        lambda practice, number: [(practice, date(2026, 1, 1), Decimal(number), Decimal(number))],
    ),
}


@dataclass(frozen=True, kw_only=True)
class WarehouseOffice:
    """Commands of the steward, and questions of users. `visits` of a practice: as many as its place in the list."""

    spark: SparkSession
    folder: Path
    trino: TrinoServer
    people: set[str] = field(default_factory=set)

    @property
    def lake(self) -> Path:
        return self.trino.lake

    def run(self, *words: str) -> Ended:
        """`wardlake WORDS`."""
        return command(*words, conf=self.folder / "conf", lake=self.lake, env="practices")

    def ends_well(self, *words: str) -> dict[str, Any]:
        ended = self.run(*words)
        assert ended.code == 0, ended.said
        return ended.answer

    def grant(self, user: str, *practices: str, role: str = "manager", until: datetime | None = None) -> None:
        """A user who can sign in by password, entitled."""
        self.know(user)
        given = [word for name in practices for word in ("--practice", name)]
        end = (until or datetime.now(UTC) + timedelta(days=30)).isoformat()
        self.ends_well("warehouse", "grant", "--user", user, *given, "--role", role, "--until", end, "--reason", "in the tests")

    def know(self, user: str) -> None:
        if user not in self.people:
            self.trino.add_user(user, secrets.token_hex(8))
            self.people.add(user)

    def revoke(self, user: str, *practices: str) -> None:
        given = [word for name in practices for word in ("--practice", name)]
        self.ends_well("warehouse", "revoke", "--user", user, *given, "--reason", "in the tests")

    def policies(self) -> dict[str, Any]:
        """Policies applied, and read by Trino."""
        done = self.ends_well("warehouse", "policies")
        self.trino.wait_until_policies_are_read()
        return done

    def watch(self) -> subprocess.Popen[str]:
        """`wardlake warehouse policies --watch` as a process of its own."""
        flags = ["--conf", str(self.folder / "conf"), "--lake", str(self.lake), "--env", "practices"]
        log = (self.folder / "watch.log").open("a")
        words = ["warehouse", "policies", "--watch", "--marts-every", "5"]
        return subprocess.Popen([PROGRAM, *words, *flags], stderr=log, stdout=log, text=True, cwd=ROOT)

    def ask(self, user: str, statement: str, *, token: str = "") -> list[list[Any]]:
        with self.trino.connect(user, token=token) as opened:
            return list(opened.cursor().execute(statement).fetchall())

    def refusal(self, user: str, statement: str, *, token: str = "") -> str:
        """Trino's name of the error that a statement ends with."""
        with pytest.raises(trino.exceptions.TrinoQueryError) as told:
            self.ask(user, statement, token=token)
        return str(told.value.error_name)

    def sees(self, user: str, *, token: str = "") -> set[str] | None:
        """The practices whose visits a user sees; None where they may not ask."""
        try:
            return {row[0] for row in self.ask(user, f"SELECT practice_id FROM {SOURCE}.visits", token=token)}
        except trino.exceptions.TrinoQueryError as problem:
            assert problem.error_name == DENIED, problem.error_name
            return None

    def is_denied(self, user: str) -> bool:
        """Whether a user may not ask; not yet, where Trino refuses for another reason, as when it was not there for a while."""
        try:
            self.ask(user, f"SELECT practice_id FROM {SOURCE}.visits")
        except trino.exceptions.TrinoQueryError as problem:
            return bool(problem.error_name == DENIED)
        return False

    def set_aside(self, *practices: str) -> None:
        """A change of each captured, that cannot be merged: it waits in the quarantine of conditions."""
        folder = self.folder / "changes" / "conditions"
        folder.mkdir(parents=True)
        (folder / "001.csv").write_text(bad_conditions(*practices), "utf-8")
        self.ends_well("practices", "capture", "--until-idle")
        ended = self.run("practices", "work", "--lane", "backfill", "--until-idle")
        assert ended.answer["set_aside"] == sorted(practices), ended.said

    @contextmanager
    def quarantine(self, one: str, other: str) -> Iterator[str]:
        """What waits of two practices as a table of the warehouse, and people in further roles.

        `sue` manages the other, `bil` bills for both, `mix` manages the other and is a clinician of the one.
        """
        self.set_aside(one, other)
        self.grant("sue", other)
        self.grant("bil", one, other, role="billing")
        self.grant("mix", other)
        self.grant("mix", one, role="clinician")
        name = "quarantine_conditions"
        assert self.policies()["registered"] == [f"{SOURCE}.{name}"]
        yield f"{SOURCE}.{name}"
        self.ask(ADMINISTRATOR, f"CALL lake.system.unregister_table('{SOURCE}', '{name}')")
        self.remove_mart(name)

    def remove_mart(self, name: str) -> None:
        DeltaTables(self.spark).delete_folder(f"{self.lake}/marts/{SOURCE}/{name}")

    def write_mart(self, name: str, practices: Sequence[str] = PRACTICES, *, like: str = "") -> None:
        """As `practices marts` writes them."""
        schema, rows_of = ROWS[like or name]
        rows = [row for practice in practices for row in rows_of(practice, PRACTICES.index(practice) + 1)]
        frame = self.spark.createDataFrame(rows, schema)
        path = f"{self.lake}/marts/{SOURCE}/{name}"
        DeltaTables(self.spark).replace_partitions(path, frame, partition=PRACTICE, values=practices)


def obeyed(is_so: Callable[[], bool], *, since: datetime | None = None) -> datetime:
    """When a question found it so. Each that is asked ten seconds after `since`, or now, does, however long its answer takes."""
    latest = (since or datetime.now(UTC)) + OBEYED
    while True:
        asked = datetime.now(UTC)
        if is_so():
            return datetime.now(UTC)
        assert asked < latest
        time.sleep(0.2)


def bad_conditions(*practices: str, after: int = 0) -> str:
    """A change file of a condition each, whose day is none."""
    lines = ["Op,change_seq,change_time,row_id,practice_id,START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION"]
    for number, practice in enumerate(practices, start=1):
        row = f'"{number}","{practice}","{BAD_DAY}","","1","1","SNOMED","195967001","Asthma ({number})"'
        lines.append(f"I,{after + number},2026-01-31T08:00:00Z,{row}")
    return "".join(f"{line}\n" for line in lines)


def open_office(
    spark: SparkSession, postgres: PostgresServer, trino_server: TrinoServer, folder: Path, *, source: str = SOURCE
) -> Iterator[WarehouseOffice]:
    """Three practices with three marts each, nobody entitled to anything yet."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    changed = {
        **{f"{word}: clinics": f"{word}: {source}" for word in ("name", "source")},
        "folder: .lake/clinics/changes": f"folder: {folder}/changes",
        "niceness: 10": "niceness: 0",
    }
    for kind in ("sources", "classification", "practices"):
        text = (folder / "conf" / kind / "clinics.yaml").read_text()
        for before, after in changed.items():
            text = text.replace(before, after)
        write(folder, kind, source, text)
        (folder / "conf" / kind / "clinics.yaml").unlink()
    warehouse = f"""\
warehouse:
  kind: trino
  url: {trino_server.url}
  ca_file: {trino_server.certificate}
  user: {ADMINISTRATOR}
  password: env:WAREHOUSE_PASSWORD
  catalog: lake
  policies: {trino_server.policies}
  marts: local:///marts
  refresh_seconds: 1
"""
    write(folder, "environments", "practices", practices_environment() + warehouse)
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_DSN", registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
        patch.setenv("WAREHOUSE_PASSWORD", trino_server.passwords[ADMINISTRATOR])
        office = WarehouseOffice(spark=spark, folder=folder, trino=trino_server)
        named = [word for practice in PRACTICES for word in ("--practice", practice)]
        office.ends_well("practices", "onboard", "--no-snapshot", *named)
        for name in ROWS:
            office.write_mart(name)
        yield office
        shutil.rmtree(office.lake / "marts" / source)
