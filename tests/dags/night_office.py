"""Practices that share a database by change files, with one mart: small enough that a night of twenty takes two minutes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path

from pyspark.sql import SparkSession
from tests.end_to_end.practices_office import ROOT, Office, practices_environment, write
from tests.servers.postgres import PostgresServer

from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.model.practices import Lane, LaneSpec

SOURCE = """\
name: clinics
kind: parquet
location: changes
schema_version: "1"
patients: prescriptions
contracts: false
tables:
  prescriptions:
    primary_key: [id]
    patient: patient
    types:
      id: string
      practice: string
      patient: string
      code: string
      drug: string
      started: timestamp
      dispenses: bigint
      cost: decimal(18,2)
"""
CLASSIFICATION = """\
source: clinics
profile: expert
token_mode: keyed
tables:
  prescriptions:
    id: {sensitive: {rule: token, domain: prescription}, kind: unique_code}
    practice: safe
    patient: {sensitive: {rule: token, domain: patient}, kind: mrn}
    code: safe
    drug: safe
    started: {sensitive: {rule: date_shift}, kind: date}
    dispenses: safe
    cost: safe
"""
PRACTICES = """\
name: clinics
practice_column: practice
capture: {{kind: files, folder: {folder}/changes, heartbeat: heartbeat, late_minutes: 0}}
buckets: 2
giant_rows: 2000
append_rows: 1000
append_seconds: 1
expected_by: "{expected_by}"
steady: {{slots: 2, practices: 50, rows: 5000, lease_seconds: 3600}}
backfill: {{practices: 50, rows: 1000, niceness: 0}}
records:
  prescriptions:
    table: prescriptions
    columns:
      patient_id: patient
      code: code
      description: drug
      started_at: started
      dispenses: dispenses
      total_cost: cost
"""
HEADER = "Op,change_seq,change_time,id,practice,patient,code,drug,started,dispenses,cost"
_numbers = count(1)


class _Yesterday:
    """A moment of the day before the office was made: a long run is collected before midnight and gets here after."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._at = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(9), UTC)

    def replace(self, **fields: int) -> datetime:
        return self._at.replace(**fields)

    def __format__(self, how: str) -> str:
        return format(self._at, how)


YESTERDAY = _Yesterday()


def make_night_office(spark: SparkSession, postgres: PostgresServer, folder: Path, webhook: str) -> Office:
    """Configuration in `folder`, which a scheduler knows already, over a registry of its own; pages go to the webhook."""
    YESTERDAY.begin()
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=lambda at, names: [n for n in names if n.startswith("clinics")])
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    for kind in ("sources", "classification"):
        for file in (folder / "conf" / kind).glob("*.yaml"):
            file.unlink()
    expected_by = f"{datetime.now(UTC) + timedelta(hours=6):%H:%M:%S}"
    write(folder, "sources", "clinics", SOURCE)
    write(folder, "classification", "clinics", CLASSIFICATION)
    write(folder, "practices", "clinics", PRACTICES.format(folder=folder, expected_by=expected_by))
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    (folder / "registry.dsn").write_text(registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
    text = practices_environment().replace("env:REGISTRY_DSN", f"file:{folder}/registry.dsn")
    text = text.replace("pagers: [{kind: log}]", f"pagers: [{{kind: webhook, url: {webhook}}}]")
    write(folder, "environments", "practices", text)
    return Office(spark=spark, folder=folder, source="", registry=registry.dsn, slot="")


def make_watch_office(office: Office) -> Office:
    """The same practices and registry from a folder of its own, without a lake: who is ready is not at risk all day long."""
    folder = office.folder / "watch"
    shutil.copytree(office.conf, folder / "conf")
    write(folder, "practices", "clinics", PRACTICES.format(folder=office.folder, expected_by="23:59:59") + "warn_hours: 0\n")
    return replace(office, folder=folder)


def prescriptions(practice: str, *numbers: int, started: str = "2026-01-05 09:00:00") -> list[str]:
    """Rows of new prescriptions."""
    return [f"{practice}-{number},{practice},{practice}-p,860975,Metformin,{started},1,1.50" for number in numbers]


def drop(office: Office, rows: Iterable[str], *, at: datetime | _Yesterday = YESTERDAY) -> None:
    """One change file of new rows that were committed at a moment."""
    lines = [f"I,{next(_numbers)},{at:%Y-%m-%dT%H:%M:%SZ},{row}" for row in rows]
    folder = office.folder / "changes" / "prescriptions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"load-{next(_numbers):08}.csv").write_text("\n".join([HEADER, *lines]) + "\n", "utf-8")


def beat(office: Office) -> None:
    """The service lives, and all that was committed by now is dropped."""
    folder = office.folder / "changes" / "heartbeat"
    folder.mkdir(exist_ok=True)
    number = next(_numbers)
    text = f"Op,change_seq,change_time\nU,{number},{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n"
    (folder / f"{number:08}.csv").write_text(text, "utf-8")


def capture(office: Office) -> None:
    beat(office)
    office.ends_well("capture", "--until-idle")


def hang(office: Office) -> None:
    """An application takes `hangs`, which alone has changes, and is not heard of again."""
    drop(office, prescriptions("hangs", 3))
    capture(office)
    taken = PostgresWorkQueue(office.registry, "clinics").take(Lane.STEADY, LaneSpec(slots=2, lease_seconds=3600))
    assert taken is not None
    assert [piece.practice for piece in taken.pieces] == ["hangs"]
