"""Capture and both lanes as processes of their own, all at once, beside a source that is being written; one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest
from pyspark.sql import SparkSession
from tests.end_to_end.practices_office import Office, make_office
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_all
from tests.waiting import PATIENTLY, wait_until

pytestmark = pytest.mark.timeout(2400)

GIANT_ROWS = 6000
GIANT = f"INSERT INTO visits SELECT n, 'giant', 1, 1, 'giant' FROM generate_series(10000, {10000 + GIANT_ROWS - 1}) n"


@dataclass
class Story:
    """What was seen while the applications ran, and what the board said afterwards."""

    office: Office
    alive_when_seen: bool = False
    merged_beside_a_giant: datetime | None = None
    pieces_of_the_giant: list[datetime] = field(default_factory=list)
    differs: str = "not compared"
    board: list[dict[str, Any]] = field(default_factory=list)
    died_while_merging: bool = False
    told_twice: int = 0
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        office = make_office(spark, postgres_server, tmp_path_factory.mktemp("practices"), patch, niceness=10)
        office.sql("INSERT INTO patients VALUES (1, 'north', 'Northman', '1970-01-01'), (2, 'giant', 'Large', '1980-01-01')")
        begun = Story(office)
        try:
            yield tell(begun)
        finally:
            for each in begun.processes.values():
                kill_all(each)
            office.close()


def tell(story: Story) -> Story:
    office, processes = story.office, story.processes
    office.ends_well("onboard", "--all")
    processes["capture"] = office.start("capture")
    for lane in ("steady", "backfill"):
        processes[lane] = office.start("work", "--lane", lane)
    wait_until(lambda: set(office.rows("patients")) == {1, 2})

    office.sql("INSERT INTO visits VALUES (1, 'north', 1, 1, 'small')")
    seen = wait_until(lambda: 1 in office.rows("visits", "north"))
    story.alive_when_seen = seen and all(each.poll() is None for each in processes.values())
    office.sql(GIANT, "INSERT INTO visits VALUES (2, 'north', 1, 1, 'beside a giant')")
    wait_until(lambda: len(office.rows("visits", "giant")) == GIANT_ROWS and 2 in office.rows("visits", "north"))
    story.merged_beside_a_giant = office.rows("visits", "north")[2]["wardlake_merged_at"]
    story.pieces_of_the_giant = sorted({row["wardlake_merged_at"] for row in office.rows("visits", "giant").values()})

    with nothing_enqueued(office):
        before = log_versions(office)
        office.sql("INSERT INTO visits VALUES (3, 'north', 1, 1, 'told twice')")
        wait_until(lambda: log_versions(office) > before)
        kill_all(processes["capture"])  # what it appended, nobody waits for, and the source was not told to forget
    processes["capture"] = restarted(office, "capture")
    wait_until(lambda: 3 in office.rows("visits", "north"))
    story.told_twice = office.told_twice()

    office.sql(*(f"INSERT INTO visits VALUES ({n}, 'north', 1, {n}, 'killed')" for n in range(100, 140)))
    kill_while(lambda: is_merged(office, "north"), processes["steady"], PATIENTLY)
    story.died_while_merging = is_merged(office, "north")
    office.sql("UPDATE visits SET cost = 0 WHERE id BETWEEN 100 AND 119", "DELETE FROM visits WHERE id BETWEEN 120 AND 139")
    processes["steady"] = office.start("work", "--lane", "steady")
    wait_until(lambda: not any(each["waiting_entries"] for each in board(office)) and not office.differs())
    story.differs, story.board = office.differs(), board(office)
    return story


def board(office: Office) -> list[dict[str, Any]]:
    return office.board()


@contextmanager
def nothing_enqueued(office: Office) -> Iterator[None]:
    """The queue of the source's practices is taken, as by somebody who enqueues at the time."""
    with psycopg.connect(office.registry) as opened:
        opened.execute("SELECT pg_advisory_xact_lock(hashtextextended('wardlake.practices:clinics', 0))")
        yield


def log_versions(office: Office) -> int:
    return len(list((office.lake / "raw" / "clinics" / "practices" / "change_log" / "_delta_log").glob("*.json")))


def is_merged(office: Office, practice: str) -> bool:
    return any(each["being_merged"] for each in board(office) if each["practice"] == practice)


def restarted(office: Office, *words: str) -> subprocess.Popen[str]:
    """Started again until it reads the slot, as a service would: what the one before held may not be free yet."""
    wait_until(lambda: not office.is_captured())
    deadline = time.monotonic() + PATIENTLY
    process = office.start(*words)
    while not office.is_captured() and time.monotonic() < deadline:
        if process.poll() is not None:
            process = office.start(*words)
        time.sleep(0.2)
    return process


def shorter(office: Office, *, merge_seconds: int) -> None:
    spec = office.conf / "practices" / "clinics.yaml"
    text = spec.read_text("utf-8")
    assert "steady: {" in text
    spec.write_text(text.replace("steady: {", f"steady: {{merge_seconds: {merge_seconds}, "), "utf-8")


def kill_while(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float) -> None:
    """It stands still while it is looked at: what is seen then is what it dies at."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds and process.poll() is None:
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.1)  # what it told the database last is done
        if true():
            break
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.2)
    kill_all(process)


def test_a_change_is_seen_while_the_applications_run(story: Story) -> None:
    assert story.alive_when_seen


def test_a_giant_holds_nobody_up(story: Story) -> None:
    """Who committed after it is merged before the last of its pieces."""
    assert len(story.pieces_of_the_giant) > 1
    assert story.merged_beside_a_giant is not None
    assert story.merged_beside_a_giant < story.pieces_of_the_giant[-1]


def test_an_application_that_dies_while_it_merges_leaves_its_group_to_the_next(story: Story) -> None:
    assert story.died_while_merging
    assert story.differs == ""
    assert [(each["practice"], each["standing"], each["waiting_entries"]) for each in story.board] == [
        ("giant", "ready", 0),
        ("north", "ready", 0),
    ]


def test_a_capture_that_dies_between_the_log_and_the_queue_tells_again_what_is_merged_once(story: Story) -> None:
    assert story.told_twice > 0
    assert story.differs == ""


def test_a_second_capture_is_refused_while_the_first_one_runs(story: Story) -> None:
    assert story.office.run("capture", "--until-idle").code == 21


def test_an_application_whose_merge_hangs_ends_itself_and_says_whose_it_was(story: Story) -> None:
    """The store answers no more: files of the table open, and never give a byte."""
    office = story.office
    for each in ("steady", "backfill"):
        kill_all(story.processes[each])
    shorter(office, merge_seconds=90)
    office.sql("UPDATE visits SET note = 'hangs' WHERE id = 1")
    wait_until(lambda: any(each["waiting_entries"] for each in board(office)))
    for file in (office.lake / "raw" / "clinics" / "practices" / "tables" / "visits").rglob("*.parquet"):
        file.unlink()
        os.mkfifo(file)
    hung = office.start("work", "--lane", "steady")
    try:
        assert hung.wait(timeout=1200) == 22
    finally:
        kill_all(hung)
    (page,) = [page for page in office.pages() if "did not end in its time" in page["title"]]
    assert page["lines"] == ["lane steady", "visits", "north"]
