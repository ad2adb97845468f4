"""Raw tables end as the newest changes leave them, however late, often or disordered these are merged."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.changes import Position, TableEmptied
from wardlake.model.errors import ContractBroken
from wardlake.practices.change_log import number_entries, tabulate_entries
from wardlake.practices.log_entries import Deed, LogEntry, Problem, list_emptied
from wardlake.practices.raw_tables import (
    DELETED,
    RawTable,
    bad_value,
    bucket_of,
    empty_before,
    make_emptied,
    make_rows,
    merge_of,
)

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
VISITS = RawTable(name="visits", columns={"id": "bigint", "day": "date", "note": "string"}, buckets=4)


def insert(commit: int, key: int = 1, *, practice: str = "north", **values: str | None) -> LogEntry:
    row = {"id": str(key), **values}
    return entry(commit, key, practice, deed=Deed.UPSERT, row=json.dumps(row), part=1)


def update(commit: int, key: int = 1, *, practice: str = "north", unchanged: tuple[str, ...] = (), **values: str) -> LogEntry:
    row = {"id": str(key), **values}
    return entry(commit, key, practice, deed=Deed.UPSERT, row=json.dumps(row), part=1, needs_row=True, unchanged=unchanged)


def delete(commit: int, key: int = 1, *, practice: str = "north") -> LogEntry:
    return entry(commit, key, practice, deed=Deed.DELETE, row=None, part=0)


def entry(commit: int, key: int, practice: str, **rest: Any) -> LogEntry:
    whole = {"unchanged": (), **rest}
    return LogEntry(
        practice=practice, table="visits", key=f'{{"id":"{key}"}}', position=Position(commit, 1), committed_at=AT, **whole
    )


class Lab:
    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.tables, self.path = spark, DeltaTables(spark), str(folder / "visits")
        self.tables.create(self.path, VISITS.schema, partition_by=["wardlake_bucket"])

    def log(self, *entries: LogEntry) -> DataFrame:
        return number_entries(self.spark, {1: tabulate_entries(entries, epoch=0)})

    def merge(self, *entries: LogEntry) -> None:
        how = merge_of(VISITS, {each.practice for each in entries})
        with self.tables.computed(self.path, make_rows(self.log(*entries), VISITS, merged_at=NOW), how) as rows:
            self.tables.merge(self.path, rows, how)

    def rows(self, practice: str = "north") -> dict[int, tuple[Any, ...]]:
        """Of rows that are there: day and note by key."""
        found = self.tables.read(self.path).where(f"wardlake_practice = '{practice}' AND NOT {DELETED}").collect()
        return {row["id"]: (row["day"], row["note"]) for row in found}

    def count(self) -> int:
        return self.tables.read(self.path).count()


@pytest.fixture
def lab(spark: SparkSession, tmp_path: Path) -> Lab:
    return Lab(spark, tmp_path)


def test_values_have_the_types_of_their_columns(lab: Lab) -> None:
    lab.merge(insert(1, day="2026-01-31", note="ü"), insert(1, 2, day=None, note=None))
    assert lab.rows() == {1: (date(2026, 1, 31), "ü"), 2: (None, None)}


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 2, 0, 3)])
def test_any_order_of_merges_ends_the_same(lab: Lab, order: tuple[int, ...]) -> None:
    story = [insert(1, note="a"), delete(2), insert(3, note="b"), insert(1, 2, note="other")]
    for number in (*order, order[0]):
        lab.merge(story[number])
    assert lab.rows() == {1: (None, "b"), 2: (None, "other")}


def test_a_deleted_row_stays_deleted_when_an_older_change_comes_late(lab: Lab) -> None:
    lab.merge(delete(5))
    lab.merge(insert(4, note="late"))
    assert (lab.rows(), lab.count()) == ({}, 1)
    (tomb,) = lab.tables.read(lab.path).collect()
    assert (tomb["id"], tomb["note"]) == (None, None)


def test_a_column_that_was_not_sent_stays_as_it_is(lab: Lab) -> None:
    lab.merge(insert(1, day="2026-01-31", note="long"))
    lab.merge(update(2, day="2026-02-01", unchanged=("note",)))
    assert lab.rows() == {1: (date(2026, 2, 1), "long")}


def test_practices_with_the_same_key_have_rows_of_their_own(lab: Lab) -> None:
    lab.merge(insert(1, note="n"), insert(2, note="s", practice="south"))
    lab.merge(delete(3, practice="south"))
    assert (lab.rows(), lab.rows("south")) == ({1: (None, "n")}, {})


def test_an_update_before_its_insert_is_refused_and_both_together_are_not(lab: Lab) -> None:
    with pytest.raises(ContractBroken, match=Problem.NO_ROW.value):
        lab.merge(update(2, note="b"))
    assert lab.count() == 0
    lab.merge(update(2, note="b"), insert(1, note="a"))
    assert lab.rows() == {1: (None, "b")}


@pytest.mark.parametrize("together", [True, False])
def test_a_change_of_a_deleted_row_is_refused(lab: Lab, together: bool) -> None:
    before, after = [insert(1, note="a"), delete(2)], update(3, note="b")
    if not together:
        lab.merge(*before)
    with pytest.raises(ContractBroken, match=Problem.DELETED_ROW.value):
        lab.merge(*(before if together else []), after)
    assert lab.rows() == {}


def test_the_same_position_with_another_content_is_a_restored_source(lab: Lab) -> None:
    lab.merge(insert(1, note="secret one"))
    lab.merge(insert(1, note="secret one"))
    with pytest.raises(ContractBroken, match="restored source") as refused:
        lab.merge(insert(1, note="secret two"))
    assert "secret" not in str(refused.value)
    assert lab.rows() == {1: (None, "secret one")}


def test_a_table_that_was_emptied_keeps_what_came_after(lab: Lab) -> None:
    lab.merge(insert(1, note="a"), insert(9, 2, note="after"), insert(1, 3, note="s", practice="south"))
    emptied = TableEmptied(table="visits", position=Position(5, 1), committed_at=AT)
    rows = make_emptied(lab.log(*list_emptied(emptied, ["north"])), VISITS, merged_at=NOW)
    lab.tables.merge(lab.path, rows, empty_before(VISITS, ["north"]))
    assert (lab.rows(), lab.rows("south")) == ({2: (None, "after")}, {3: (None, "s")})
    lab.merge(insert(4, note="late"))
    assert lab.rows() == {2: (None, "after")}


@pytest.mark.parametrize(("columns", "bad"), [({"day": "31.1.2026"}, "day"), ({"day": ""}, "day")])
def test_a_value_of_another_type_is_refused_by_its_column(lab: Lab, columns: dict[str, str], bad: str) -> None:
    with pytest.raises(ContractBroken, match="not of its column's type") as refused:
        lab.merge(insert(1, **columns))
    assert refused.value.what == f"A row is refused: {bad_value(bad)}"
    assert "2026" not in str(refused.value)
    assert lab.count() == 0


def test_what_nobody_declared_stays_in_the_log(lab: Lab) -> None:
    lab.merge(insert(1, ward="w", note="x"))
    assert lab.rows() == {1: (None, "x")}


def test_a_bucket_is_the_same_for_both_sides(lab: Lab) -> None:
    names = ["north", "süd", "", "a b", "0"]
    lab.merge(*(insert(1, practice=name) for name in names))
    found = lab.tables.read(lab.path).select("wardlake_practice", "wardlake_bucket").collect()
    assert {row[0]: row[1] for row in found} == {name: bucket_of(name, VISITS.buckets) for name in names}


def test_a_table_gains_columns_and_loses_none(lab: Lab) -> None:
    lab.merge(insert(1, note="x"))
    wider = RawTable(name="visits", columns={**VISITS.columns, "ward": "string"}, buckets=4)
    for _ in range(2):
        lab.tables.create(lab.path, wider.schema, partition_by=["wardlake_bucket"])
    lab.tables.create(lab.path, VISITS.schema, partition_by=["wardlake_bucket"])
    rows = make_rows(lab.log(insert(2, note="y", ward="w")), wider, merged_at=NOW)
    lab.tables.merge(lab.path, rows, merge_of(wider, ["north"]))
    (row,) = lab.tables.read(lab.path).collect()
    assert (row["note"], row["ward"]) == ("y", "w")


def test_names_that_need_quotes_are_only_names(spark: SparkSession, tmp_path: Path) -> None:
    table = RawTable(name="odd", columns={"a b": "string", "it's": "int", "x`y": "string"}, buckets=2)
    tables, path = DeltaTables(spark), str(tmp_path / "odd")
    properties = {"delta.columnMapping.mode": "name"}
    tables.create(path, table.schema, partition_by=["wardlake_bucket"], properties=properties)
    row = json.dumps({"a b": "1", "it's": "2", "x`y": "3"})
    practice = "St. Mary's \\' OR true --"
    told = [entry(1, 1, practice, deed=Deed.UPSERT, row=row, part=1)]
    log = number_entries(spark, {1: tabulate_entries(told, epoch=0)})
    for _ in range(2):
        tables.merge(path, make_rows(log, table, merged_at=NOW), merge_of(table, [practice]))
    (found,) = tables.read(path).collect()
    assert (found["a b"], found["it's"], found["x`y"], found["wardlake_practice"]) == ("1", 2, "3", practice)
