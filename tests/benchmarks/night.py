"""A night of a thousand practices on a real Airflow: when they have their day, and who is named.

python -m tests.benchmarks.night --practices 1000

PostgreSQL, Airflow and the steady lane's application are started for it. Every practice has a new row of yesterday; one practice
hangs and one fails, so that the night lasts until its end. The board is looked at every five seconds: times are late by so much.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.dags.night_office import YESTERDAY, capture, drop, hang, make_night_office, prescriptions
from tests.end_to_end.practices_office import Office
from tests.servers.airflow import ENDED, AirflowServer, night_environment, start_airflow
from tests.servers.postgres import start_postgres
from tests.servers.processes import ROOT, kill_all, running
from tests.servers.receivers import WebhookReceiver, webhook_receiver

from wardlake.adapters.spark_session import start_session
from wardlake.pipelines.practices.night import PLAN

HANGS, FAILS = "hangs", "fails"
LOOK_SECONDS = 5.0
AFTERWARDS = 600.0  # seconds that the scheduler has for what comes after the night's end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--practices", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=20, help="that the night lasts at most")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="night-"))
    try:
        with ExitStack() as ends:
            print(json.dumps(measure(folder, arguments.practices, arguments.minutes, ends), indent=2))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, practices: int, minutes: float, ends: ExitStack) -> dict[str, Any]:
    spark = start_session("night", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf={"spark.driver.memory": "1g"})
    postgres = ends.enter_context(running(start_postgres))
    receiver = ends.enter_context(webhook_receiver())
    office = make_night_office(spark, postgres, folder, receiver.url)
    bring_on_board(office, [*(f"p{number:04}" for number in range(practices - 2)), HANGS, FAILS])
    environment = {**night_environment(folder), "WARDLAKE_NIGHT_DEADLINE_MINUTES": f"{minutes:.2f}"}
    server = ends.enter_context(running(lambda: start_airflow(postgres.fresh_database("airflow"), environment)))
    server.make_pools()
    server.let_run(PLAN.name)
    say("Airflow has read the night's DAG")
    happen(office, practices - 2)
    steady = office.start("work", "--lane", "steady")
    ends.callback(kill_all, steady)
    return watch(office, server, receiver, practices, minutes)


def bring_on_board(office: Office, names: list[str]) -> None:
    """With two rows each that they had a year ago."""
    drop(office, [row for name in names for row in prescriptions(name, 1, 2)], days_before=365)
    capture(office)
    office.ends_well("onboard", "--all", "--no-snapshot")
    office.ends_well("work", "--lane", "backfill", "--until-idle")
    hang(office)
    say(f"{len(names)} practices are on board")


def happen(office: Office, others: int) -> None:
    """Yesterday's rows are there, and captured."""
    drop(office, [row for number in range(others) for row in prescriptions(f"p{number:04}", 3)])
    drop(office, prescriptions(FAILS, 3, started="not a time"))
    capture(office)


def watch(office: Office, server: AirflowServer, receiver: WebhookReceiver, practices: int, minutes: float) -> dict[str, Any]:
    """The night as its board and the scheduler tell it; times in seconds since it was asked for."""
    begun = time.monotonic()
    run = server.trigger(PLAN.name, minutes=f"{minutes:.2f}")
    merged, fresh, last = 0.0, list[tuple[float, int]](), -1
    while (state := server.ask(f"dags/{PLAN.name}/dagRuns/{run}")["state"]) not in ENDED:
        if time.monotonic() - begun > minutes * 60 + AFTERWARDS:
            raise SystemExit(f"the night does not end: {server.tails()}")
        board = [each for each in office.board() if each["practice"] not in (HANGS, FAILS)]
        since = time.monotonic() - begun
        if not merged and not any(each["waiting_entries"] for each in board):
            merged = since
            say(f"all are merged after {since:.0f} s")
        have = sum(each["has"] == f"{YESTERDAY.day}" for each in board)
        if have != last:
            last = have
            fresh.append((round(since), have))
            say(f"{have} have their day after {since:.0f} s")
        time.sleep(LOOK_SECONDS)
    pages = [json.loads(each.body) for each in receiver.posted if b"at risk" in each.body]
    return {
        "practices": practices,
        "merged_after": round(merged),
        "have_their_day": fresh,
        "night_ended": state,
        "night_seconds": round(time.monotonic() - begun),
        "tasks": dict(Counter(f"{each['task_id']} {each['state']}" for each in tasks_of(server, run))),
        "paged": sorted({line.split(":")[0] for page in pages for line in page["lines"]}),
    }


def tasks_of(server: AirflowServer, run: str) -> list[dict[str, Any]]:
    """All of them: the scheduler answers by the hundred."""
    listed: list[dict[str, Any]] = []
    while True:
        answer = server.ask(f"dags/{PLAN.name}/dagRuns/{run}/taskInstances?limit=100&offset={len(listed)}")
        listed += answer["task_instances"]
        if len(listed) >= answer["total_entries"] or not answer["task_instances"]:
            return listed


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
