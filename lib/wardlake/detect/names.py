"""Names of people and places from dictionaries: full names inside texts, and cells that are nothing but a name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.detect.name_lists import census, fold_name, is_word, read_list
from wardlake.detect.texts import plain_texts
from wardlake.model.treatments import IdentifierKind

Mask = npt.NDArray[np.bool_]

DICTIONARY, NAME_CELL = "dictionary", "name-cell"

LETTERS = r"A-Za-z\x{80}-\x{10ffff}"
CAPITAL = r"[A-Z\x{c0}-\x{de}\x{100}-\x{10ffff}]"
_TWO_CAPITALISED = rf"{CAPITAL}[{LETTERS}'-]*[^{LETTERS}]{{1,8}}{CAPITAL}"
_LAST_COMMA_FIRST = rf"{CAPITAL}[{LETTERS}'-]+[0-9]*, ?{CAPITAL}"
_BETWEEN = rf"[^{LETTERS}'-]+"  # above ASCII all is taken for letters, the typographic apostrophe too
_NAME_WORD = rf"[{LETTERS}][{LETTERS}'.-]{{0,30}}[0-9]{{0,4}}"
_NAME_LIKE = rf"^{_NAME_WORD}(?:[ ,]+{_NAME_WORD}){{0,5}}$"
_MOST_TOKENS = 6

_FIRST, _LAST, _CAPITALISED, _WORD, _JOINER = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class NameWords:
    """Words that the dictionaries hold and that mostly mean something else; lower case, from configuration."""

    not_first: frozenset[str]
    not_last: frozenset[str]
    joiners: frozenset[str]  # titles, suffixes and particles that go with a name
    not_places: frozenset[str]
    titles: frozenset[str]  # what stands before a name
    particles: frozenset[str]  # what stands within one


def parse_name_words(document: Mapping[str, Any]) -> NameWords:
    """The word lists of `conf/detection/names.yaml`."""
    return NameWords(**{field.name: frozenset(map(str, document[field.name])) for field in fields(NameWords)})


@dataclass(frozen=True, slots=True)
class FullNameMatcher:
    """Finds a given name followed by a surname, both capitalised, or `Surname, Given`, anywhere in a text."""

    words: NameWords
    name: str = DICTIONARY

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        return _match_where(values, _TWO_CAPITALISED, self._full_names, IdentifierKind.PERSON_NAME)

    def _full_names(self, texts: pa.StringArray) -> Mask:
        parents, flags = _flag_tokens(texts, self.words)
        kept = (flags & _WORD > 0) & (flags & _JOINER == 0)
        parents, flags = parents[kept], flags[kept]
        first, last = _is(flags, _FIRST | _CAPITALISED), _is(flags, _LAST | _CAPITALISED)
        together = parents[:-1] == parents[1:]
        commas = pc.match_substring_regex(texts, _LAST_COMMA_FIRST).to_numpy(zero_copy_only=False).astype(bool)
        pairs = together & first[:-1] & last[1:]
        reversed_pairs = together & last[:-1] & first[1:]
        found = np.zeros(len(texts), dtype=bool)
        found[parents[:-1][pairs]] = True
        found[parents[:-1][reversed_pairs & commas[parents[:-1]]]] = True
        return found


@dataclass(frozen=True, slots=True)
class NameCellMatcher:
    """Finds cells that consist of a person's name, whole or in part, or of a place, and of nothing else."""

    words: NameWords
    name: str = NAME_CELL

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        people = _match_where(values, _NAME_LIKE, self._names, IdentifierKind.PERSON_NAME)
        places = _match_where(values, _NAME_LIKE, self._places, IdentifierKind.PLACE_NAME)
        return {**people, **places}

    def _names(self, texts: pa.StringArray) -> Mask:
        parents, flags = _flag_tokens(texts, self.words)
        named = (flags & (_FIRST | _LAST) > 0) & (flags & _JOINER == 0)
        words = np.bincount(parents[flags & _WORD > 0], minlength=len(texts))
        accepted = np.bincount(parents[named | (flags & _JOINER > 0)], minlength=len(texts))
        names = np.bincount(parents[named], minlength=len(texts))
        whole = (names > 0) & (accepted == words) & (words <= _MOST_TOKENS)
        found: Mask = whole & _can_be_first_and_last(parents[named], flags[named], names)
        return found

    def _places(self, texts: pa.StringArray) -> Mask:
        places, not_places = read_list("places"), self.words.not_places
        heads = (text.lower().split(",")[0].split("  ")[0].strip() for text in texts.to_pylist())
        return np.fromiter((h in places and h not in not_places for h in heads), dtype=bool, count=len(texts))


def _can_be_first_and_last(parents: npt.NDArray[np.int64], flags: npt.NDArray[np.int64], names: npt.NDArray[np.int64]) -> Mask:
    """Of several name words one can be the given name; one word alone may be either."""
    firsts = np.bincount(parents[flags & _FIRST > 0], minlength=len(names))
    found: Mask = (names == 1) | (firsts > 0)
    return found


def _match_where(
    values: pa.StringArray,
    gate: str,
    find: Callable[[pa.StringArray], Mask],
    kind: IdentifierKind,
) -> dict[IdentifierKind, pa.BooleanArray]:
    texts = plain_texts(values)
    candidates = np.flatnonzero(pc.match_substring_regex(texts, gate).to_numpy(zero_copy_only=False))
    if not len(candidates):
        return {}
    mask = np.zeros(len(values), dtype=bool)
    mask[candidates] = find(texts.take(pa.array(candidates)))
    return {kind: pa.array(mask)}


def _flag_tokens(texts: pa.StringArray, words: NameWords) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every word of every text: which text it is in, and what it can be."""
    split = pc.split_pattern_regex(texts, _BETWEEN)
    encoded = split.flatten().dictionary_encode()
    flags = np.fromiter((_flag(token, words) for token in encoded.dictionary.to_pylist()), dtype=np.int64)
    parents = np.repeat(np.arange(len(texts)), pc.list_value_length(split).to_numpy(zero_copy_only=False))
    return parents, flags[encoded.indices.to_numpy(zero_copy_only=False)] if len(flags) else np.empty(0, np.int64)


def _flag(token: str, words: NameWords) -> int:
    plain = fold_name(token)
    if not plain:
        return 0
    flags = _WORD | (_CAPITALISED if token.strip("'\N{RIGHT SINGLE QUOTATION MARK}-")[:1].isupper() else 0)
    if len(plain) == 1 or plain in words.joiners:
        return flags | _JOINER
    first, last = _people()
    parts = [fold_name(part) for part in token.split("-") if part]
    if plain not in words.not_first and (plain in first or any(p in first for p in parts)):
        flags |= _FIRST
    if plain not in words.not_last and (plain in last or any(p in last for p in parts)):
        flags |= _LAST
    return flags


def names_in_text(words: NameWords) -> frozenset[str]:
    """Every given name and surname that mostly is one, folded: what released text is cleaned of word by word.

    Names of other languages' lists count where English has no such word.
    """
    first, last = _people()
    others = frozenset(name for name in read_list("first_names") | read_list("last_names") if not is_word(name))
    return (first - words.not_first) | (last - words.not_last) | (others - words.not_first - words.not_last)


def _is(flags: npt.NDArray[np.int64], all_of: int) -> Mask:
    found: Mask = (flags & all_of) == all_of
    return found


@functools.cache
def _people() -> tuple[frozenset[str], frozenset[str]]:
    first = census("dist.female.first") | census("dist.male.first")
    return first, census("dist.all.last")
