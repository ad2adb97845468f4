"""A part of the sample's practices from change files to marts, by the commands that people give."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.commands import Ended, command
from tests.end_to_end.part_of_sample import write_part
from tests.end_to_end.practices_office import ROOT, practices_environment, write
from tests.servers.postgres import PostgresServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.practices.marts.every import MARTS

DAY = "2024-06-30"  # the sample's records end in that year
NOBODYS = {"blood_pressure_control", "diabetes_control", "claims_ageing"}  # marts that have no row in this part of the sample
pytestmark = pytest.mark.usefixtures("as_in_production")


@dataclass(frozen=True, kw_only=True)
class Office:
    spark: SparkSession
    folder: Path

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def run(self, *words: str) -> Ended:
        return command("practices", *words, conf=self.folder / "conf", lake=self.lake, env="practices")

    def ends_well(self, *words: str) -> dict[str, Any]:
        ended = self.run(*words)
        assert ended.code == 0, ended.said
        return ended.answer

    def raw(self, table: str) -> DataFrame:
        return DeltaTables(self.spark).read(f"{self.lake}/raw/clinics/practices/tables/{table}").where("NOT wardlake_deleted")

    def mart(self, name: str) -> DataFrame:
        return DeltaTables(self.spark).read(f"{self.lake}/marts/clinics/{name}")

    def visits(self, practice: str) -> int:
        """Visits that the practice's mart counts."""
        return int(self.mart("visits").where(f"practice_id = '{practice}'").agg({"visits": "sum"}).first()[0])

    def version(self, name: str) -> int:
        return DeltaTables(self.spark).current_version(f"{self.lake}/marts/clinics/{name}")

    def drop(self, table: str, number: int, *rows: dict[str, str]) -> None:
        """A change file of a migration service."""
        names = list(rows[0])
        lines = [",".join(names), *(",".join(f'"{row[name]}"' if row[name] else "" for name in names) for row in rows)]
        folder = self.folder / ".lake" / "clinics" / "changes" / table
        (folder / f"load-{number:08}.csv").write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="module")
def office(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("marts")
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    text = (folder / "conf" / "practices" / "clinics.yaml").read_text()
    backfill = "backfill: {slots: 1, practices: 100, rows: 50000, niceness: 10}"
    assert backfill in text
    write(folder, "practices", "clinics", text.replace(backfill, "backfill: {practices: 1000, rows: 1000000, niceness: 0}"))
    write(folder, "environments", "practices", practices_environment())
    registry = postgres_server.fresh_database()
    migrate(registry.dsn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_DSN", registry.as_user(*postgres_server.new_role(member_of="wardlake_pipeline")).dsn)
        made = Office(spark=spark, folder=folder)
        made.ends_well("sample", "--source", f"synthea={write_part(folder / 'part')}")
        made.ends_well("capture", "--until-idle")
        made.ends_well("onboard", "--all", "--no-snapshot")
        made.ends_well("work", "--lane", "backfill", "--until-idle")
        yield made


@pytest.fixture(scope="module")
def built(office: Office) -> dict[str, Any]:
    return office.ends_well("marts", "--day", DAY)


def test_every_practice_has_its_partition_of_every_mart(office: Office, built: dict[str, Any]) -> None:
    practices = {row[0] for row in office.raw("encounters").select("wardlake_practice").distinct().collect()}
    assert len(practices) > 50
    assert built["built"] == dict.fromkeys(MARTS, len(practices))
    assert (built["failed"], built["left_out"], built["set_aside"]) == ({}, {}, [])
    assert not (office.lake / "restricted" / "pages.jsonl").exists()
    empty = set()
    for name, mart in MARTS.items():
        frame = office.mart(name)
        in_it = {row[0] for row in frame.select("practice_id").distinct().collect()}
        empty |= set() if in_it else {name}
        assert in_it <= practices
        assert frame.groupBy(*mart.grain).count().where("count > 1").isEmpty()
        assert office.version(name) == 0
    assert empty == NOBODYS


def test_totals_tie_to_the_raw_tables(office: Office, built: dict[str, Any]) -> None:
    until = f"< to_utc_timestamp(timestamp '{DAY}' + interval 1 day, 'America/New_York')"
    encounters = office.raw("encounters").where(f"START {until}")
    assert office.mart("visits").agg({"visits": "sum"}).first()[0] == encounters.count()
    medications = office.raw("medications").where(f"START {until}")
    assert office.mart("prescriptions").agg({"prescriptions": "sum"}).first()[0] == medications.count()
    payments = office.raw("claims_transactions").where(f"TYPE = 'PAYMENT' AND FROMDATE {until}")
    paid = payments.agg({"PAYMENTS": "sum"}).first()[0]
    assert paid > 0
    assert office.mart("revenue").agg({"paid": "sum"}).first()[0] == paid


def test_a_practice_s_partition_is_one_file(office: Office, built: dict[str, Any]) -> None:
    tables = DeltaTables(office.spark)
    for name in MARTS:
        files = Counter(Path(each.path).parent.name for each in tables.data_files(f"{office.lake}/marts/clinics/{name}"))
        assert set(files.values()) <= {1}
        assert files or name != "visits"


def test_only_practices_with_changes_are_built_again(office: Office, built: dict[str, Any]) -> None:
    again = office.ends_well("marts", "--day", DAY)
    assert (again["built"], again["unchanged"]) == ({}, sum(built["built"].values()))
    row = office.raw("encounters").orderBy("Id").first()
    told = {name: value for name, value in row.asDict().items() if not name.startswith("wardlake_")}
    whole = {name: "" if value is None else str(value) for name, value in told.items()}
    values = {**whole, "Id": "one-more", "START": "2020-02-02 15:00:00"}
    office.drop("encounters", 2, {"Op": "I", "change_seq": "90000001", "change_time": "2026-02-02T00:00:00Z", **values})
    office.ends_well("capture", "--until-idle")
    office.ends_well("work", "--lane", "steady", "--until-idle")
    before = office.visits(row["practice_id"])
    done = office.ends_well("marts", "--mart", "visits", "--day", DAY)
    assert done["built"] == {"visits": 1}
    assert office.version("visits") == 1
    assert office.visits(row["practice_id"]) == before + 1


def test_a_practice_that_cannot_be_built_keeps_what_it_had(
    office: Office, built: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardlake.pipelines.practices import marts
    from wardlake.practices.marts.visits import MART

    bad, good = sorted(row[0] for row in office.raw("encounters").select("wardlake_practice").distinct().collect())[:2]

    def doubled(records: Any) -> DataFrame:
        rows = MART.build(records)
        return rows.unionByName(rows.where(rows.practice_id == bad))

    broken = replace(MART, build=doubled)
    monkeypatch.setattr(marts, "MARTS", {"visits": broken})
    before = office.mart("visits").where(f"practice_id = '{bad}'").collect()
    ended = office.run("marts", "--mart", "visits", "--practice", bad, "--practice", good, "--again", "--day", DAY)
    assert (ended.code, ended.answer["built"], list(ended.answer["failed"])) == (22, {"visits": 1}, [bad])
    assert sorted(office.mart("visits").where(f"practice_id = '{bad}'").collect()) == sorted(before)
    pages = [json.loads(line) for line in (office.lake / "restricted" / "pages.jsonl").read_text().splitlines()]
    assert pages[-1]["title"].startswith(f"Practice {bad} keeps yesterday's visits")


def test_a_practice_that_is_set_aside_keeps_its_marts_also_where_it_is_named(office: Office, built: dict[str, Any]) -> None:
    """Some of its raw tables may hold its last changes, and others not."""
    aside = min(row[0] for row in office.mart("visits").select("practice_id").distinct().collect())
    queue = PostgresWorkQueue(os.environ["REGISTRY_DSN"], "clinics")
    queue.hold([aside], reason="a change without a key", tables=["encounters"])
    before = office.version("visits")
    ended = office.run("marts", "--mart", "visits", "--practice", aside, "--again", "--day", DAY)
    assert (ended.code, ended.answer["built"], ended.answer["set_aside"]) == (22, {}, [aside])
    assert f"{aside}: set aside" in ended.said
    every = office.ends_well("marts", "--mart", "visits", "--day", DAY)
    assert (every["built"], every["set_aside"]) == ({}, [aside])
    assert office.version("visits") == before
    assert queue.release([aside]) == [aside]


def test_a_mart_that_nobody_knows_is_refused(office: Office) -> None:
    ended = office.run("marts", "--mart", "nobody's")
    assert (ended.code, "No such mart" in ended.answer["error"]["what"]) == (2, True)
