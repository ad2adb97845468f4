"""Free text, where its release was asked for: the patient's own identifiers go first, then patterns, then names.

Most of what a note gives away is about its own patient, and the structured tables know what that is: these are removed by native
expressions, whatever they look like. Patterns and names follow, for everybody else the note speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import pandas as pd
import pyarrow as pa
import re2
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DataType, StringType

from wardlake.deidentify.column_types import is_text, unsuitable
from wardlake.deidentify.rules.folded_text import fold_text
from wardlake.deidentify.rules.own_identifiers import remove_own_identifiers
from wardlake.detect.checks import CHECKS
from wardlake.detect.names import NameWords
from wardlake.detect.patterns import Pattern
from wardlake.detect.text_names import find_names
from wardlake.detect.texts import plain_texts
from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import IdentifierKind

_PERSON = f"[{IdentifierKind.PERSON_NAME.value}]"
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*\d*")


@dataclass(frozen=True, slots=True)
class TextVocabulary:
    """What is removed from any text: patterns of identifiers, names that lists hold (case-folded), and what reads like a name."""

    patterns: tuple[Pattern, ...] = ()
    names: frozenset[str] = frozenset()
    words: NameWords | None = None  # none: names that lists hold only


def clean_text(
    value: Column, data_type: DataType, *, own: Column | None, vocabulary: TextVocabulary, elements: bool = False
) -> Column:
    """A text without its patient's identifiers, without what looks like an identifier, without known names.

    Input: text; `own`, what is looked for of the row's patient (`gather_own_identifiers`).
    Output: text, folded (`fold_text`), with tokens or tags such as `[person_name]` in their places; null stays null. Text of a
    row without a patient, whose own identifiers nobody knows, becomes null.
    """
    if not is_text(data_type):
        raise unsuitable("free_text", data_type)
    if own is None or not vocabulary.patterns or not vocabulary.names:
        raise ConfigurationError(
            what="Rule free_text with `release: true` needs the patients' own identifiers, patterns and names.",
            next_step="Leave `release` out: the column is then empty.",
        )
    if elements:
        raise ConfigurationError(what="Rule free_text does not work within an array or map.", next_step="Block the field.")
    return _search(vocabulary)(F.when(own.isNotNull(), remove_own_identifiers(fold_text(value), own)))


def count_removed(text: Column, kind: IdentifierKind) -> Column:
    """How many identifiers of a kind a cleaned text is marked to have lost."""
    return F.regexp_count(text, F.lit(rf"\[{kind.value}\]"))


def remove_from_text(text: str, vocabulary: TextVocabulary) -> str:
    """One text without what the patterns and the names find in it."""
    for pattern in vocabulary.patterns:
        text = _without_pattern(text, pattern)
    if vocabulary.words:
        text = _without_spans(text, find_names(text, vocabulary.words))
    return _without_names(text, vocabulary.names)


def _search(vocabulary: TextVocabulary) -> Callable[[Column], Column]:
    def search(texts: pd.Series) -> pd.Series:
        written = pa.array(texts.dropna().unique(), pa.string())
        folded = plain_texts(written).to_pylist()  # full-width digits and other dashes as ASCII
        distinct = {text: remove_from_text(plain, vocabulary) for text, plain in zip(written.to_pylist(), folded, strict=True)}
        return pd.Series([distinct.get(text) for text in texts], dtype="object")

    return cast(Callable[[Column], Column], pandas_udf(search, StringType()))  # type: ignore[call-overload]


def _without_pattern(text: str, pattern: Pattern) -> str:
    pieces, end = [], 0
    for start, stop in _spans(text, pattern):
        if start >= end:
            pieces += [text[end:start], f"[{pattern.kind.value}]"]
            end = stop
    return "".join([*pieces, text[end:]]) if pieces else text


def _spans(text: str, pattern: Pattern) -> Iterator[tuple[int, int]]:
    """Where the pattern's identifier stands: its group, whose borders two neighbours may share."""
    compiled, at = re2.compile(pattern.expression), 0
    group = 1 if compiled.groups else 0
    while at <= len(text) and (found := compiled.search(text, at)):
        start, stop = found.span(group)
        if stop > start and (not pattern.check or CHECKS[pattern.check](text[start:stop])):
            yield start, stop
        at = max(stop, found.start() + 1)


def _without_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text without these stretches, which come in order and may overlap."""
    pieces, end = [], 0
    for start, stop in spans:
        if start >= end:
            pieces += [text[end:start], _PERSON]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def _without_names(text: str, names: frozenset[str]) -> str:
    return _WORD.sub(lambda word: _PERSON if _is_name(word.group(), names) else word.group(), text)


def _is_name(word: str, names: frozenset[str]) -> bool:
    bare = word.rstrip("0123456789")
    return not bare.islower() and any(part.casefold() in names for part in (bare, *re.split(r"['\u2019-]", bare)))
