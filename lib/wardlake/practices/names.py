"""Names of practices that people cannot tell apart. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection


def fold_name(name: str) -> str:
    """A name as people read it: equal for names that differ in case, in compatible forms of a character, or in blanks."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def find_alike(chosen: Collection[str], inside: Collection[str]) -> list[tuple[str, ...]]:
    """Groups of names that read the same, at least one of which is to be let in beside another that is or is in."""
    groups: dict[str, set[str]] = {}
    for name in {*chosen, *inside}:
        groups.setdefault(fold_name(name), set()).add(name)
    fresh = set(chosen) - set(inside)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1 and group & fresh)
