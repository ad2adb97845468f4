"""What a column's name speaks for: words of eight languages against the parts of the name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wardlake.model.treatments import IdentifierKind

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", re.UNICODE)
_SYNTAX = re.compile(r"\[\]|\$|\{key\}|\{value\}")

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameLists:
    """Words by kind (deny) and names that are harmless as a whole (allow), folded."""

    deny: Mapping[Words, frozenset[IdentifierKind]]
    allow: frozenset[str]


def name_lists(deny: Mapping[IdentifierKind, Iterable[str]], allow: Iterable[str]) -> NameLists:
    """The lists with their words folded and split, so that names need no more than look-ups."""
    words: dict[Words, frozenset[IdentifierKind]] = {}
    for kind, entries in deny.items():
        for entry in entries:
            parts = tuple(fold_word(part) for part in entry.split())
            words[parts] = words.get(parts, frozenset()) | {kind}
    return NameLists(deny=words, allow=frozenset("".join(fold_word(p) for p in entry.split()) for entry in allow))


def kinds_of_name(path: str, lists: NameLists) -> tuple[IdentifierKind, ...]:
    """Kinds that the last name of a path speaks for, in the vocabulary's order; none where the whole name is allowed."""
    parts = name_parts(path)
    if "".join(parts) in lists.allow:
        return ()
    last = len(parts)
    found = set(lists.deny.get(("".join(parts),), ()))
    for start in range(last):
        for end in range(start + 1, last + 1):
            kinds = lists.deny.get(parts[start:end], frozenset())
            # `encounter_id` is a key, `base_encounter_cost` is none: what a name is stands at its end
            found |= kinds if end == last else kinds - {IdentifierKind.UNIQUE_CODE}
    return tuple(kind for kind in IdentifierKind if kind in found)


def is_allowed_name(path: str, lists: NameLists) -> bool:
    return "".join(name_parts(path)) in lists.allow


def name_parts(path: str) -> Words:
    """The words of a path's last name: `address.PostalCode` gives `postal`, `code`."""
    names = [name for name in _SYNTAX.sub("", path).split(".") if name]
    if not names:
        return ()
    # the full decomposition would part a letter from its accent, so accents are folded before names are cut
    return tuple(fold_word(part) for part in _PARTS.findall(fold_accents(names[-1])))


def fold_word(word: str) -> str:
    return fold_accents(word).lower()


def fold_accents(text: str) -> str:
    """Without accents, so that `teléfono` and `telefono` are one word."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
