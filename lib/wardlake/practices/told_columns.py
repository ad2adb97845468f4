"""Columns that a source tells no more: where one was renamed or dropped there, rows that were good would lose its values. Pure.

A column that no change told yet is only declared early; one that was told by an earlier change is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldColumns:
    """The columns that rows of one table told alike, and the commits of the first and the last of these rows."""

    columns: frozenset[str]
    first: int
    last: int


def first_told(before: Mapping[str, int], declared: Collection[str], told: Iterable[ToldColumns]) -> dict[str, int]:
    """The earliest commit known to tell each declared column, after these rows."""
    known = dict(before)
    for each in told:
        for column in each.columns.intersection(declared):
            known[column] = min(known.get(column, each.first), each.first)
    return known


def columns_gone(since: Mapping[str, int], declared: Collection[str], told: Iterable[ToldColumns]) -> list[str]:
    """Declared columns that some of these rows lack though an earlier commit told them."""
    lacking = ((column, each.last) for each in told for column in set(declared) - each.columns)
    return sorted({column for column, last in lacking if column in since and since[column] < last})
