"""Two practices never have one name for the people who read it."""

from __future__ import annotations

import pytest

from wardlake.practices.names import find_alike, fold_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("North", "north"),
        ("Süd", "Su\u0308d"),
        ("Straße", "STRASSE"),
        ("North Clinic", " North  Clinic "),
        ("\uff21", "a"),
        ("ﬁrst", "FIRST"),
    ],
)
def test_names_that_read_the_same_are_alike(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)
    assert find_alike([one], [other]) == [tuple(sorted((one, other)))]
    assert find_alike([one, other], []) == [tuple(sorted((one, other)))]


def test_names_that_differ_are_not() -> None:
    assert find_alike(["north", "south"], ["west", "North 2"]) == []


def test_who_is_in_already_keeps_nobody_else_out() -> None:
    assert find_alike(["east", "north"], ["North", "north"]) == []
