"""The night's steps over a queue without a lake: listing, waiting and naming ask PostgreSQL alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.clocks import where_it_is_noon
from tests.commands import Ended, command
from tests.integration.practices_desk import make_desk, visit
from tests.servers.postgres import Database, PostgresServer

from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.model.practices import Lane, LaneSpec, Standing
from wardlake.pipelines.practices.night_steps import BUILDING, build_rounds, enqueue
from wardlake.ports.work_queue import Arrived

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "wardlake"
A_WHILE_AGO = datetime.now(UTC) - timedelta(days=3)


@dataclass(frozen=True, kw_only=True)
class Lab:
    folder: Path
    database: Database

    def night(self, *words: str) -> Ended:
        conf, lake = self.folder / "conf", self.folder / "lake"
        return command("practices", "night", *words, conf=conf, lake=lake, env="watched")

    def pages(self) -> list[dict[str, Any]]:
        file = self.folder / "lake" / "restricted" / "pages.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture(scope="module")
def lab(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`aside` has a change that its type refuses, `behind` one that nobody took; `large` is backfill."""
    folder, database = tmp_path_factory.mktemp("night"), postgres_server.fresh_database()
    migrate(database.dsn)
    shutil.copytree(ROOT / "conf", folder / "conf")
    text = (folder / "conf" / "environments" / "embedded.yaml").read_text()
    text = text.replace("name: embedded", "name: watched").replace("{kind: sqlite}", '{kind: postgres, dsn: "env:REGISTRY_DSN"}')
    (folder / "conf" / "environments" / "watched.yaml").write_text(text)
    spec = folder / "conf" / "practices" / "clinics.yaml"
    assert "time_zone: America/New_York\n" in spec.read_text()
    spec.write_text(spec.read_text().replace("time_zone: America/New_York\n", f"time_zone: {where_it_is_noon()}\n"))
    queue = PostgresWorkQueue(database.dsn, "clinics")
    queue.onboard(["aside", "behind"], Lane.STEADY)
    queue.onboard(["large"], Lane.BACKFILL)
    queue.enqueue(queue.next_batch(), {"aside": Arrived(rows=1, committed_at=A_WHILE_AGO)}, giant_rows=10**6)
    taken = queue.take(Lane.STEADY, LaneSpec())
    assert taken is not None
    queue.set_aside(taken, "aside", Standing.QUARANTINED, reason="a value that is not of its column's type", tables=["visits"])
    late = {name: Arrived(rows=7, committed_at=A_WHILE_AGO) for name in ("behind", "large")}
    queue.enqueue(queue.next_batch(), late, giant_rows=10**6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_DSN", database.dsn)
        yield Lab(folder=folder, database=database)


def test_a_step_of_a_night_that_was_not_listed_says_how_to_list_it(lab: Lab) -> None:
    ended = lab.night("--only", "wait-steady", "--night", "unknown", "--practice", "behind")
    assert ended.code == 2
    assert "No such night: unknown" in ended.said
    assert "--night unknown --only enqueue" in ended.said


def test_steps_without_what_they_are_for_are_refused(lab: Lab) -> None:
    assert lab.night("--only", "enqueue").code == 2
    assert lab.night("--only", "wait-steady", "--night", "n").code == 2
    assert lab.night("--night", "n", "--practice", "behind").code == 2


def test_the_list_is_made_once_and_parted_by_lane(lab: Lab) -> None:
    listed = lab.night("--only", "enqueue", "--night", "parted", "--minutes", "60")
    assert listed.code == 0, listed.said
    assert listed.answer["parts"] == {"wait-steady": [["aside"], ["behind"]], "wait-backfill": [["large"]]}
    again = lab.night("--only", "enqueue", "--night", "parted", "--minutes", "5")
    assert again.answer == listed.answer


def test_waiting_ends_with_its_turn_or_names_who_does_not_come(lab: Lab) -> None:
    lab.night("--only", "enqueue", "--night", "long", "--minutes", "60")
    turn = lab.night("--only", "wait-steady", "--night", "long", "--practice", "behind", "--turn", "0")
    assert (turn.code, turn.answer["awaited"]) == (0, ["behind"])
    aside = lab.night("--only", "wait-steady", "--night", "long", "--practice", "aside")
    assert (aside.code, aside.answer["set_aside"]) == (22, ["aside"])
    lab.night("--only", "enqueue", "--night", "short", "--minutes", "0.01")
    late = lab.night("--only", "wait-backfill", "--night", "short", "--practice", "large")
    assert (late.code, late.answer["late"]) == (22, ["large"])
    assert "large: not there in time" in late.said


def test_rounds_without_anybody_there_start_nothing(lab: Lab) -> None:
    lab.night("--only", "enqueue", "--night", "long", "--minutes", "60")
    turn = lab.night("--only", "marts", "--night", "long", "--turn", "0")
    assert (turn.code, turn.answer["rounds_left"], turn.answer["built"]) == (0, 3, {})
    lab.night("--only", "enqueue", "--night", "empty", "--minutes", "0.01")
    done = lab.night("--only", "marts", "--night", "empty")
    assert (done.code, done.answer["rounds_left"], done.answer["built"]) == (0, 0, {})


def test_a_night_that_did_not_begin_is_named_once_with_every_practice(lab: Lab) -> None:
    """What a scheduler's deadline asks for when nothing of its run has happened."""
    for _ in range(2):
        ended = lab.night("--only", "freshness", "--night", "never-began")
        assert ended.code == 22
        assert sorted(ended.answer["late"]) == ["aside", "behind", "large"]
    assert "set aside: a value that is not of its column's type (visits)" in ended.answer["late"]["aside"]
    assert ended.answer["late"]["large"] == "7 entries wait in the backfill lane"
    (page,) = lab.pages()
    assert [line.split(":")[0] for line in page["lines"]] == ["aside", "behind", "large"]


def test_a_night_in_which_nobody_comes_needs_no_java(lab: Lab) -> None:
    """A process of its own that would find none: nothing is started for waiting, or for a round of nobody."""
    flags = ["--conf", str(lab.folder / "conf"), "--lake", str(lab.folder / "lake"), "--env", "watched", "--json"]
    environment = {"PATH": "/nowhere", "JAVA_HOME": "/nowhere", "REGISTRY_DSN": lab.database.dsn}
    given = [str(PROGRAM), "practices", "night", "--minutes", "0.01", *flags]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 22, done.stderr
    assert sorted(json.loads(done.stdout)["late"]) == ["aside", "behind", "large"]


def test_a_build_that_did_not_come_back_is_remembered(
    spark: SparkSession, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Each of these builds is killed: whoever was at hand is built in halves the next time."""
    with make_desk(spark, postgres_server, tmp_path) as desk:
        names = ["east", "north", "west"]
        desk.drop("visits/001", *(visit("I", number, name) for number, name in enumerate(names)))
        desk.beat()
        desk.capture()
        desk.let_in(*names)
        desk.work(Lane.BACKFILL)
        practices = replace(desk.practices, spec=replace(desk.practices.spec, time_zone=where_it_is_noon()))
        enqueue(practices, "n", minutes=60, told=str)
        remembered = []
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                build_rounds(practices, "n", turn=0, told=die_within_a_build)
            remembered.append(practices.ports.registry.get(BUILDING, "clinics/n"))
        assert remembered == [
            {"doubtful": [], "at_hand": names},
            {"doubtful": [["west"]], "at_hand": ["east", "north"]},
        ]


def die_within_a_build(line: str) -> None:
    """As soon as a mart is built."""
    if line.endswith(" practices") and not line.startswith("building"):
        raise KeyboardInterrupt
