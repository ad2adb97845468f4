"""Rows that change files move to another practice leave the one they were in, whatever is merged by then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.integration.practices_desk import Desk, make_desk, visit
from tests.servers.postgres import PostgresServer

from wardlake.pipelines.practices.damaged_files import release_files
from wardlake.practices.log_entries import NOBODY, Problem


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two practices of change files; every test has rows of its own."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("visits/001", visit("I", 1, "north"), visit("I", 2, "south"))
        made.capture()
        made.let_in("north", "south")
        made.work()
        yield made


def whose(desk: Desk, key: int) -> set[str]:
    return {practice for practice in ("north", "south") if key in desk.notes(practice)}


def test_a_row_is_in_one_practice_alone(spark: SparkSession, postgres_server: PostgresServer, tmp_path: Path) -> None:
    with make_desk(spark, postgres_server, tmp_path) as desk:
        desk.let_in("north", "south")
        desk.drop(
            "visits/001", visit("I", 1, "north", "merged"), visit("I", 2, "north", "in the file"), visit("U", 2, "south", "moved")
        )
        desk.capture()
        desk.work()
        assert (desk.notes("north"), desk.notes("south")) == ({1: "merged"}, {2: "moved"})
        # one that is merged; one that waits in the log; one that goes and comes back; one whose delete names nobody
        desk.drop("visits/002", visit("I", 3, "north", "waits"))
        desk.capture()
        desk.drop("visits/003", visit("U", 1, "south", "moved"), visit("U", 3, "south", "moved"), visit("U", 2, "north", "back"))
        desk.drop("visits/004", visit("I", 4, "north"), visit("D", 4, None))
        desk.ingest()
        assert (desk.notes("north"), desk.notes("south")) == ({2: "back"}, {1: "moved", 3: "moved"})
        assert [desk.standing(each)[0] for each in ("north", "south")] == ["ready", "ready"]


@pytest.mark.parametrize("mended", [False, True])
def test_a_row_whose_move_was_lost_is_in_one_practice_once_it_is_loaded_again(desk: Desk, mended: bool) -> None:
    key = 10 + mended
    desk.drop(f"visits/{key}1", visit("I", key, "north"))
    desk.ingest()
    lost = desk.drop(f"visits/{key}2", visit("U", key, "south"))
    lost.write_bytes(lost.read_bytes()[:-8])
    desk.capture()
    if mended:  # by a file that holds the move no more
        lost.write_text("Op,change_seq,change_time,id,practice\n")
    else:
        lost.unlink()
        release_files(desk.practices, [f"visits/{key}2.csv"])
    desk.drop(f"visits/{key}3", visit("I", key, "south"))
    desk.ingest()
    assert whose(desk, key) == {"south"}


def test_a_row_of_another_practice_is_never_deleted_by_a_file_of_one_practice_s_folder(desk: Desk) -> None:
    desk.drop("visits/201", visit("I", 20, "south", "its own"), visit("I", 21, "north"))
    desk.ingest()
    desk.drop("visits/north/202", visit("U", 20, "north", "foreign"))
    desk.ingest()
    assert desk.notes("south")[20] == "its own"
    assert (whose(desk, 20), desk.standing("north"), desk.standing("south")[0]) == (
        {"south"},
        ("waiting", Problem.NO_ROW.value),
        "ready",
    )
    desk.drop("visits/north/203", visit("I", 20, "north", "told whole"), visit("D", 20, "north"))
    desk.ingest()
    assert (whose(desk, 20), desk.standing("north")[0]) == ({"south"}, "ready")


def test_a_row_whose_leaving_was_lost_stays_in_the_one_practice_until_that_tells_it(desk: Desk) -> None:
    desk.drop("visits/north/301", visit("I", 30, "north"))
    desk.ingest()
    lost = desk.drop("visits/north/302", visit("D", 30, "north"))
    lost.write_bytes(lost.read_bytes()[:-8])
    desk.capture()
    lost.unlink()
    release_files(desk.practices, ["visits/north/302.csv"])
    desk.drop("visits/south/303", visit("I", 30, "south"))
    desk.ingest()
    assert (whose(desk, 30), desk.standing("south")) == ({"north"}, ("waiting", Problem.NO_ROW.value))
    desk.drop("visits/north/304", visit("D", 30, "north"))
    desk.drop("visits/south/305", visit("I", 30, "south"))
    desk.ingest()
    assert (whose(desk, 30), desk.standing("south")[0]) == ({"south"}, "ready")


def test_what_is_merged_is_not_looked_for_in_the_log(desk: Desk) -> None:
    for key, practice in ((40, "north"), (41, None), (42, "north")):  # each a file of the log
        desk.drop(f"visits/40{key}", visit("I", key, practice))
        desk.ingest()
    assert "Changes of visits of clinics are filed under no practice: a row of no practice" in str(desk.pages())
    log = desk.practices.ports.tables.read(desk.practices.log)
    files = log.select("practice", F.input_file_name().alias("file")).distinct().collect()
    waits = {row["file"] for row in files if row["practice"] == NOBODY}
    for file in {row["file"] for row in files} - waits:
        Path(unquote(urlparse(file).path)).unlink()
    desk.drop("visits/4043", visit("U", 40, "south"), visit("U", 41, "south"), visit("U", 42, "south"))
    desk.ingest()
    assert [whose(desk, key) for key in (40, 41, 42)] == [{"south"}] * 3
