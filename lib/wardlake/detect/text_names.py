"""Names in free text, by what English does not know: two capitalised words side by side of which one is no ordinary word.

Lists of names never hold all names, but a list of ordinary words comes close to holding all ordinary words. So a text is read
word by word, and a name is a word that a list of names has or no list of words, beside another that can be part of a name, or
behind a title. Brands and towns are taken for names too: right for text that is cleaned of all it finds, wrong for columns of
terms.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.detect.name_lists import census, fold_name, is_word, read_list
from wardlake.detect.names import CAPITAL, LETTERS, NameWords
from wardlake.detect.texts import plain_texts
from wardlake.model.treatments import IdentifierKind

TEXT_NAME = "text-name"

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_TOGETHER = re.compile(r"\d{0,4}[ \t,.'\u2019_-]{0,4}")  # some sources number their people: Crista774 Koss676
_TWO_CAPITALS = rf"(?s){CAPITAL}.*[^{LETTERS}]{CAPITAL}"
_SHORT_CODE = 4  # MRI, CHAR: an abbreviation unless a list of names has it
_FIRST, _LAST, _UNKNOWN, _ORDINARY, _TITLE, _INITIAL, _PARTICLE = 1, 2, 4, 8, 16, 32, 64

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TextNameMatcher:
    """Finds names of people anywhere in a text, those of no list included."""

    words: NameWords
    name: str = TEXT_NAME

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        texts = plain_texts(values)
        candidates = np.flatnonzero(pc.match_substring_regex(texts, _TWO_CAPITALS).to_numpy(zero_copy_only=False))
        if not len(candidates):
            return {}
        named = [any(find_names(text, self.words)) for text in texts.take(pa.array(candidates)).to_pylist()]
        mask = np.zeros(len(values), dtype=bool)
        mask[candidates[np.array(named, dtype=bool)]] = True
        return {IdentifierKind.PERSON_NAME: pa.array(mask)}


@dataclass(slots=True)
class _Before:
    """What stood before a word, as far as it can belong to the same name."""

    mark: int = 0
    span: Span = (0, 0)
    titled: bool = False
    initial: bool = False

    @property
    def is_open(self) -> bool:
        return bool(self.mark) or self.titled


def find_names(text: str, words: NameWords) -> Iterator[Span]:
    """Where names stand, as start and end of two words that belong together; a longer name comes as several spans."""
    before, end = _Before(), 0
    for found in _WORD.finditer(text):
        gap, mark = text[end : found.start()], _mark(found.group(), words)
        end = found.end()
        if not mark or not _TOGETHER.fullmatch(gap):
            before = _Before()
        if mark == _TITLE:
            before = _Before(titled=True)
        elif mark == _INITIAL:
            before.initial = bool(before.mark)
        elif mark and mark != _PARTICLE:
            if before.is_open and _is_name(before, gap, mark):
                yield (before.span[0] if before.mark else found.start(), found.end())
            before = _Before(mark, found.span())


def _is_name(before: _Before, gap: str, mark: int) -> bool:
    """Whether a word and what stood before it are a name."""
    if before.titled and not before.mark:
        return bool(mark & (_FIRST | _LAST | _UNKNOWN))
    if (before.mark & _FIRST and mark & _LAST) or ("," in gap and before.mark & _LAST and mark & _FIRST):
        return True
    if "." in gap and not before.initial:
        return False  # two sentences
    possible = _FIRST | _LAST | _UNKNOWN
    if before.initial:
        return bool(mark & possible)
    return bool((before.mark & _UNKNOWN and mark & possible) or (mark & _UNKNOWN and before.mark & possible))


@functools.lru_cache(maxsize=200_000)
def _mark(word: str, words: NameWords) -> int:
    """What a word can be in a name; 0 where it ends one."""
    folded = fold_name(word)
    if len(folded) == 1:
        return _INITIAL if word[0].isupper() else _PARTICLE
    if not word[0].isupper():
        return _PARTICLE if folded in words.particles or folded in words.joiners else 0
    if folded in words.titles:
        return _TITLE
    listed = _listed(word, folded, words)
    if not listed and (folded in words.joiners or folded in words.particles):
        return _PARTICLE
    if not listed and len(word) <= _SHORT_CODE and word.isupper():
        return 0
    ordinary = folded in words.not_first or folded in words.not_last or is_word(folded)
    return listed | (_ORDINARY if ordinary else _UNKNOWN)


def _listed(word: str, folded: str, words: NameWords) -> int:
    parts = [folded, *(fold_name(part) for part in re.split(r"['\u2019-]", word) if len(part) > 1)]
    first, last = _given_names(), _surnames()
    is_first = any(part in first and part not in words.not_first for part in parts)
    is_last = any(part in last and part not in words.not_last for part in parts)
    return (_FIRST if is_first else 0) | (_LAST if is_last else 0)


@functools.cache
def _given_names() -> frozenset[str]:
    return census("dist.female.first") | census("dist.male.first") | read_list("first_names")


@functools.cache
def _surnames() -> frozenset[str]:
    return census("dist.all.last") | read_list("last_names")
