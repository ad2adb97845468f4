"""What links a row to a person: a full name with a birth date, an address or a phone; a birth date with a five-digit ZIP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.known_values.forms import Form, Role, name_forms
from wardlake.publish.residue.known_values.policy import KnownValuePolicy
from wardlake.publish.residue.known_values.texts import shorten_words, words_of
from wardlake.publish.residue.linkage.columns import PersonColumns

Cells = Mapping[str, str | None]
Link = tuple[tuple[str, ...], Form]  # the columns that hold its parts

_ZIP_DIGITS = 5
_PHONE_DIGITS = 10


def list_links(cells: Cells, person: PersonColumns, policy: KnownValuePolicy) -> Iterator[Link]:
    """Every combination in one row that points to one person, as hashable text."""
    names = list(_full_names(cells, person))
    births = list(_births(cells, person))
    for columns, name in names:
        for column, date in births:
            yield _link((*columns, column), f"{name}|born|{date}", IdentifierKind.DATE)
        for column, street in _streets(cells, person, policy):
            yield _link((*columns, column), f"{name}|street|{street}", IdentifierKind.STREET_ADDRESS)
        for column, phone in _phones(cells, person):
            yield _link((*columns, column), f"{name}|phone|{phone}", IdentifierKind.PHONE)
    for (birth, date), (column, code) in product(births, list(_zips(cells, person))):
        yield _link((birth, column), f"born|{date}|zip|{code}", IdentifierKind.ZIP)


def list_row_names(cells: Cells, person: PersonColumns, policy: KnownValuePolicy) -> Iterator[Form]:
    """Forms of the names that a row spells out over several columns."""
    middles = [words_of(cells.get(column) or "") for column in person.middle]
    for first, last in product(person.first, person.last):
        parts = [words_of(cells.get(first) or ""), words_of(cells.get(last) or "")]
        if all(parts):
            yield from name_forms(parts, policy)
            for middle in middles:
                yield from name_forms([parts[0], middle, parts[1]], policy)


def _link(columns: tuple[str, ...], text: str, kind: IdentifierKind) -> Link:
    return columns, Form(Role.LINK, text, kind)


def _full_names(cells: Cells, person: PersonColumns) -> Iterator[tuple[tuple[str, ...], str]]:
    for first, last in product(person.first, person.last):
        given, family = words_of(cells.get(first) or ""), words_of(cells.get(last) or "")
        if given and family:
            yield (first, last), f"{given[0]} {family[-1]}"
    for column in person.full:
        words = words_of(cells.get(column) or "")
        if len(words) > 1:
            yield (column,), f"{words[0]} {words[-1]}"


def _births(cells: Cells, person: PersonColumns) -> Iterator[tuple[str, str]]:
    for column in person.birth:
        if date := cells.get(column):
            yield column, date


def _streets(cells: Cells, person: PersonColumns, policy: KnownValuePolicy) -> Iterator[tuple[str, str]]:
    for column in person.street:
        if words := shorten_words(words_of(cells.get(column) or ""), policy.abbreviations):
            yield column, " ".join(words)


def _phones(cells: Cells, person: PersonColumns) -> Iterator[tuple[str, str]]:
    for column in person.phone:
        digits = "".join(letter for letter in "".join(words_of(cells.get(column) or "")) if letter.isdecimal())
        if len(digits) >= _PHONE_DIGITS:
            yield column, digits[-_PHONE_DIGITS:]


def _zips(cells: Cells, person: PersonColumns) -> Iterator[tuple[str, str]]:
    for column in person.zip:
        digits = "".join(words_of(cells.get(column) or ""))
        if len(digits) >= _ZIP_DIGITS:
            yield column, digits[:_ZIP_DIGITS]
