"""A column that is gone is told from one that is declared before it comes."""

from __future__ import annotations

from wardlake.practices.told_columns import ToldColumns, columns_gone, first_told

DECLARED = ("id", "code", "ward")


def told(*columns: str, first: int, last: int | None = None) -> ToldColumns:
    return ToldColumns(columns=frozenset(columns), first=first, last=last or first)


def test_the_first_commit_that_told_a_column_is_remembered_in_any_order() -> None:
    later = first_told({}, DECLARED, [told("id", "code", "other", first=7, last=9)])
    assert later == {"id": 7, "code": 7}
    assert first_told(later, DECLARED, [told("id", first=3)]) == {"id": 3, "code": 7}


def test_a_column_that_nobody_told_yet_is_declared_early_and_not_gone() -> None:
    rows = [told("id", "code", first=5)]
    assert columns_gone(first_told({}, DECLARED, rows), DECLARED, rows) == []


def test_a_column_that_a_later_change_lacks_is_gone() -> None:
    rows = [told("id", "code", first=5), told("id", first=6)]
    assert columns_gone(first_told({}, DECLARED, rows), DECLARED, rows) == ["code"]


def test_changes_of_before_a_column_was_added_lack_nothing() -> None:
    assert columns_gone({"id": 1, "code": 6}, DECLARED, [told("id", first=2, last=5)]) == []
    assert columns_gone({"id": 1, "code": 6}, DECLARED, [told("id", first=2, last=7)]) == ["code"]
