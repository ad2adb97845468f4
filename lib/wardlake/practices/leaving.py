"""What goes of a row's history with a patient who leaves, where the row was theirs once or is theirs still. Pure.

A source may correct whose a row is. What it told of the row as somebody else's stays, and with it what that rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

BASE_PART = -1  # of entries that stand in for those that went: right before what rests on them
Place = tuple[Decimal, int, int]  # commit, sequence and part: an entry's place in the history of its row
Values = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a row's history, or the row as it stands in its raw table. `row` is None for a delete."""

    batch: int
    place: Place
    row: Values | None
    unchanged: tuple[str, ...] = ()
    needs_row: bool = False
    committed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What goes of a row: all of it where it `is_theirs`, else entries at these places, for which `bases` come to the log."""

    is_theirs: bool
    goes: frozenset[Place] = frozenset()
    bases: tuple[Entry, ...] = ()


def part_from(history: Sequence[Entry], patient: str, *, column: str, key: Values, stands: Entry | None = None) -> Leaving:
    """What goes of one row, which was told to be the patient's by an entry, or by `stands`: the row in its raw table.

    A row is theirs until it is told to be somebody else's; a delete is of whom the row was. What stays is merged as it would have
    been: values that it does not tell again come with a base of its own batch, which tells nothing else.
    """
    ordered = sorted(history, key=lambda each: (each.place, each.batch))
    owners = _owners(ordered, patient, column, key)
    if not owners or owners[-1] == patient:
        return Leaving(is_theirs=True)
    goes = frozenset(each.place for each, owner in zip(ordered, owners, strict=True) if owner == patient)
    return Leaving(is_theirs=False, goes=goes, bases=tuple(_bases(ordered, goes, stands)))


def _owners(ordered: Sequence[Entry], patient: str, column: str, key: Values) -> list[str]:
    """Whose the row was after each entry. A base is of whoever told what rests on it."""
    owners, owner = [], patient
    for each in ordered:
        owner = {**key, **(each.row or {})}.get(column) or owner
        owners.append(owner)
    for at in reversed(range(len(ordered) - 1)):
        if ordered[at].place[2] == BASE_PART:
            owners[at] = owners[at + 1]
    return owners


def _bases(ordered: Sequence[Entry], goes: frozenset[Place], stands: Entry | None) -> list[Entry]:
    bases = []
    for each in ordered:
        if each.place in goes or each.row is None or not (each.needs_row or each.unchanged):
            continue
        before = [other for other in (*ordered, *([stands] if stands else [])) if other.place < each.place]
        before.sort(key=lambda other: other.place)
        if before and (before[-1].place in goes or before[-1] is stands) and before[-1].row is not None:
            bases.append(_base(each, before))
    return bases


def _base(entry: Entry, before: Sequence[Entry]) -> Entry:
    """What an entry takes from before, as an entry of its own right before it."""
    known, needs_row = _after(before)
    row = {name: known[name] for name in entry.unchanged if name in known}
    commit, sequence, _ = entry.place
    unchanged = tuple(name for name in entry.unchanged if name not in row)
    return replace(entry, place=(commit, sequence, BASE_PART), row=row, unchanged=unchanged, needs_row=needs_row)


def _after(entries: Sequence[Entry]) -> tuple[Values, bool]:
    """What is known of a row after these, and whether that rests on a row from before them."""
    known: Values | None = None
    needs_row = is_gone = False
    for each in entries:
        if each.row is None:
            known, needs_row, is_gone = None, False, True
            continue
        is_first = known is None and not is_gone
        needs_row = each.needs_row and (is_first or needs_row)
        known = {**{name: (known or {})[name] for name in each.unchanged if name in (known or {})}, **each.row}
        is_gone = False
    return known or {}, needs_row
