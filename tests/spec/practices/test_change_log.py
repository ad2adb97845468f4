"""Whatever order and however often entries come, one row is left of each, as its last entry leaves it."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from wardlake.model.changes import Position
from wardlake.practices.change_log import number_entries, parse_row, require_row, select_newest, tabulate_entries
from wardlake.practices.log_entries import Deed, LogEntry, Problem

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


def upsert(commit: int, row: dict[str, str | None], *, practice: str = "north", unchanged: tuple[str, ...] = ()) -> LogEntry:
    return entry(commit, practice, deed=Deed.UPSERT, row=json.dumps(row), unchanged=unchanged, part=1)


def delete(commit: int, *, practice: str = "north") -> LogEntry:
    return entry(commit, practice, deed=Deed.DELETE, row=None, unchanged=(), part=0)


def entry(commit: int, practice: str, **rest: Any) -> LogEntry:
    return LogEntry(practice=practice, table="visits", key='{"id":"1"}', position=Position(commit, 1), committed_at=AT, **rest)


def left(spark: SparkSession, entries: list[LogEntry]) -> list[dict[str, Any]]:
    rows = select_newest(number_entries(spark, {1: tabulate_entries(entries, epoch=0)})).orderBy("practice", "key").collect()
    return [{"practice": r.practice, "deed": r.deed, "row": r.row, "unsent": r.unsent, "commit": int(r.commit)} for r in rows]


def test_the_newest_entry_wins_in_any_order_and_told_twice(spark: SparkSession) -> None:
    entries = [upsert(1, {"note": "a"}), upsert(3, {"note": "c"}), upsert(2, {"note": "b"})]
    for order in itertools.permutations([*entries, entries[1]]):
        (row,) = left(spark, list(order))
        assert (row["row"], row["commit"]) == ({"note": "c"}, 3)


def test_a_delete_leaves_nothing_and_an_insert_after_it_begins_anew(spark: SparkSession) -> None:
    gone = [upsert(1, {"note": "a"}), delete(2)]
    assert left(spark, gone) == [{"practice": "north", "deed": "delete", "row": None, "unsent": [], "commit": 2}]
    again = [*gone, upsert(3, {"ward": "w"}, unchanged=("note",))]
    assert left(spark, again) == [{"practice": "north", "deed": "upsert", "row": {"ward": "w"}, "unsent": ["note"], "commit": 3}]


def test_what_an_update_does_not_tell_again_comes_from_the_entry_before(spark: SparkSession) -> None:
    silent = [upsert(commit, {"ward": ward}, unchanged=("note",)) for commit, ward in ((2, "b"), (3, "c"))]
    assert left(spark, [upsert(1, {"note": "long", "ward": "a"}), *silent])[0]["row"] == {"note": "long", "ward": "c"}
    (row,) = left(spark, silent)
    assert (row["row"], row["unsent"]) == ({"ward": "c"}, ["note"])


def test_practices_with_equal_keys_do_not_touch_each_other(spark: SparkSession) -> None:
    entries = [upsert(1, {"note": "n"}), upsert(2, {"note": "s"}, practice="south"), delete(3, practice="south")]
    assert [(each["practice"], each["deed"]) for each in left(spark, entries)] == [("north", "upsert"), ("south", "delete")]


def test_a_row_that_moved_is_left_in_its_new_practice_alone(spark: SparkSession) -> None:
    moved = [upsert(1, {"note": "n"}), delete(2), upsert(2, {"note": "n"}, practice="south")]
    assert [(each["practice"], each["deed"]) for each in left(spark, moved)] == [("north", "delete"), ("south", "upsert")]


def test_a_null_is_a_value(spark: SparkSession) -> None:
    assert left(spark, [upsert(1, {"note": "a"}), upsert(2, {"note": None})])[0]["row"] == {"note": None}


@pytest.mark.parametrize("commit", [2**63, 20260131080000000000000000000000001])
def test_positions_of_any_length_keep_their_order(spark: SparkSession, commit: int) -> None:
    (row,) = left(spark, [upsert(commit + 1, {"note": "b"}), upsert(commit, {"note": "a"})])
    assert (row["row"], row["commit"]) == ({"note": "b"}, commit + 1)


def test_no_entries_leave_nothing(spark: SparkSession) -> None:
    assert left(spark, []) == []


def test_a_text_of_any_length_is_told(spark: SparkSession) -> None:
    """One of more than 20 million characters, made by the engine: the whole row would be nothing."""
    long = F.concat(F.lit('{"note":"'), F.repeat(F.lit("x"), 20_000_001), F.lit('"}'))
    (row,) = spark.range(1).select(F.length(parse_row(long).getItem("note")).alias("letters")).collect()
    assert row.letters == 20_000_001


@pytest.mark.parametrize("text", ['{"note":"cut', "[]"])
def test_a_row_that_cannot_be_read_is_refused_and_never_merged_as_nothing(spark: SparkSession, text: str) -> None:
    with pytest.raises(PySparkException, match=Problem.UNREADABLE_ROW.value):
        left(spark, [upsert(1, {"note": "a"}), entry(2, "north", deed=Deed.UPSERT, row=text, unchanged=(), part=1)])


def test_a_row_with_a_text_that_is_longer_than_the_engine_takes_is_refused(spark: SparkSession) -> None:
    row = F.lit('{"note":"longer"}')
    assert spark.range(1).select(require_row(row, longest=6)).collect()[0][0] == {"note": "longer"}
    with pytest.raises(PySparkException, match=Problem.UNREADABLE_ROW.value):
        spark.range(1).select(require_row(row, longest=5)).collect()
