"""Of a group that fails, who is at fault is found, and everybody else is done."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlake.model.errors import ContractBroken, RunLocked, StorageUnavailable
from wardlake.practices.bisection import bisect


class Group:
    def __init__(self, bad: set[int]) -> None:
        self.bad, self.done, self.attempts = bad, set[int](), 0

    def attempt(self, members: Sequence[int]) -> None:
        self.attempts += 1
        if self.bad & set(members):
            raise ContractBroken("bad")
        self.done |= set(members)


def test_a_group_without_fault_is_attempted_once() -> None:
    group = Group(set())
    assert list(bisect(range(100), group.attempt, ())) == []
    assert (group.attempts, len(group.done)) == (1, 100)


def test_one_bad_member_is_found_and_all_others_are_done() -> None:
    group = Group({37})
    ((found, problem),) = bisect(range(100), group.attempt, ())
    assert (found, problem.what) == (37, "bad")
    assert group.done == set(range(100)) - {37}
    assert group.attempts <= 1 + 2 * math.ceil(math.log2(100))


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(0, n - 1))))))
def test_exactly_the_bad_ones_fall_out(case: tuple[int, set[int]]) -> None:
    size, chosen = case
    bad = {each for each in chosen if each < size}
    group = Group(bad)
    assert {found for found, _ in bisect(range(size), group.attempt, ())} == bad
    assert group.done == set(range(size)) - bad


def test_what_is_nobody_s_fault_is_raised() -> None:
    def attempt(members: Sequence[int]) -> None:
        raise StorageUnavailable("full")

    with pytest.raises(StorageUnavailable):
        list(bisect(range(4), attempt, (StorageUnavailable, RunLocked)))


def test_a_bug_is_raised() -> None:
    def attempt(members: Sequence[int]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(bisect(range(4), attempt, ()))
