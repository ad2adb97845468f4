"""The watch as a process of its own: it needs the queue alone, and pages for practices whose run never began."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.servers.postgres import Database, PostgresServer
from tests.waiting import wait_until

from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.model.practices import Lane, LaneSpec
from wardlake.pipelines.practices.erased import UNFINISHED
from wardlake.pipelines.practices.pace import remember_pace
from wardlake.ports.work_queue import Arrived

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "wardlake"
RUNBOOKS = ("docs/runbooks/capture-stopped.md", "docs/runbooks/erasure-unfinished.md")


@dataclass(frozen=True, kw_only=True)
class Lab:
    folder: Path
    database: Database
    queue: PostgresWorkQueue

    def command(self, *words: str) -> list[str]:
        flags = ["--conf", str(self.folder / "conf"), "--lake", str(self.folder / "lake"), "--env", "watched"]
        return [str(PROGRAM), "practices", "freshness", *words, *flags]

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "REGISTRY_DSN": self.database.dsn}

    def look(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), env=self.environment(), capture_output=True, text=True, check=False)

    def expect_at(self, moment: datetime) -> None:
        """Every practice expects its marts by that minute, by the clock of UTC."""
        text = (ROOT / "conf" / "practices" / "clinics.yaml").read_text()
        text = text.replace("time_zone: America/New_York", f'time_zone: UTC\nexpected_by: "{moment:%H:%M:%S}"\nwarn_hours: 0.5')
        (self.folder / "conf" / "practices" / "clinics.yaml").write_text(text)

    def pages(self) -> list[dict[str, Any]]:
        file = self.folder / "lake" / "restricted" / "pages.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def lab(own_postgres: PostgresServer, tmp_path: Path) -> Lab:
    database = own_postgres.fresh_database()
    migrate(database.dsn)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    text = (tmp_path / "conf" / "environments" / "embedded.yaml").read_text()
    text = text.replace("name: embedded", "name: watched").replace("{kind: sqlite}", '{kind: postgres, dsn: "env:REGISTRY_DSN"}')
    (tmp_path / "conf" / "environments" / "watched.yaml").write_text(text)
    queue = PostgresWorkQueue(database.dsn, "clinics")
    queue.onboard(["quiet", "busy"], Lane.STEADY)
    for day, rows in ((30, 3), (31, 7)):  # the first is merged, at a pace that gives the second two hours
        moment = datetime(2026, 1, day, 8, tzinfo=UTC)
        queue.enqueue(queue.next_batch(), {"busy": Arrived(rows=rows, committed_at=moment)}, giant_rows=10**6)
        if day == 30:
            lease = queue.take(Lane.STEADY, LaneSpec())
            assert lease is not None
            assert queue.complete(lease, lease.pieces, small_rows=0)
    remember_pace(PostgresRegistry(database.dsn), "clinics", Lane.STEADY, 7, 7000.0)
    return Lab(folder=tmp_path, database=database, queue=queue)


def test_practices_without_a_run_are_paged_for_once_before_and_once_after_their_time(
    lab: Lab, own_postgres: PostgresServer
) -> None:
    due = datetime.now(UTC) + timedelta(seconds=75)
    if due.date() != datetime.now(UTC).date():  # a morning that is expected after midnight is tomorrow's
        time.sleep(80)
        due = datetime.now(UTC) + timedelta(seconds=75)
    lab.expect_at(due)
    with (lab.folder / "watch.log").open("w") as log:
        words = [
            "--watch",
            "--every",
            "0.5",
            "--html",
            str(lab.folder / "board.html"),
            "--metrics",
            str(lab.folder / "board.prom"),
        ]
        watch = subprocess.Popen(lab.command(*words), env=lab.environment(), stdout=log, stderr=log)
    try:
        assert wait_until(lambda: len(lab.pages()) == 1, 70)
        (risk,) = lab.pages()
        assert risk["title"] == "0 practices of clinics are late, 2 at risk"
        assert [line.split(":")[0] for line in risk["lines"]] == ["busy", "quiet"]
        busy, quiet = risk["lines"]
        ready = [datetime.now(UTC) + timedelta(seconds=7000, minutes=minutes) for minutes in (-1, 0, 1)]
        assert any(f"steady lane, merged to 2026-01-30 08:00, estimate {each:%H:%M}" in busy for each in ready)
        assert "steady lane, nothing merged yet, estimate" in quiet
        assert wait_until(lambda: len(lab.pages()) == 2)
        assert lab.pages()[1]["title"] == "2 practices of clinics are late, 0 at risk"
        board = lab.folder / "board.prom"
        assert wait_until(lambda: 'freshness="late"} 2' in board.read_text())  # people are paged first
        page = (lab.folder / "board.html").read_text()
        assert "busy" in page
        assert "<script" not in page
        began = datetime.now(UTC)
        own_postgres.stop()
        assert wait_until(lambda: len(lab.pages()) >= 3)
        assert "is not known" in lab.pages()[2]["title"]
        time.sleep(2)  # looks that find it away still
        own_postgres.start()
        board.unlink()
        assert wait_until(board.exists)  # it looks again
        assert watch.poll() is None
        told = [page["title"] for page in lab.pages()]
        assert told[:2] == ["0 practices of clinics are late, 2 at risk", "2 practices of clinics are late, 0 at risk"]
        assert all("is not known" in each for each in told[2:])
        assert len(told) == 3 or (len(told) == 4 and datetime.now(UTC).hour != began.hour)  # that is told once an hour
    finally:
        watch.send_signal(signal.SIGKILL)
        watch.wait()


def test_the_watch_pages_a_silent_capture_and_an_erasure_that_nobody_finished(lab: Lab) -> None:
    long_ago = datetime(2026, 1, 30, 8, tzinfo=UTC)
    lab.queue.caught_up(long_ago)
    erasure = {"practices": ["busy"], "rows": {}, "key_version": 1, "at": long_ago.isoformat()}
    PostgresRegistry(lab.database.dsn).put(UNFINISHED, "clinics/known-by-a-hash", erasure)
    with (lab.folder / "watch.log").open("w") as log:
        watch = subprocess.Popen(lab.command("--watch", "--every", "0.5"), env=lab.environment(), stdout=log, stderr=log)
    try:
        assert wait_until(lambda: {*RUNBOOKS} <= {page["runbook"] for page in lab.pages()})
    finally:
        watch.send_signal(signal.SIGKILL)
        watch.wait()
    found = {page["runbook"]: page["lines"] for page in lab.pages()}
    assert found["docs/runbooks/erasure-unfinished.md"] == ["tried 2026-01-30 08:00 UTC: busy"]


def test_the_board_says_who_is_late_and_ends_with_22(lab: Lab) -> None:
    lab.expect_at(datetime(2026, 1, 1, 0, 0, tzinfo=UTC))
    ended = lab.look("--json")
    board = json.loads(ended.stdout)
    assert ended.returncode == 22
    assert {each["practice"]: (each["freshness"], each["waiting_entries"]) for each in board["practices"]} == {
        "busy": ("late", 7),
        "quiet": ("late", 0),
    }
    for built in ("busy", "quiet"):
        document = {name: {"day": "9999-01-01", "merges": 1, "whole": "9999-01-01"} for name in _marts()}
        with psycopg.connect(lab.database.dsn) as opened:
            opened.execute(
                "INSERT INTO wardlake.documents (collection, key, document) VALUES ('practice-marts', %s, %s)",
                [f"clinics/{built}", json.dumps(document)],
            )
    fine = lab.look()
    assert fine.returncode == 0
    assert [line.split()[0] for line in fine.stdout.splitlines()] == ["fresh", "fresh"]


def _marts() -> list[str]:
    from wardlake.practices.marts.every import MARTS

    return list(MARTS)
