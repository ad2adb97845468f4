"""A damaged change file waits alone: who may be concerned by it keeps what it has, and nobody's order breaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Desk, make_desk, patient, visit
from tests.servers.postgres import PostgresServer

from wardlake.model.errors import ConfigurationError
from wardlake.pipelines.practices.damaged_files import DAMAGED, release_files, set_aside


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two practices with a row in each table; every test leaves nothing set aside."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("patients/001", patient("I", 1, "north"), patient("I", 2, "south"))
        made.drop("visits/001", visit("I", 1, "north", "first"), visit("I", 2, "south", "first"))
        made.capture()
        made.let_in("north", "south")
        made.work()
        yield made


def mend(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    os.utime(path, ns=(path.stat().st_mtime_ns + 10**9,) * 2)


def test_later_files_of_the_same_table_wait_and_all_else_goes_on(desk: Desk) -> None:
    damaged = desk.drop("visits/002", visit("U", 1, "north", "second"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-8])
    desk.drop("visits/003", visit("U", 1, "north", "third"), visit("U", 2, "south", "third"))
    desk.drop("patients/003", patient("U", 1, "north", "Northman"))
    before = desk.practices.queue.captured_to()
    desk.ingest()
    assert desk.rows("patients", "north")[1]["last_name"] == "Northman"
    assert [desk.notes("north"), desk.notes("south")] == [{1: "first"}, {2: "first"}]
    assert desk.practices.queue.captured_to() == before
    assert (desk.standing("north")[0], desk.standing("south")[0]) == ("ready", "ready")
    desk.ingest()
    found = [page for page in desk.pages() if "visits/002.csv" in page["title"]]
    assert len(found) == 1
    assert "second" not in str(found)
    mend(damaged, whole)
    desk.beat()
    desk.ingest()
    assert [desk.notes("north"), desk.notes("south")] == [{1: "third"}, {2: "third"}]
    assert (set_aside(desk.practices), desk.practices.queue.captured_to() != before) == ([], True)


def test_a_file_in_a_practice_s_folder_concerns_that_practice_alone(desk: Desk) -> None:
    damaged = desk.drop_text("visits/north/010", "Op,change_seq,change_time,id,practice\nX,1000,2026-01-31T08:00:00Z,1,north\n")
    desk.drop("visits/north/011", visit("U", 1, "north", "fourth"))
    desk.drop("visits/south/012", visit("U", 2, "south", "fourth"))
    desk.beat()
    before = desk.practices.queue.captured_to()
    desk.ingest()
    assert desk.notes("south")[2] == "fourth"
    assert desk.notes("north")[1] == "third"
    assert (desk.standing("north"), desk.standing("south")[0]) == (("quarantined", DAMAGED), "ready")
    after = desk.practices.queue.captured_to()
    assert before is not None
    assert after is not None
    assert after > before
    mend(damaged, b"Op,change_seq,change_time,id,practice\n")
    desk.ingest()
    assert (desk.notes("north")[1], desk.standing("north")) == ("fourth", ("ready", ""))


def test_rows_of_another_practice_in_a_practice_s_folder_are_damage(desk: Desk) -> None:
    damaged = desk.drop("visits/north/020", visit("U", 2, "south", "foreign"))
    desk.ingest()
    assert (desk.notes("south")[2], desk.standing("north")[1]) == ("fourth", DAMAGED)
    damaged.unlink()
    assert release_files(desk.practices, ["visits/north/020.csv"]) == ["visits/north/020.csv"]
    assert desk.standing("north") == ("ready", "")


def test_a_file_that_is_gone_is_done_without_when_somebody_says_so(desk: Desk) -> None:
    damaged = desk.drop_text("visits/030", "Op,change_seq")
    desk.drop("visits/031", visit("U", 1, "north", "fifth"))
    desk.capture()
    damaged.unlink()
    desk.ingest()
    assert desk.notes("north")[1] == "fourth"
    with pytest.raises(ConfigurationError, match=r"No such file is set aside: visits/031\.csv"):
        release_files(desk.practices, ["visits/031.csv"])
    release_files(desk.practices, ["visits/030.csv"])
    desk.ingest()
    assert desk.notes("north")[1] == "fifth"
    assert [each["files"] for each in desk.records("practices.file-released")] == [1, 1]


def test_a_file_of_a_table_that_nobody_declared_holds_nobody(desk: Desk) -> None:
    damaged = desk.drop_text("others/040", "Op")
    desk.beat()
    before = desk.practices.queue.captured_to()
    desk.capture()
    after = desk.practices.queue.captured_to()
    assert before is not None
    assert after is not None
    assert after > before
    damaged.unlink()
    release_files(desk.practices, ["others/040.csv"])
