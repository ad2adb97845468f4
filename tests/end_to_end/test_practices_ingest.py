"""Changes of several practices in one PostgreSQL, captured and merged by the commands that people give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from pyspark.sql import SparkSession
from tests.commands import command
from tests.end_to_end.practices_office import CLASSIFICATION, SOURCE, Office, make_office, write
from tests.servers.postgres import PostgresServer

from wardlake.adapters.postgres_changes import PostgresChanges
from wardlake.model.errors import StorageUnavailable

CELL = "Oberholtzer"  # stands in rows of every bad input, and nowhere else
BEFORE = (
    "INSERT INTO patients SELECT n, 'north', 'Northman', '1970-01-01' FROM generate_series(1, 3) n",
    "INSERT INTO patients SELECT n, 'south', 'Southman', '1980-01-01' FROM generate_series(11, 12) n",
    f"INSERT INTO visits SELECT n, 'north', 1, n, '{CELL}' FROM generate_series(1, 20) n",
)


@pytest.fixture(scope="module")
def office(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The practices on board, their rows merged; each test leaves raw tables that are what the source holds."""
    with pytest.MonkeyPatch.context() as patch:
        made = make_office(spark, postgres_server, tmp_path_factory.mktemp("practices"), patch)
        made.sql(*BEFORE)
        done = made.ends_well("onboard", "--all")
        made.ingest("backfill")
        assert done["practices"] == ["north", "south"]
        assert made.differs() == ""
        yield made
        made.close()


def same(office: Office) -> None:
    assert office.differs() == ""


def test_practices_come_on_board_and_their_changes_follow(office: Office) -> None:
    office.sql(
        "UPDATE visits SET cost = 99.5 WHERE id = 1",
        "DELETE FROM visits WHERE id = 2",
        "INSERT INTO visits VALUES (100, 'south', 11, 1, 'ü'), (101, 'north', 2, null, null)",
        "UPDATE patients SET practice = 'south' WHERE id = 3",
        "UPDATE patients SET id = 40 WHERE id = 12",
    )
    office.ingest("steady")
    same(office)
    assert office.rows("visits", "north")[1]["cost"] == Decimal("99.50")
    board = office.board()
    assert [(each["practice"], each["lane"], each["waiting_entries"]) for each in board] == [
        ("north", "steady", 0),
        ("south", "steady", 0),
    ]
    assert all(each["merged_to"] for each in board)
    assert office.ends_well("ingest", "--minutes", "0")["practices"]


def test_retention_takes_nothing_that_is_the_practices(office: Office) -> None:
    before = {path for path in (office.lake / "raw").rglob("*") if path.is_file()}
    ended = command("retention", "apply", conf=office.conf, lake=office.lake, env="practices")
    assert (ended.code, ended.answer["over"]) == (0, []), ended.said
    assert {path for path in (office.lake / "raw").rglob("*") if path.is_file()} == before
    same(office)


def test_what_is_captured_twice_is_merged_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: PostgresChanges, end: str) -> None:
        raise StorageUnavailable("The source's database does not answer.")

    office.sql("INSERT INTO visits VALUES (150, 'north', 1, 1, 'once')", "DELETE FROM visits WHERE id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(PostgresChanges, "acknowledge", gone)
        assert office.run("capture", "--until-idle").code == 24
    office.ends_well("work", "--lane", "steady", "--until-idle")
    office.sql("UPDATE visits SET note = 'twice' WHERE id = 150")
    office.ingest("steady")
    assert office.rows("visits")[150]["note"] == "twice"
    assert office.told_twice() > 0
    same(office)


def test_a_practice_that_nobody_let_in_waits_and_touches_no_other(office: Office) -> None:
    office.sql(f"INSERT INTO visits VALUES (500, 'stranger', 1, 1, '{CELL}'), (501, 'north', 1, 1, 'y')")
    office.ingest("steady")
    assert 501 in office.rows("visits")
    assert 500 not in office.rows("visits")
    board = office.run("freshness").answer
    assert (board["not_let_in"], "stranger" in {each["practice"] for each in board["practices"]}) == (["stranger"], False)
    (page,) = [each for each in office.pages() if {"tables: visits", "stranger"} <= {*each["lines"]}]
    assert "nobody let these in" in page["title"]
    office.ends_well("onboard", "--practice", "stranger")
    office.ingest()
    same(office)


def test_a_bad_practice_falls_out_alone(office: Office) -> None:
    reason = "a value that is not of its column's type"
    office.sql("UPDATE patients SET born = '31.1.1970' WHERE id = 1", "INSERT INTO visits VALUES (600, 'south', 11, 6, 'fine')")
    office.ends_well("capture", "--until-idle")
    ended = office.run("work", "--lane", "steady", "--until-idle")
    assert 600 in office.rows("visits")
    assert "31.1.1970" not in ended.said + json.dumps(ended.answer)
    assert (ended.code, ended.answer["set_aside"]) == (22, ["north"])
    assert office.standing("north") == ("quarantined", reason, ["patients.born"])
    assert office.standing("south")[0] == "ready"
    pages = office.pages()
    assert [page["title"] for page in pages if "north" in page["title"]] == [f"Practice north is set aside: {reason}"]
    assert "31.1.1970" not in json.dumps(pages)
    office.sql("UPDATE patients SET born = '1970-01-31' WHERE id = 1")
    office.ends_well("onboard", "--practice", "north")
    office.ingest()
    same(office)
    assert office.standing("north")[0] == "ready"


def test_who_lets_practices_in_and_releases_them_is_recorded(office: Office) -> None:
    assert office.ends_well("release", "--practice", "north") == {"released": []}
    audit = command("audit", "query", conf=office.conf, lake=office.lake, env="practices")
    acts = [each["event"] for each in audit.answer["records"] if each["event"]["kind"].startswith("practices.")]
    assert {act["kind"] for act in acts} == {"practices.onboarded", "practices.released"}
    assert (acts[0]["details"]["source"], acts[0]["details"]["practices"]) == ("clinics", 2)


def test_rows_of_no_practice_wait_and_stop_nobody(office: Office) -> None:
    office.sql(f"INSERT INTO visits VALUES (700, null, 1, 1, '{CELL}'), (701, 'north', 1, 1, 'y')")
    office.ingest("steady")
    assert 701 in office.rows("visits")
    assert 700 not in office.rows("visits")
    assert office.run("freshness").answer["of_no_practice"] == 1
    office.sql("DELETE FROM visits WHERE id = 700")
    office.ingest("steady")
    same(office)


def test_a_column_that_nobody_decided_on_is_left_out_until_it_is_and_rows_are_read_anew(office: Office) -> None:
    office.sql(
        "ALTER TABLE visits ADD COLUMN diagnosis text",
        "INSERT INTO visits VALUES (800, 'north', 1, 1, 'x', 'Zimmerhackl')",
        f"INSERT INTO visits VALUES (801, 'north', 1, 1, '{CELL}', 'Zimmerhackl')",
    )
    office.ingest("steady")
    assert "diagnosis" not in office.rows("visits")[800]
    pages = (office.lake / "restricted" / "pages.jsonl").read_text()
    assert pages.count('"lines":["visits.diagnosis"]') == 1
    decide_on_diagnosis(office)
    office.ends_well("onboard", "--practice", "north")
    office.ends_well("work", "--lane", "backfill", "--until-idle")
    assert [office.rows("visits")[key]["diagnosis"] for key in (800, 801)] == ["Zimmerhackl", "Zimmerhackl"]
    assert [page["lines"] for page in office.pages()].count(["visits.diagnosis", "wardlake practices onboard --all"]) == 1
    assert "Zimmerhackl" not in json.dumps(office.pages())
    write(office.folder, "sources", "clinics", SOURCE)
    write(office.folder, "classification", "clinics", CLASSIFICATION)
    office.sql("ALTER TABLE visits DROP COLUMN diagnosis")
    same(office)


def decide_on_diagnosis(office: Office) -> None:
    assert "note: string}" in SOURCE
    write(office.folder, "sources", "clinics", SOURCE.replace("note: string}", "note: string, diagnosis: string}"))
    write(office.folder, "classification", "clinics", f"{CLASSIFICATION}    diagnosis: {{sensitive: {{rule: drop}}}}\n")


def test_a_giant_goes_in_pieces_in_the_lane_of_its_own(office: Office) -> None:
    office.sql("INSERT INTO visits SELECT n, 'north', 1, 1, 'giant' FROM generate_series(1000, 5999) n")
    office.sql("INSERT INTO visits VALUES (9000, 'south', 11, 1, 'small')")
    office.ends_well("capture", "--until-idle")
    steady = office.ends_well("work", "--lane", "steady", "--until-idle")
    assert (steady["pieces"], steady["rows"]) == (1, 1)
    assert 9000 in office.rows("visits", "south")
    backfill = office.ends_well("work", "--lane", "backfill", "--until-idle")
    assert backfill["groups"] >= 3
    office.ends_well("work", "--lane", "steady", "--until-idle")
    same(office)
    (north,) = office.board("--practice", "north")
    assert (north["lane"], north["waiting_entries"]) == ("steady", 0)


def test_an_environment_without_postgresql_has_no_queue(office: Office) -> None:
    ended = command("practices", "freshness", conf=office.conf, lake=office.lake)
    assert (ended.code, "PostgreSQL" in ended.answer["error"]["what"]) == (2, True)


def test_a_table_that_is_emptied_is_empty_for_every_practice(office: Office) -> None:
    office.sql("TRUNCATE visits", "INSERT INTO visits VALUES (1, 'south', 11, 2, 'after')")
    office.ingest("steady")
    same(office)


def test_a_lost_slot_is_said_at_once_and_all_practices_are_read_anew(office: Office) -> None:
    office.close()
    office.sql("DELETE FROM visits WHERE id < 10", f"INSERT INTO visits VALUES (900, 'south', 11, 1, '{CELL}')")
    lost = office.run("capture", "--until-idle")
    assert (lost.code, lost.answer["error"]["kind"]) == (20, "ChangesLost")
    assert "onboard --all --new-slot" in lost.answer["error"]["next"]
    (page,) = [each for each in office.pages() if each["title"].startswith("Capture of clinics stopped")]
    assert {"tables: patients, visits", "north", "south"} <= set(page["lines"])
    office.ends_well("onboard", "--practice", "south", "--new-slot")
    assert office.standing("north")[:2] == ("quarantined", "capture began again: its rows are to be read anew")
    office.ingest()
    assert office.rows("visits", "south").keys() == {
        key for key, row in office.truth("visits").items() if row["practice"] == "south"
    }
    office.ends_well("onboard", "--all")
    office.sql("UPDATE visits SET note = 'after' WHERE id = 900")
    office.ingest()
    same(office)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["onboard"], 2, "--practice, or --all"),
        (["onboard", "--practice", "north", "--new-slot"], 2, "The slot is there and goes on"),
        (["onboard", "--all", "--new-slot", "--no-snapshot"], 2, "needs its rows anew"),
        (["freshness", "--practice", "nobody"], 2, "No such practice"),
        (["release", "--practice", "nobody"], 2, "No such practice"),
        (["freshness", "--source", "other"], 2, "Known: clinics"),
    ],
)
def test_mistakes_are_said(office: Office, words: list[str], code: int, said: str) -> None:
    ended = office.run(*words)
    assert ended.code == code
    assert said in json.dumps(ended.answer)


def test_a_table_that_tells_too_little_of_deleted_rows_is_named_before_anything_is_captured(office: Office) -> None:
    office.sql("ALTER TABLE visits REPLICA IDENTITY DEFAULT")
    refused = office.run("capture", "--until-idle"), office.run("onboard", "--all", "--new-slot")
    office.sql("ALTER TABLE visits REPLICA IDENTITY FULL")
    assert [(each.code, "visits" in each.answer["error"]["what"]) for each in refused] == [(2, True)] * 2
    assert office.standing("south")[0] == "ready"


def test_a_restored_source_is_told_by_its_position(office: Office) -> None:
    with psycopg.connect(office.registry, autocommit=True) as opened:
        opened.execute("UPDATE wardlake.captures SET acknowledged = %s", [str(2**62)])
    back = office.run("capture", "--until-idle")
    assert (back.code, "went back" in back.answer["error"]["what"]) == (20, True)
    office.ends_well("onboard", "--all", "--new-slot")
    office.sql(f"UPDATE visits SET note = '{CELL}' WHERE id = 1")
    office.ingest()
    same(office)
    assert all(row["wardlake_commit"] > 2**64 for row in office.rows("visits").values())


def test_no_cell_is_in_what_was_said_paged_or_registered(office: Office) -> None:
    """After every bad input above; the pages and the board name practices, tables and columns."""
    pages = (office.lake / "restricted" / "pages.jsonl").read_text()
    assert all(name in pages for name in ("Practice north is set aside", "patients.born", "visits.diagnosis"))
    told = "\n".join([*office.said, pages, office.registered()])
    assert all(name in told for name in ("north", "stranger", "patients.born"))
    assert not [cell for cell in (CELL, "Northman", "Southman", "31.1.1970", "Zimmerhackl") if cell in told]
