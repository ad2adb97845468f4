"""Practices that share a database by change files, with one mart: small enough that a night of twenty takes two minutes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from pyspark.sql import SparkSession
from tests.clocks import where_it_is_noon
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
time_zone: {zone}
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
    """Noon of the day before the office was made, where its practices are: a long run is collected long before it gets here."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.zone = where_it_is_noon()
        self.at = datetime.now(ZoneInfo(self.zone)).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)

    @property
    def day(self) -> date:
        """As the practices have it."""
        return self.at.date()

    @property
    def utc(self) -> datetime:
        return self.at.astimezone(UTC)


YESTERDAY = _Yesterday()


def make_night_office(spark: SparkSession, postgres: PostgresServer, folder: Path, webhook: str) -> Office:
    """Configuration in `folder`, which a scheduler knows already, over a registry of its own; pages go to the webhook."""
    YESTERDAY.begin()
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=lambda at, names: [n for n in names if n.startswith("clinics")])
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    for kind in ("sources", "classification"):
        for file in (folder / "conf" / kind).glob("*.yaml"):
            file.unlink()
    write(folder, "sources", "clinics", SOURCE)
    write(folder, "classification", "clinics", CLASSIFICATION)
    write(folder, "practices", "clinics", practices_due(folder, "18:00"))
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    (folder / "registry.dsn").write_text(registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
    text = practices_environment().replace("env:REGISTRY_DSN", f"file:{folder}/registry.dsn")
    text = text.replace("pagers: [{kind: log}]", f"pagers: [{{kind: webhook, url: {webhook}}}]")
    write(folder, "environments", "practices", text)
    return Office(spark=spark, folder=folder, source="", registry=registry.dsn, slot="")


def practices_due(folder: Path, expected_by: str) -> str:
    return PRACTICES.format(folder=folder, expected_by=expected_by, zone=YESTERDAY.zone)


def make_watch_office(office: Office) -> Office:
    """The same practices and registry from a folder of its own, without a lake: who is ready is not at risk all day long."""
    folder = office.folder / "watch"
    shutil.copytree(office.conf, folder / "conf")
    write(folder, "practices", "clinics", practices_due(office.folder, "23:59:59") + "warn_hours: 0\n")
    return replace(office, folder=folder)


def prescriptions(practice: str, *numbers: int, started: str = "2026-01-05 09:00:00") -> list[str]:
    """Rows of new prescriptions."""
    return [f"{practice}-{number},{practice},{practice}-p,860975,Metformin,{started},1,1.50" for number in numbers]


def drop(office: Office, rows: Iterable[str], *, days_before: int = 0) -> None:
    """One change file of new rows that were committed yesterday, or some days before it."""
    at = YESTERDAY.utc - timedelta(days=days_before)
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
