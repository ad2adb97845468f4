"""One spelling for many: how a text is normalised before it is hashed, the same for the source and for the output.

Letters lose their case and accents, full-width and other scripts' digits become 0 to 9, invisible characters vanish,
percent and backslash-u escapes are resolved, and whatever is neither letter nor digit only separates words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_ESCAPED = r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}"
_MAY_BE_ESCAPED = re.compile(_ESCAPED)
_WORD = re.compile(r"[^\W_]+")
_JSON_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_IGNORED = frozenset({"Cf", "Mn", "Me", "Cc"})  # format characters (zero width, direction), marks, controls


@dataclass(frozen=True, slots=True)
class Words:
    """The words of many texts on end: `words[i]` belongs to text `rows[i]`, in the text's order."""

    words: pa.StringArray
    rows: npt.NDArray[np.int64]


def normalise(values: pa.StringArray) -> pa.StringArray:
    """Lower case, plain digits, no accents, no invisible characters, no escapes."""
    plain = pc.and_(pc.string_is_ascii(values), pc.invert(pc.match_substring_regex(values, _ESCAPED)))
    lowered = pc.ascii_lower(values)
    if pc.all(plain).as_py() in (True, None):
        return lowered
    slow = pa.array([_normalise_one(text) for text in values.filter(pc.invert(plain)).to_pylist()], pa.string())
    return pc.replace_with_mask(lowered, pc.invert(plain), slow)


def _normalise_one(text: str) -> str:
    if "%" in text:
        text = unquote(text, errors="replace")
    text = _JSON_ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(_plain(letter) for letter in folded)


def _plain(letter: str) -> str:
    if letter < "\x80":
        return letter
    category = unicodedata.category(letter)
    if category == "Nd":
        return str(unicodedata.digit(letter))
    return "" if category in _IGNORED else letter


def split_words(normalised: pa.StringArray) -> Words:
    """Runs of letters and digits; each knows its text."""
    spaced = pc.replace_substring_regex(normalised, r"[^\pL\pN]+", " ")
    lists = pc.split_pattern(pc.utf8_trim_whitespace(spaced), " ")
    words = pc.list_flatten(lists)
    rows = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    filled = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    return Words(words.filter(pa.array(filled)), rows[filled])


def words_of(text: str) -> list[str]:
    """The words of one text, for the few values that are looked at one by one."""
    plain = text.isascii() and not _MAY_BE_ESCAPED.search(text)
    return _WORD.findall(text.lower() if plain else _normalise_one(text))


def shorten_words(words: Sequence[str], abbreviations: Mapping[str, str]) -> list[str]:
    """Street words in their postal abbreviation."""
    return [abbreviations.get(word, word) for word in words]


def rows_hit(rows: npt.NDArray[np.int64], count: int) -> pa.BooleanArray:
    """True for the texts that `rows` names, out of `count`."""
    hit = np.zeros(count, dtype=bool)
    hit[rows] = True
    return pa.array(hit)
