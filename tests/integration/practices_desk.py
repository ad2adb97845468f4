"""The practices of change files with a real queue and real tables, in one process: what commands call, without the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.end_to_end.practices_office import ROOT, practices_environment, write
from tests.servers.postgres import PostgresServer

from wardlake.adapters.postgres_database import migrate
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.capture import Captured, capture
from wardlake.pipelines.practices.ingest import Merged, work
from wardlake.pipelines.practices.marts import build_marts
from wardlake.pipelines.practices.onboard import onboard
from wardlake.pipelines.practices.opening import Practices, open_practices
from wardlake.ports.registry import Registry
from wardlake.ports.tables import Tables
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring

Change = tuple[str, Mapping[str, str | None]]  # what was done, and the row

AT = "2024-01-31T08:00:00Z"
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
    types: {id: bigint, practice: string, last_name: string, born: date, died: date, sex: string}
  visits:
    primary_key: [id]
    patient: patient
    references: [{columns: [patient], table: patients, to: [id]}]
    types: {id: bigint, practice: string, patient: bigint, started: timestamp, ended: timestamp, kind: string, note: string}
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
    died: {sensitive: {rule: date_shift}, kind: date}
    sex: safe
  visits:
    id: {sensitive: {rule: token, domain: visit}, kind: unique_code}
    practice: safe
    patient: {sensitive: {rule: token, domain: patient}, kind: mrn}
    started: {sensitive: {rule: date_shift}, kind: date}
    ended: {sensitive: {rule: date_shift}, kind: date}
    kind: safe
    note: {sensitive: {rule: drop}}
"""
SPEC = """\
name: clinics
practice_column: practice
capture: {{kind: files, folder: {folder}, heartbeat: heartbeat, late_minutes: 0}}
buckets: 2
append_seconds: 1
steady: {{practices: 50, rows: 5000}}
backfill: {{practices: 5, rows: 1500, niceness: 0}}
records:
  patients: {{table: patients, columns: {{patient_id: id, born_on: born, died_on: died, sex: sex}}}}
  visits:
    table: visits
    columns: {{visit_id: id, patient_id: patient, started_at: started, ended_at: ended, visit_class: kind, code: kind}}
"""


def patient(operation: str, key: int, practice: str | None, name: str = "Doe") -> Change:
    return operation, {"id": str(key), "practice": practice, "last_name": name, "born": "1970-01-01", "died": None, "sex": "F"}


def visit(
    operation: str, key: int, practice: str | None, note: str | None = None, *, of: int | str = 1, kind: str = "wellness"
) -> Change:
    times = {"started": "2024-01-05 10:00:00", "ended": "2024-01-05 10:30:00"}
    return operation, {"id": str(key), "practice": practice, "patient": str(of), **times, "kind": kind, "note": note}


@dataclass(kw_only=True)
class Desk:
    spark: SparkSession
    folder: Path
    registry: str
    practices: Practices
    position: int = 0

    @property
    def dropped(self) -> Path:
        return self.folder / "dropped"

    def drop(self, place: str, *rows: Change) -> Path:
        """A change file; positions grow with every row dropped."""
        lines = [",".join(("Op", "change_seq", "change_time", *rows[0][1]))]
        for operation, values in rows:
            self.position += 1
            cells = ["" if value is None else f'"{value}"' for value in values.values()]
            lines.append(",".join((operation, str(self.position), AT, *cells)))
        return self.drop_text(place, "".join(f"{line}\n" for line in lines))

    def beat(self, at: datetime | None = None) -> Path:
        """The service lives, and all that was committed by then, or now, is dropped."""
        self.position += 1
        moment = (at or datetime.now(UTC)).isoformat()
        return self.drop_text(f"heartbeat/{self.position:08}", f"Op,change_seq,change_time\nU,{self.position},{moment}\n")

    def drop_text(self, place: str, text: str) -> Path:
        path = self.dropped / f"{place}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def capture(self) -> Captured:
        return capture(self.practices, until_idle=True, told=str)

    def let_in(self, *names: str) -> None:
        onboard(self.practices, names, every=False, snapshot=False, new_slot=False, told=str)

    def work(self, *lanes: Lane) -> Merged:
        for lane in lanes or (Lane.BACKFILL, Lane.STEADY):
            done = work(self.practices, lane, until_idle=True, told=str)
        return done

    def ingest(self) -> Merged:
        """Of practices that have caught up."""
        self.capture()
        return self.work(Lane.STEADY)

    def marts(self, *names: str, only: tuple[str, ...] = ("visits",), again: bool = False) -> Mapping[str, Any]:
        return build_marts(self.practices, names, only=only, again=again, day=date(2024, 1, 31), told=str)

    def mart(self, name: str) -> Any:
        ports = self.practices.ports
        return ports.tables.read(ports.layout.mart("clinics", name))

    def mart_practices(self, name: str) -> set[str]:
        return {row["practice_id"] for row in self.mart(name).select("practice_id").distinct().collect()}

    def table(self, name: str) -> Any:
        ports = self.practices.ports
        return ports.tables.read(ports.layout.practice_table("clinics", name))

    def rows(self, table: str, practice: str) -> dict[int, Any]:
        found = self.table(table).where("NOT wardlake_deleted").where(f"wardlake_practice = '{practice}'").collect()
        return {row["id"]: row for row in found}

    def notes(self, practice: str) -> dict[int, str | None]:
        """Of visits that are there."""
        return {key: row["note"] for key, row in self.rows("visits", practice).items()}

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Details of audit records of a kind."""
        bodies = [json.loads(entry.body) for entry in self.practices.ports.audit_sink.records()]
        return [body["event"]["details"] for body in bodies if body["event"]["kind"] == kind]

    def standing(self, practice: str) -> tuple[str, str]:
        (state,) = self.practices.queue.states([practice])
        return state.standing.value, state.reason

    def pages(self) -> list[dict[str, Any]]:
        file = self.folder / "lake" / "restricted" / "pages.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.registry, autocommit=True) as opened:
            opened.execute(statement.encode())

    def reopened(self, *, buckets: int = 2, **columns: str) -> Practices:
        """The practices with these types of columns of visits, or so many buckets, in conf."""
        raw = dict(self.practices.admission.raw)
        raw["visits"] = replace(raw["visits"], columns={**raw["visits"].columns, **columns}, buckets=buckets)
        return replace(self.practices, admission=replace(self.practices.admission, raw=raw))


def cells(desk: Desk) -> str:
    """Every cell of every file of the lake's tables, live or not, and their logs as they are."""
    found = []
    for zone in ("raw", "marts"):
        for file in (desk.folder / "lake" / zone).rglob("*"):
            if file.suffix == ".parquet":
                found.append(str(pq.read_table(file, partitioning=None).to_pydict()))
            elif file.suffix == ".json":
                found.append(file.read_text("utf-8"))
    return "".join(found)


class Meanwhile:
    """The registry as it is, but somebody else does something before a lock is given, once."""

    def __init__(self, registry: Registry, lock: str, act: Callable[[], object]) -> None:
        self._registry, self._lock, self._act = registry, lock, [act]

    def lock(self, name: str, *, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
        if name == self._lock and self._act:
            self._act.pop()()
        return self._registry.lock(name, wait_seconds=wait_seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


class OwnMemory:
    """Tables as a process of its own reads them: what it read stays as it was. One session would cache it anew at each write."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def read(self, path: str, version: int | None = None) -> DataFrame:
        rows = self._tables.read(path, version)
        return self._tables.spark.createDataFrame(rows.collect(), rows.schema)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)


def meanwhile(practices: Practices, lock: str, act: Callable[[], object]) -> Practices:
    """The practices at the desk of somebody who comes to wait for a lock, and `act` is done by another before it is given."""
    assert isinstance(practices.ports, Wiring)
    other = replace(practices.ports)
    other.__dict__["registry"] = Meanwhile(practices.ports.registry, lock, act)  # as the cached ports
    other.__dict__["tables"] = OwnMemory(practices.ports.tables)
    return replace(practices, ports=other)


@contextmanager
def make_desk(
    spark: SparkSession, postgres: PostgresServer, folder: Path, *, classification: str = CLASSIFICATION
) -> Iterator[Desk]:
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    shutil.copytree(ROOT / "conf", folder / "conf")
    for kind in ("sources", "classification", "practices"):
        for file in (folder / "conf" / kind).glob("*.yaml"):
            file.unlink()
    write(folder, "sources", "clinics", SOURCE)
    write(folder, "classification", "clinics", classification)
    write(folder, "practices", "clinics", SPEC.format(folder=folder / "dropped"))
    write(folder, "environments", "practices", practices_environment())
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    (folder / "dropped").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_DSN", registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
        settings = load_settings(folder / "conf", "practices", today=today())
        ports = Wiring(environment=settings.environment, lake=str(folder / "lake"), root=settings.root, session=lambda: spark)
        practices = open_practices(settings, ports, "clinics")
        yield Desk(spark=spark, folder=folder, registry=registry.dsn, practices=practices)


@dataclass
class SetClock:
    """A clock that is so far from the system's."""

    ahead: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def with_clock(practices: Practices, ahead: timedelta) -> Practices:
    """The same by another machine's clock."""
    ports = practices.ports
    assert isinstance(ports, Wiring)
    other = replace(ports)
    other.__dict__["clock"] = SetClock(ahead)  # as the cached port
    return replace(practices, ports=other)
