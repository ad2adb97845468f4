"""A shared database of several practices, its capture, and the lake that its changes are merged into."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import psycopg.rows
from pyspark.sql import SparkSession
from tests.commands import Ended, command
from tests.servers.postgres import PostgresServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.postgres_changes import drop_slot
from wardlake.adapters.postgres_database import migrate

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "wardlake"
SOURCE = """\
name: clinics
kind: postgres
location: jdbc:postgresql://127.0.0.1/clinics
schema_version: "1"
patients: patients
contracts: false
tables:
  patients:
    primary_key: [id]
    patient: id
    types: {id: bigint, practice: string, last_name: string, born: date}
  visits:
    primary_key: [id]
    patient: patient
    references: [{columns: [patient], table: patients, to: [id]}]
    types: {id: bigint, practice: string, patient: bigint, cost: "decimal(10,2)", note: string}
"""
CLASSIFICATION = """\
source: clinics
profile: expert
token_mode: keyed
tables:
  patients:
    id: {sensitive: {rule: token, domain: patient}, kind: mrn}
    practice: safe
    last_name: {sensitive: {rule: surrogate, kind: last_name, domain: patient, by: id}, kind: person_name}
    born: {sensitive: {rule: date_shift}, kind: date}
  visits:
    id: {sensitive: {rule: token, domain: visit}, kind: unique_code}
    practice: safe
    patient: {sensitive: {rule: token, domain: patient}, kind: mrn}
    cost: safe
    note: {sensitive: {rule: drop}}
"""
TABLES = (
    "CREATE TABLE patients (id bigint PRIMARY KEY, practice text, last_name text, born text)",
    "CREATE TABLE visits (id bigint PRIMARY KEY, practice text, patient bigint, cost numeric(10,2), note text)",
)


@dataclass(frozen=True, kw_only=True)
class Office:
    """Commands and statements about the practices of one database. `said`: all that its commands wrote and answered."""

    spark: SparkSession
    folder: Path
    source: str
    registry: str
    slot: str
    said: list[str] = field(default_factory=list)

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def run(self, *words: str) -> Ended:
        """`wardlake practices WORDS`."""
        ended = command("practices", *words, conf=self.conf, lake=self.lake, env="practices")
        self.said.append(ended.said + json.dumps(ended.answer))
        return ended

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same as a process of its own; `finish` ends it."""
        flags = ["--conf", str(self.conf), "--lake", str(self.lake), "--env", "practices"]
        log = (self.folder / f"{'-'.join(word for word in words if '/' not in word)}.log").open("a")
        return subprocess.Popen([PROGRAM, "practices", *words, *flags], stderr=log, stdout=log, text=True, start_new_session=True)

    def ends_well(self, *words: str) -> dict[str, Any]:
        ended = self.run(*words)
        assert ended.code == 0, ended.said
        return ended.answer

    def sql(self, *statements: str) -> None:
        """Each in a transaction of its own."""
        with psycopg.connect(self.source, autocommit=True) as opened:
            for statement in statements:
                opened.execute(statement.encode())

    def ingest(self, *lanes: str) -> None:
        """Capture and merge until nothing is left."""
        self.ends_well("capture", "--until-idle")
        for lane in lanes or ("backfill", "steady"):
            self.run("work", "--lane", lane, "--until-idle")

    def rows(self, table: str, practice: str = "") -> dict[int, dict[str, Any]]:
        """What the raw table holds of a practice, or of all, by id."""
        path = f"{self.lake}/raw/clinics/practices/tables/{table}"
        tables = DeltaTables(self.spark)
        if not tables.exists(path):
            return {}
        found = tables.read(path).where("NOT wardlake_deleted")
        if practice:
            found = found.where(found["wardlake_practice"] == practice)
        return {row["id"]: row.asDict() for row in found.collect()}

    def told_twice(self) -> int:
        """Entries of the change log that stand there more than once."""
        log = DeltaTables(self.spark).read(f"{self.lake}/raw/clinics/practices/change_log")
        return log.groupBy("practice", "table", "key", "commit", "sequence", "part").count().where("count > 1").count()

    def truth(self, table: str) -> dict[int, Mapping[str, Any]]:
        """What the source holds, by id."""
        with psycopg.connect(self.source, row_factory=psycopg.rows.dict_row) as opened:
            return {row["id"]: row for row in opened.execute(f"SELECT * FROM {table}".encode())}

    def board(self, *words: str) -> list[dict[str, Any]]:
        """What `practices freshness` says, by practice; whether they are late is another test's."""
        return sorted(self.run("freshness", *words).answer["practices"], key=lambda each: each["practice"])

    def standing(self, practice: str) -> tuple[str, str, list[str]]:
        (found,) = self.board("--practice", practice)
        return found["standing"], found["reason"], found["tables"]

    def pages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.lake / "restricted" / "pages.jsonl").read_text("utf-8").splitlines()]

    def differs(self) -> str:
        """Where the raw tables are not what the source holds, with the practice of each row; empty where they are."""
        for table in ("patients", "visits"):
            raw, truth = self.rows(table), self.truth(table)
            if raw.keys() != truth.keys():
                return f"{table}: {len(raw.keys() - truth.keys())} rows too many, {len(truth.keys() - raw.keys())} missing"
            for key, row in truth.items():
                shown = {name: str(value) if name == "born" else value for name, value in raw[key].items() if name in row}
                if shown != row or raw[key]["wardlake_practice"] != row["practice"]:
                    return f"{table}: row {key} is {shown}"
        return ""

    def registered(self) -> str:
        """Every row of every table of the registry, the queue and the audit among them, as text."""
        with psycopg.connect(self.registry) as opened:
            tables = opened.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'wardlake'").fetchall()
            rows = [opened.execute(f"SELECT t::text FROM wardlake.{name} t".encode()).fetchall() for (name,) in tables]
        return "\n".join(row for table in rows for (row,) in table)

    def is_captured(self) -> bool:
        """Whether somebody reads the slot."""
        with psycopg.connect(self.source) as opened:
            found = opened.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", [self.slot]).fetchone()
        return found == (True,)

    def close(self) -> None:
        deadline = time.monotonic() + 60
        while self.is_captured() and time.monotonic() < deadline:
            time.sleep(0.1)  # the server may not have noticed yet that who read was killed
        drop_slot(self.source, slot=self.slot)


def make_office(spark: SparkSession, postgres: PostgresServer, folder: Path, monkeypatch: Any, *, niceness: int = 0) -> Office:
    """A database with logical decoding, a registry, and configuration that says so. `niceness`: of backfill."""
    source = postgres.as_admin(postgres.fresh_database("clinics")).dsn
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    slot = f"practices_{secrets.token_hex(4)}"
    shutil.copytree(ROOT / "conf", folder / "conf")
    for kind in ("sources", "classification", "practices"):
        for file in (folder / "conf" / kind).glob("*.yaml"):
            file.unlink()
    write(folder, "sources", "clinics", SOURCE)
    write(folder, "classification", "clinics", CLASSIFICATION)
    write(
        folder,
        "practices",
        "clinics",
        f"""\
name: clinics
practice_column: practice
capture: {{kind: postgres, dsn: "env:CLINICS_DSN", slot: {slot}, publication: practices}}
buckets: 2
giant_rows: 2000
append_rows: 1000
append_seconds: 1
steady: {{practices: 50, rows: 5000, lease_seconds: 30}}
backfill: {{practices: 5, rows: 1500, niceness: {niceness}}}
""",
    )
    write(folder, "environments", "practices", practices_environment())
    monkeypatch.setenv("CLINICS_DSN", source)
    monkeypatch.setenv("REGISTRY_DSN", registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
    office = Office(spark=spark, folder=folder, source=source, registry=registry.dsn, slot=slot)
    office.sql(*TABLES, *(f"ALTER TABLE {name} REPLICA IDENTITY FULL" for name in ("patients", "visits")))
    return office


def practices_environment() -> str:
    """`conf/environments/embedded.yaml` with a registry in PostgreSQL, sized for tests."""
    text = (ROOT / "conf" / "environments" / "embedded.yaml").read_text()
    for before, after in {
        "name: embedded": "name: practices",
        "driver_memory: 2g": f"driver_memory: 700m\n  jars: {ROOT}/.tools/jars",
        "registry: {kind: sqlite}": 'registry: {kind: postgres, dsn: "env:REGISTRY_DSN"}',
    }.items():
        assert before in text
        text = text.replace(before, after)
    return text


def write(folder: Path, kind: str, name: str, text: str) -> None:
    (folder / "conf" / kind).mkdir(exist_ok=True)
    (folder / "conf" / kind / f"{name}.yaml").write_text(text, "utf-8")
