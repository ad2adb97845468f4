"""Which columns of a table name a person, and which say when they were born, where they live, how they are called up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardlake.model.treatments import (
    DateYear,
    Decision,
    IdentifierKind,
    Surrogate,
    SurrogateKind,
    Zip3,
)
from wardlake.publish.residue.known_values.policy import NAME_KINDS, known_kind

_FIRST = ("first", "given", "forename")
_LAST = ("last", "family", "surname", "maiden")
_MIDDLE = ("middle",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonColumns:
    """Top-level columns of one table by what they say of a person."""

    first: tuple[str, ...] = ()
    middle: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    birth: tuple[str, ...] = ()
    street: tuple[str, ...] = ()
    phone: tuple[str, ...] = ()
    zip: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        columns = (*self.first, *self.middle, *self.last, *self.full, *self.birth, *self.street, *self.phone, *self.zip)
        return tuple(dict.fromkeys(columns))

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.first, *self.middle, *self.last, *self.full)

    @property
    def has_links(self) -> bool:
        named = bool(self.full or (self.first and self.last))
        return (named and bool(self.birth or self.street or self.phone)) or bool(self.birth and self.zip)


def find_person_columns(
    decisions: Mapping[str, Decision], columns: Sequence[str], *, birth_words: Sequence[str]
) -> PersonColumns:
    """The person columns among `columns`, by decision first and by name where the decision says only the kind."""
    found: dict[str, list[str]] = {}
    for column in columns:
        role = _role(column, decisions[column], birth_words) if column in decisions else None
        if role:
            found.setdefault(role, []).append(column)
    return PersonColumns(**{role: tuple(names) for role, names in found.items()})


def _role(column: str, decision: Decision, birth_words: Sequence[str]) -> str | None:
    if isinstance(decision.rule, Surrogate):
        return _SURROGATES.get(decision.rule.kind)
    kind = decision.kind or known_kind(decision)
    lowered = column.lower()
    if kind is IdentifierKind.PERSON_NAME:
        return _name_role(lowered)
    if isinstance(decision.rule, Zip3):
        return "zip"
    if isinstance(decision.rule, DateYear) and decision.rule.birth:
        return "birth"
    if any(word in lowered for word in birth_words) and "place" not in lowered:
        return "birth"
    return _KINDS.get(kind) if kind else None


def is_name_part(path: str, decision: Decision) -> bool:
    """Whether a name's column holds only a first, middle or last name, nested ones too."""
    if isinstance(decision.rule, Surrogate) and decision.rule.kind in NAME_KINDS:
        return decision.rule.kind is not SurrogateKind.FULL_NAME
    return (decision.kind or known_kind(decision)) is IdentifierKind.PERSON_NAME and _name_role(path.lower()) != "full"


def _name_role(lowered: str) -> str:
    for role, words in (("first", _FIRST), ("middle", _MIDDLE), ("last", _LAST)):
        if any(word in lowered for word in words):
            return role
    return "full"


_SURROGATES = {
    SurrogateKind.FIRST_NAME: "first",
    SurrogateKind.MIDDLE_NAME: "middle",
    SurrogateKind.LAST_NAME: "last",
    SurrogateKind.FULL_NAME: "full",
    SurrogateKind.STREET: "street",
    SurrogateKind.PHONE: "phone",
}
_KINDS = {IdentifierKind.STREET_ADDRESS: "street", IdentifierKind.PHONE: "phone", IdentifierKind.ZIP: "zip"}
