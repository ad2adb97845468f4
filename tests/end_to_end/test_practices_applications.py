"""Capture and both lanes as processes of their own, all at once, beside a source that is being written; one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.end_to_end.practices_office import Office, make_office
from tests.servers.postgres import PostgresServer

A_MINUTE = 60.0
GIANT = "INSERT INTO visits SELECT n, 'giant', 1, 1, 'giant' FROM generate_series(10000, 15999) n"


@dataclass
class Story:
    """What was seen: seconds until a change was in the raw tables, and what the board said afterwards."""

    office: Office
    seconds: dict[str, float] = field(default_factory=dict)
    differs: str = "not compared"
    board: list[dict[str, Any]] = field(default_factory=list)
    died_while_merging: bool = False


@pytest.fixture(scope="module")
def story(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with pytest.MonkeyPatch.context() as patch:
        office = make_office(spark, postgres_server, tmp_path_factory.mktemp("practices"), patch)
        office.sql("INSERT INTO patients VALUES (1, 'north', 'Northman', '1970-01-01'), (2, 'giant', 'Large', '1980-01-01')")
        processes: dict[str, subprocess.Popen[str]] = {}
        try:
            yield tell(Story(office), processes)
        finally:
            for each in processes.values():
                kill(each)
            office.close()


def tell(story: Story, processes: dict[str, subprocess.Popen[str]]) -> Story:
    office = story.office
    office.ends_well("onboard", "--all")
    processes["capture"] = office.start("capture")
    for lane in ("steady", "backfill"):
        processes[lane] = office.start("work", "--lane", lane)
    wait_until(lambda: set(office.rows("patients")) == {1, 2}, 120)

    office.sql("INSERT INTO visits VALUES (1, 'north', 1, 1, 'small')")
    story.seconds["a change"] = wait_until(lambda: 1 in office.rows("visits", "north"), 120)
    office.sql(GIANT, "INSERT INTO visits VALUES (2, 'north', 1, 1, 'beside a giant')")
    story.seconds["a change beside a giant"] = wait_until(lambda: 2 in office.rows("visits", "north"), 120)

    office.sql(*(f"INSERT INTO visits VALUES ({n}, 'north', 1, {n}, 'killed')" for n in range(100, 140)))
    wait_until(lambda: any(each["being_merged"] for each in board(office) if each["practice"] == "north"), 60)
    kill(processes["steady"])
    story.died_while_merging = any(each["being_merged"] for each in board(office) if each["practice"] == "north")
    office.sql("UPDATE visits SET cost = 0 WHERE id BETWEEN 100 AND 119", "DELETE FROM visits WHERE id BETWEEN 120 AND 139")
    processes["steady"] = office.start("work", "--lane", "steady")
    wait_until(lambda: not any(each["waiting_entries"] for each in board(office)) and not office.differs(), 240)
    story.differs, story.board = office.differs(), board(office)
    return story


def board(office: Office) -> list[dict[str, Any]]:
    return office.board()


def wait_until(true: Callable[[], bool], seconds: float) -> float:
    """How long it took; the caller's tests say what is wrong where it never came true."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds and not true():
        time.sleep(0.2)
    return time.monotonic() - begun


def kill(process: subprocess.Popen[str]) -> None:
    """The process and its JVM, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_change_is_seen_within_a_minute(story: Story) -> None:
    assert story.seconds["a change"] < A_MINUTE


def test_a_giant_holds_nobody_up(story: Story) -> None:
    assert story.seconds["a change beside a giant"] < A_MINUTE


def test_an_application_that_dies_while_it_merges_leaves_its_group_to_the_next(story: Story) -> None:
    assert story.died_while_merging
    assert story.differs == ""
    assert [(each["practice"], each["standing"], each["waiting_entries"]) for each in story.board] == [
        ("giant", "ready", 0),
        ("north", "ready", 0),
    ]


def test_a_second_capture_is_refused_while_the_first_one_runs(story: Story) -> None:
    assert story.office.run("capture", "--until-idle").code == 21
