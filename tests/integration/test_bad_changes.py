"""A bad change sets its practice aside by name, with table and reason; its neighbours of the same group are merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Change, Desk, make_desk, patient, visit
from tests.servers.postgres import PostgresServer

from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.ingest import work
from wardlake.pipelines.practices.onboard import release, release_without_bad_changes
from wardlake.practices.log_entries import Problem

SECRET = "canary of a bad change"
PRACTICES = ("deleted", "keyless", "early", "typed", "north")


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Every practice has a patient and a visit; then each gets a change, all in one group, of which north's alone is good."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("patients/001", *(patient("I", number, name) for number, name in enumerate(PRACTICES)))
        made.drop("visits/001", *(visit("I", number, name, "first") for number, name in enumerate(PRACTICES)))
        made.drop("visits/002", visit("D", 0, "deleted"))
        made.capture()
        made.let_in(*PRACTICES)
        made.work(Lane.BACKFILL)
        without_key = visit("I", 1, "keyless", SECRET)
        badly_typed = visit("I", 13, "typed", SECRET)
        made.drop(
            "visits/003",
            visit("U", 0, "deleted", SECRET),
            (without_key[0], {**without_key[1], "id": None}),
            visit("U", 12, "early", SECRET),
            (badly_typed[0], {**badly_typed[1], "started": SECRET}),
            visit("U", 4, "north", "second"),
        )
        made.ingest()
        yield made


@pytest.mark.parametrize(
    ("practice", "problem", "place"),
    [
        ("deleted", Problem.DELETED_ROW, "visits"),
        ("keyless", Problem.NO_KEY, "visits"),
        ("early", Problem.NO_ROW, "visits"),
        ("typed", Problem.BAD_VALUE, "visits.started"),
    ],
)
def test_who_is_at_fault_is_named_with_table_and_reason(desk: Desk, practice: str, problem: Problem, place: str) -> None:
    (state,) = desk.practices.queue.states([practice])
    assert (state.standing.value != "ready", state.reason, state.tables) == (True, problem.value, (place,))
    (page,) = [each for each in desk.pages() if practice in each["title"]]
    assert (problem.value in str(page), place in str(page), SECRET in str(page)) == (True, True, False)


def test_nobody_else_is_touched(desk: Desk) -> None:
    assert desk.notes("north") == {4: "second"}
    assert desk.standing("north") == ("ready", "")
    assert {name: desk.notes(name) for name in PRACTICES[:-1]} == {
        "deleted": {},
        "keyless": {1: "first"},
        "early": {2: "first"},
        "typed": {3: "first"},
    }


def test_a_bad_change_that_a_late_one_makes_good_is_merged_with_it(desk: Desk) -> None:
    late: Change = visit("I", 12, "early", "was missing")
    desk.position -= 10  # before the update that came early
    desk.drop("visits/004", late)
    desk.position += 10
    desk.ingest()
    assert desk.standing("early") == ("ready", "")
    assert desk.notes("early")[12] == SECRET


def test_a_practice_comes_back_without_the_changes_that_nobody_can_mend(desk: Desk) -> None:
    desk.drop("visits/005", visit("I", 21, "keyless", "waited"))
    desk.capture()
    assert release(desk.practices, ["keyless"]) == ["keyless"]
    desk.work(Lane.STEADY)
    assert (desk.standing("keyless")[1], desk.notes("keyless")) == (Problem.NO_KEY.value, {1: "first"})  # again, and for ever
    with pytest.raises(ConfigurationError, match="bad by itself: 'typed'"):
        release_without_bad_changes(desk.practices, ["keyless", "typed"])
    assert release_without_bad_changes(desk.practices, ["keyless", "north"]) == {"keyless": 1}
    assert desk.records("practices.released")[-1]["given_up"] == 1
    desk.work(Lane.STEADY)
    assert desk.standing("keyless") == ("ready", "")
    assert desk.notes("keyless") == {1: "first", 21: "waited"}


def test_later_changes_that_nobody_can_mend_set_it_aside_again(desk: Desk) -> None:
    operation, row = visit("I", 22, "keyless", SECRET)
    desk.drop("visits/006", (operation, {**row, "id": None}), visit("I", 23, "keyless", "waits"))
    assert desk.ingest().set_aside == ["keyless"]
    assert desk.standing("keyless") == ("quarantined", Problem.NO_KEY.value)
    assert 23 not in desk.notes("keyless")


def test_a_late_change_makes_good_also_what_fills_a_piece_before_it(desk: Desk) -> None:
    desk.position += 20
    desk.drop("visits/007", visit("U", 14, "early", SECRET))
    desk.capture()
    desk.position -= 10
    desk.drop("visits/008", visit("I", 14, "early", "was missing"))
    desk.position += 10
    desk.capture()
    pages = desk.pages()
    spec = desk.practices.spec
    narrow = replace(desk.practices, spec=replace(spec, steady=replace(spec.steady, rows=1)))
    done = work(narrow, Lane.STEADY, until_idle=True, told=str)
    assert (done.groups, done.pieces, done.set_aside, desk.pages()) == (2, 1, [], pages)
    assert desk.standing("early") == ("ready", "")
    assert desk.notes("early")[14] == SECRET
