"""Which values of the source are searched for in the output, and which are too short or too common to say anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardlake.model.treatments import (
    Decision,
    EmbeddedTokens,
    FormatToken,
    FreeText,
    IdentifierKind,
    Surrogate,
    SurrogateKind,
    Token,
    Verdict,
)

NAME_KINDS = frozenset({SurrogateKind.FIRST_NAME, SurrogateKind.MIDDLE_NAME, SurrogateKind.LAST_NAME, SurrogateKind.FULL_NAME})


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredKinds:
    """When a column whose decision does not say what it holds is taken for an identifier's, and when for a category's."""

    rate: float  # share of the cells whose content speaks for the kind
    categories: int  # so many different values at most, each in
    category_cells: int  # so many cells on average


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValuePolicy:
    """`conf/disclosure/residue.yaml`, `known_values`.

    `groupings` are the ways in which people write a number of a kind, as lengths of its groups. `abbreviations` maps words of
    street addresses to their postal short form, `unit_words` begin what follows the street. `not_names` are phrases of the
    field that read like full names and are none (eponyms), in plain lower case.
    """

    kinds: tuple[IdentifierKind, ...]
    min_text: int  # letters and digits of a value that is searched for as text
    min_code: int  # of an identifier that is one word
    min_name_part: int
    min_full_name: int
    min_digits: int
    max_digits: int  # longer runs of digits are compared whole and at both ends only
    max_words: int
    groupings: Mapping[IdentifierKind, tuple[tuple[int, ...], ...]]
    abbreviations: Mapping[str, str]
    unit_words: tuple[str, ...]
    inferred: InferredKinds
    not_names: tuple[str, ...] = ()


_NO_NAMES = frozenset({SurrogateKind.NAME_PREFIX, SurrogateKind.NAME_SUFFIX})


def known_kind(decision: Decision) -> IdentifierKind | None:
    """What kind of identifier a source column holds, as far as its decision says; None where it is not searched for."""
    if decision.verdict is Verdict.SAFE:
        return None
    if isinstance(decision.rule, FreeText | EmbeddedTokens):
        return None  # text about people, not an identifier: its identifiers are collected where they stand alone
    if isinstance(decision.rule, Surrogate) and decision.rule.kind in _NO_NAMES:
        return None  # Mr and PhD name nobody
    if decision.kind is not None:
        return decision.kind
    match decision.rule:
        case Token() | FormatToken():
            return IdentifierKind.UNIQUE_CODE
        case Surrogate(kind=kind):
            return surrogate_kind(kind)
        case _:
            return None


def surrogate_kind(kind: SurrogateKind) -> IdentifierKind | None:
    """The kind of identifier that a surrogate stands in for."""
    match kind:
        case SurrogateKind.FIRST_NAME | SurrogateKind.MIDDLE_NAME | SurrogateKind.LAST_NAME | SurrogateKind.FULL_NAME:
            return IdentifierKind.PERSON_NAME
        case SurrogateKind.STREET:
            return IdentifierKind.STREET_ADDRESS
        case SurrogateKind.PHONE:
            return IdentifierKind.PHONE
        case SurrogateKind.EMAIL:
            return IdentifierKind.EMAIL
        case SurrogateKind.CITY | SurrogateKind.COUNTY:
            return IdentifierKind.PLACE_NAME
        case SurrogateKind.NAME_PREFIX | SurrogateKind.NAME_SUFFIX | SurrogateKind.ORGANISATION:
            return None
        case _:
            raise ValueError(f"unknown kind of surrogate: {kind}")
