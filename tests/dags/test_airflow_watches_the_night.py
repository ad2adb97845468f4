"""A night of twenty practices on a real Airflow: one hangs, one fails, eighteen are on time, and one more comes on board.

The practice that hangs is held by an application that took its changes and never finished; the one that fails has a value that
is not of its column's type. Both lanes' applications are real processes; Airflow watches. The last test
kills it: no later file of this folder may need it.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.dags.night_office import YESTERDAY, capture, drop, hang, make_night_office, make_watch_office, prescriptions
from tests.end_to_end.practices_office import Office
from tests.servers.airflow import ENDED, AirflowServer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_all, runs
from tests.servers.receivers import Posted, WebhookReceiver, webhook_receiver
from tests.waiting import wait_until

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.night import PLAN, WAIT

DAG = PLAN.name
TIDY = "practices-tidy"
SMALL = [f"p{number:02}" for number in range(17)]
ON_TIME = sorted([*SMALL, "giant"])
TWENTY = sorted([*ON_TIME, "fails", "hangs"])
MANY = 3000
pytestmark = pytest.mark.timeout(3600)


@dataclass(frozen=True, kw_only=True)
class Night:
    """What was seen of it."""

    office: Office
    server: AirflowServer
    run: str
    state: str
    board: dict[str, dict[str, Any]]
    pages: list[Posted]
    giant: list[int]  # its rows that waited, at each look

    def instances(self, task: str) -> dict[str, dict[str, Any]]:
        return self.server.mapped(DAG, self.run, task)


@pytest.fixture(scope="module")
def night(
    spark: SparkSession, postgres_server: PostgresServer, airflow_server: AirflowServer, night_folder: Path
) -> Iterator[Night]:
    with webhook_receiver() as receiver:
        office = make_night_office(spark, postgres_server, night_folder, receiver.url)
        applications: list[subprocess.Popen[str]] = []
        begun = time.monotonic()
        try:
            come_on_board(office)
            hang(office)
            applications.append(office.start("work", "--lane", "steady"))
            happen(office)
            wait_until(lambda: is_through(office, *SMALL, "fails"))
            run = begin(airflow_server, seconds=60 + 4.5 * (time.monotonic() - begun))
            applications.append(office.start("work", "--lane", "backfill"))
            yield watch(office, airflow_server, run, receiver)
        finally:
            for each in applications:
                kill_all(each)


def come_on_board(office: Office) -> None:
    """Twenty practices with the rows that they had a year ago."""
    drop(office, [row for name in TWENTY for row in prescriptions(name, 1, 2)], days_before=365)
    capture(office)
    office.ends_well("onboard", "--all", "--no-snapshot")
    office.ends_well("work", "--lane", "backfill", "--until-idle")


def happen(office: Office) -> None:
    """Yesterday: everybody has a new row, one a bad one, and one so many that they are backfill."""
    drop(office, [row for name in SMALL for row in prescriptions(name, 3)])
    drop(office, prescriptions("fails", 3, started="not a time"))
    drop(office, prescriptions("giant", *range(3, MANY + 3)))
    capture(office)


def is_through(office: Office, *practices: str) -> bool:
    """Nothing of them waits that anybody would take."""
    found = [each for each in office.board() if each["practice"] in practices]
    return all(each["waiting_entries"] == 0 or each["standing"] != "ready" for each in found)


def begin(server: AirflowServer, *, seconds: float) -> str:
    """A night that is as long as this machine needs; its deadline is before the end of it. Its list is made when this returns."""
    server.make_pools()
    server.set_variable("night_deadline_seconds", round(seconds * 0.8))
    server.let_run(DAG)
    run = server.trigger(DAG, minutes=f"{seconds / 60:.2f}")
    assert wait_until(lambda: server.task_states(DAG, run)["enqueue"] in ENDED)
    return run


def watch(office: Office, server: AirflowServer, run: str, receiver: WebhookReceiver) -> Night:
    waiting = []
    begun = time.monotonic()
    while (state := server.ask(f"dags/{DAG}/dagRuns/{run}")["state"]) not in ENDED:
        assert time.monotonic() - begun < 3000, server.tails()
        waiting += [each["waiting_entries"] for each in office.board("--practice", "giant")]
        time.sleep(2)
    return Night(
        office=office,
        server=server,
        run=run,
        state=state,
        board={each["practice"]: each for each in office.board()},
        pages=receiver.posted,
        giant=waiting,
    )


def test_eighteen_practices_have_their_day(night: Night) -> None:
    day = f"{YESTERDAY.day}"
    assert {name: each["has"] for name, each in night.board.items()} == dict.fromkeys(TWENTY) | dict.fromkeys(ON_TIME, day)
    mart = DeltaTables(night.office.spark).read(f"{night.office.lake}/marts/clinics/prescriptions")
    counted = {row["practice_id"]: row[1] for row in mart.groupBy("practice_id").agg({"prescriptions": "sum"}).collect()}
    assert counted == dict.fromkeys(SMALL, 3) | {"giant": MANY + 2}


def test_their_marts_are_built_while_one_hangs(night: Night) -> None:
    commits = (night.office.lake / "marts" / "clinics" / "prescriptions" / "_delta_log").glob("*.json")
    given_up = datetime.fromisoformat(night.instances(WAIT[Lane.STEADY])["hangs"]["end_date"])
    assert min(each.stat().st_mtime for each in commits) < given_up.timestamp()


def test_the_scheduler_shows_by_practice_who_came_in_the_pool_of_its_lane(night: Night) -> None:
    steady, backfill = night.instances(WAIT[Lane.STEADY]), night.instances(WAIT[Lane.BACKFILL])
    assert {name: each["state"] for name, each in steady.items()} == dict.fromkeys(SMALL, "success") | dict.fromkeys(
        ("fails", "hangs"), "failed"
    )
    assert {name: each["state"] for name, each in backfill.items()} == {"giant": "success"}
    assert {each["pool"] for each in steady.values()} == {"steady"}
    assert {each["pool"] for each in backfill.values()} == {"backfill"}


def test_the_run_ends_failed_though_its_last_step_runs_whatever_happened(night: Night) -> None:
    assert (night.state, night.server.task_states(DAG, night.run)["freshness"]) == ("failed", "failed")


def test_one_page_names_the_two(night: Night) -> None:
    (late,) = alarms(night)
    page = json.loads(late.body)
    assert [line.split(":")[0] for line in page["lines"]] == ["fails", "hangs"]
    assert page["runbook"] == "docs/runbooks/practice-late.md"


def test_the_deadline_paged_before_the_last_step_began(night: Night) -> None:
    (late,) = alarms(night)
    began = datetime.fromisoformat(night.server.tasks(DAG, night.run)["freshness"]["start_date"])
    assert int(late.headers["Wardlake-Timestamp"]) < began.timestamp()


def alarms(night: Night) -> list[Posted]:
    return [each for each in night.pages if b"at risk" in each.body]


def test_backfill_moves_while_one_hangs(night: Night) -> None:
    assert len({*night.giant}) > 2
    assert night.giant[-1] == 0


def test_the_same_night_without_a_scheduler_names_the_two(night: Night) -> None:
    ended = night.office.run("night", "--minutes", "0.1")
    assert ended.code == 22
    assert (ended.answer["on_time"], sorted(ended.answer["late"])) == ([], ["fails", "hangs"])
    assert "an application has them" in ended.answer["late"]["hangs"]
    assert "prescriptions.started" in ended.answer["late"]["fails"]


def test_no_dag_file_fails_to_import(night: Night) -> None:
    assert night.server.ask("importErrors")["import_errors"] == []


def test_upkeep_is_a_run_of_its_own_that_writes_small_files_together(night: Night) -> None:
    tables, path = DeltaTables(night.office.spark), f"{night.office.lake}/raw/clinics/practices/tables/prescriptions"
    files, rows = len(tables.data_files(path)), night.office.rows("prescriptions")
    night.server.let_run(TIDY)
    run = night.server.trigger(TIDY)
    assert night.server.wait_for(TIDY, run, seconds=1500) == "success"
    assert len(tables.data_files(path)) < files
    assert night.office.rows("prescriptions") == rows


def test_the_watch_outlives_every_process_of_the_scheduler_and_pages_for_who_comes_to_be_at_risk(night: Night) -> None:
    office = make_watch_office(night.office)
    looked = office.folder / "board.prom"
    watch = office.start("freshness", "--watch", "--every", "1", "--metrics", str(looked))
    try:
        assert wait_until(looked.exists)
        killed = night.server.kill()
        assert len(killed) > len(night.server.processes)  # their children too
        assert wait_until(lambda: not any(map(runs, killed)))
        with pytest.raises(OSError, match="refused"):
            night.server.ask("version")
        come_late(night.office)
        assert wait_until(lambda: bool(pages_for("newcomer", night)))
        assert watch.poll() is None
    finally:
        kill_all(watch)
    (page,) = pages_for("newcomer", night)
    seen = f"has no marts, steady lane, merged to {YESTERDAY.utc:%Y-%m-%d %H:%M}, estimate \\d\\d:\\d\\d, "
    assert re.search(f"newcomer: at risk, due .* UTC, {seen}", "\n".join(page["lines"]))
    assert page["runbook"] == "docs/runbooks/practice-late.md"


def come_late(office: Office) -> None:
    """A practice is let in, and its next change cannot be merged: no run of a night knows of it."""
    drop(office, prescriptions("newcomer", 1))
    capture(office)
    office.ends_well("onboard", "--practice", "newcomer", "--no-snapshot")
    assert wait_until(lambda: is_steady(*office.board("--practice", "newcomer")))
    drop(office, prescriptions("newcomer", 2, started="not a time"))
    capture(office)


def is_steady(each: dict[str, Any]) -> bool:
    return each["lane"] == "steady" and each["waiting_entries"] == 0


def pages_for(practice: str, night: Night) -> list[dict[str, Any]]:
    pages = [json.loads(each.body) for each in alarms(night)]
    return [page for page in pages if any(line.startswith(f"{practice}: ") for line in page["lines"])]
