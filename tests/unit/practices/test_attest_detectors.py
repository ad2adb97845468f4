"""What an attack tells from an answer: no server, answers as they could come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wardlake.ports.warehouse_door import Answer, Statement
from wardlake.practices.attest.detector import named
from wardlake.practices.attest.every import PROBES
from wardlake.practices.attest.probe import Outcome, Verdict
from wardlake.practices.attest.target import Target

A, B = "practice-a", "practice-b"


def target(*, others: tuple[str, ...] = (B,), own_rows: int = 3, location: str = "") -> Target:
    return Target(
        **{"catalog": "lake", "schemas": ("mart",), "attacker": "ann", "other": "ben", "own": (A,), "others": others},
        **{"mark": "mark", "schema": "mart", "table": "visits", "practice": "practice_id", "own_rows": own_rows},
        location=location,
        columns=(("practice_id", "varchar"), ("cost", "integer"), ("day", "date")),
    )


def outcome(probe: str, *answers: Answer, at: Target | None = None) -> Outcome:
    """A probe's word on answers that come one after another, the last again and again."""
    attempt, number = PROBES[probe].run(at or target()), 0
    try:
        next(attempt)
        while True:
            attempt.send(answers[min(number, len(answers) - 1)])
            number += 1
    except StopIteration as ended:
        assert isinstance(ended.value, Outcome)
        return ended.value


def rows(*found: Sequence[object], columns: tuple[str, ...] = (), cut: bool = False) -> Answer:
    return Answer(status=200, rows=tuple(tuple(row) for row in found), columns=columns, cut=cut)


def test_a_left_join_that_loses_rows_is_broken() -> None:
    whole = rows((A, A), (None, B), (None, "mark"))
    assert outcome("left-join", whole).verdict is Verdict.HELD
    assert outcome("left-join", rows((A, A))) == Outcome(Verdict.BROKEN, "rows of the left side vanish")
    assert outcome("left-join", rows((A, A), (B, B), (None, "mark"))).verdict is Verdict.BROKEN


@pytest.mark.parametrize("stranger", [B, "practice-c", None], ids=["theirs", "a third's", "nobody's"])
def test_whoever_is_not_the_attacker_is_a_stranger(stranger: str | None) -> None:
    assert outcome("select", rows((A, 3), (stranger, 1))) == Outcome(Verdict.BROKEN, "rows of 1 other practices")


def test_more_rows_than_are_looked_at_are_not_held() -> None:
    assert outcome("select", rows((A, 3), cut=True)).verdict is Verdict.UNKNOWN


def test_ids_that_look_like_any_number_are_not_told_from_text() -> None:
    plan = rows(("TableScan Input: 3 rows",))
    assert outcome("explain", plan).verdict is Verdict.HELD
    assert outcome("explain", plan, at=target(others=("12",))).verdict is Verdict.UNKNOWN


def test_ids_are_found_as_whole_words() -> None:
    assert named("[[practice-b]]", [B]) == 1
    assert named("practice_id=practice-b/part-0", [B]) == 1
    assert named("cannot cast '~practice-b~'", [B]) == 1
    assert named("practice-b2, a-practice-b", [B]) == 0


@pytest.mark.parametrize(
    "plan",
    [
        "Estimates: {rows: 12 (780B)}",
        "Input: 12 rows (306B)",
        '"outputRowCount" : 12.0,',
        "Input: 3 rows, Filtered: 58.33%",
        f":: [[{B}]]",
    ],
)
def test_a_plan_that_speaks_of_more_is_broken(plan: str) -> None:
    assert outcome("explain-analyze", rows((plan,))).verdict is Verdict.BROKEN


STATISTICS = ("column_name", "row_count", "low_value", "high_value")
OWN = rows((3, "10", "30", "2026-01-05", "2026-01-09"))


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (("cost", None, "10", "30"), Verdict.HELD),
        (("cost", None, "9", "30"), Verdict.BROKEN),
        (("cost", None, "10", "30.5"), Verdict.BROKEN),
        (("day", None, "2026-01-05", "2026-01-10"), Verdict.BROKEN),
        (("cost", None, None, None), Verdict.HELD),
        ((None, 3.0, None, None), Verdict.HELD),
        ((None, 4.0, None, None), Verdict.BROKEN),
    ],
)
def test_statistics_are_held_to_the_attacker_s_own_values(line: Sequence[object], verdict: Verdict) -> None:
    assert outcome("statistics", OWN, rows(line, columns=STATISTICS)).verdict is verdict


DENIED = Answer(status=200, error="PERMISSION_DENIED")
NOT_THERE = Answer(status=200, error="TABLE_NOT_FOUND")


def test_that_nothing_is_at_a_guessed_path_proves_nothing() -> None:
    assert outcome("read-by-path", DENIED, NOT_THERE).verdict is Verdict.UNKNOWN
    assert outcome("read-by-path", NOT_THERE, at=target(location="s3://marts/visits")).verdict is Verdict.HELD
    told = rows(("s3://marts/visits/practice_id=practice-a/part-0",))
    assert outcome("read-by-path", told, NOT_THERE).verdict is Verdict.HELD


def test_who_may_not_register_files_may_not_wherever_they_lie() -> None:
    assert outcome("register-files", DENIED).verdict is Verdict.HELD
    assert outcome("register-files", DENIED, Answer(status=200, error="SCHEMA_NOT_FOUND")).verdict is Verdict.UNKNOWN


def test_a_path_that_is_asked_for_is_the_table_s() -> None:
    attempt = PROBES["read-by-path"].run(target(location="s3://marts/visits"))
    first = next(attempt)
    assert isinstance(first, Statement)
    assert '"mart"."delta.`s3://marts/visits`"' in first.sql


def test_each_of_two_who_ask_the_same_must_see_their_own() -> None:
    own, theirs = rows((A, 3)), rows((B, 3))
    assert outcome("cached-result", theirs, own, own, theirs).verdict is Verdict.HELD
    assert outcome("cached-result", theirs, theirs, own, theirs).verdict is Verdict.BROKEN
    assert outcome("cached-result", theirs, own, own, own).verdict is Verdict.BROKEN


@pytest.mark.parametrize("error", ["INVALID_CAST_ARGUMENT", "DIVISION_BY_ZERO", "NUMERIC_VALUE_OUT_OF_RANGE"])
def test_an_error_that_only_others_rows_raise_is_broken_whatever_it_says(error: str) -> None:
    assert outcome("error-division", Answer(status=200, error=error)).verdict is Verdict.BROKEN


def test_reasons_hold_counts_and_no_value() -> None:
    said = outcome("error-cast", Answer(status=200, error="INVALID_CAST_ARGUMENT", text=f"Cannot cast '~{B}~' to BIGINT"))
    assert said == Outcome(Verdict.BROKEN, "an error tells of others' rows, and its text names 1 practices")
