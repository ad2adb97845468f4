"""Of a row that was a patient's once, what was told of it since stays whole, and nothing that was told of it as theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from wardlake.practices.leaving import BASE_PART, Entry, Leaving, Place, Values, part_from

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


def at(commit: int, part: int = 1) -> Place:
    return Decimal(commit), 1, part


def told(commit: int, patient: str | None, *unchanged: str, batch: int = 1, **values: str | None) -> Entry:
    """An insert; an update where `unchanged` names what it does not tell."""
    row: Values = {"patient": patient, **values}
    return Entry(batch=batch, place=at(commit), row=row, unchanged=unchanged, needs_row=bool(unchanged), committed_at=AT)


def gone(commit: int) -> Entry:
    return Entry(batch=1, place=at(commit, 0), row=None, committed_at=AT)


def left(*history: Entry, stands: Entry | None = None) -> Leaving:
    return part_from(history, "X", column="patient", key={"id": "1"}, stands=stands)


@pytest.mark.parametrize(
    "history",
    [
        (),
        (told(1, "X"),),
        (told(1, "X"), gone(2)),
        (told(1, "Y"), told(2, "X")),
        (told(1, "X"), told(2, None)),
        (gone(1),),
    ],
)
def test_all_of_a_row_goes_that_is_theirs_or_nobody_s_since(history: tuple[Entry, ...]) -> None:
    assert left(*history) == Leaving(is_theirs=True)


def test_what_is_told_of_somebody_else_stays_and_its_delete_too() -> None:
    found = left(told(1, "X"), told(2, "Y"), gone(3))
    assert (found.is_theirs, found.goes, found.bases) == (False, {at(1)}, ())


def test_a_long_value_that_was_not_told_again_comes_with_a_base_of_the_same_batch() -> None:
    found = left(told(1, "X", note="long", ward="of X"), told(2, "Y", "note", batch=7, ward="of Y"))
    (base,) = found.bases
    assert found.goes == {at(1)}
    assert (base.batch, base.place, base.row, base.unchanged, base.needs_row) == (
        7,
        at(2, BASE_PART),
        {"note": "long"},
        (),
        False,
    )


def test_what_was_merged_is_taken_from_the_raw_table_as_it_stands() -> None:
    (base,) = left(told(2, "Y", "note", "scan"), stands=told(1, "X", note="long", scan=None)).bases
    assert (base.row, base.unchanged, base.needs_row) == ({"note": "long", "scan": None}, (), False)


def test_what_rests_on_a_row_that_nobody_told_rests_on_it_still() -> None:
    (base,) = left(told(2, "X", "note"), told(3, "Y", "note")).bases
    assert (base.row, base.unchanged, base.needs_row) == ({}, ("note",), True)


def test_an_erasure_that_broke_off_finds_its_bases_and_takes_them_for_nobody_s() -> None:
    history = [told(1, "X", note="long"), told(2, "Y", "note")]
    first = left(*history)
    again = left(*history, *first.bases)
    assert (again.goes, again.bases) == ({at(1)}, ())


def test_a_base_goes_with_whom_it_was_made_for() -> None:
    history = [told(1, "Y", note="long"), told(2, "X", "note"), told(3, "Z", "note")]
    (base,) = part_from(history, "Y", column="patient", key={}).bases
    found = left(base, *history[1:])
    assert (base.place, found.goes) == (at(2, BASE_PART), {at(2, BASE_PART), at(2)})
    assert [(each.place, each.row) for each in found.bases] == [(at(3, BASE_PART), {"note": "long"})]
