"""Patterns: one coarse expression passes over a column's texts; single ones and their checks see only what it lets through."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import re2

from wardlake.detect.checks import CHECKS
from wardlake.detect.texts import plain_texts
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.treatments import IdentifierKind

Places = npt.NDArray[np.int64]

PATTERN, BARE = "pattern", "bare"

# Neither inside a word, a longer number, a decimal, nor a dotted or dashed code; a full stop may follow.
_BEFORE = r"(?:^|[^0-9A-Za-z._-]|[^0-9A-Za-z][.-]|^[.-])"
_AFTER = r"(?:$|[^0-9A-Za-z._-]|[._-](?:$|[^0-9A-Za-z]))"
_BORDERS = {"number": (_BEFORE + "(", ")" + _AFTER), "word": (r"\b(", r")\b"), "none": ("", "")}
_FIELDS = {"name", "kind", "matcher", "within", "check", "gate", "whole", "expression"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One form of one kind of identifier. `expression` is RE2 with its border; `check` names a validator or is empty.

    A text that the coarse `gate` does not match cannot match `expression`. A `whole` pattern settles the cells it matches.
    """

    name: str
    kind: IdentifierKind
    matcher: str
    expression: str
    gate: str
    check: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class PatternMatcher:
    """Finds texts in which some pattern occurs. Pickles as plain data; expressions are compiled once per process.

    `harmless` expressions are anchored: cells they match are not looked into.
    """

    name: str
    patterns: tuple[Pattern, ...]
    harmless: tuple[str, ...] = ()

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        """Kinds found per text; a text that Unicode writes otherwise (full-width digits, other dashes) is folded first."""
        hits = _Hits(len(values))
        texts = plain_texts(values)
        open_cells = self._settle(texts, hits)
        searched = [pattern for pattern in self.patterns if not pattern.whole]
        passed = _narrow(texts, open_cells, _alternatives({p.gate for p in searched}))
        for gate in dict.fromkeys(pattern.gate for pattern in searched):
            behind = _narrow(texts, passed, gate)
            for pattern in searched:
                if pattern.gate == gate and len(behind):
                    hits.add(pattern.kind, behind[_find(pattern, texts.take(pa.array(behind)))])
        return hits.by_kind()

    def _settle(self, texts: pa.StringArray, hits: _Hits) -> Places:
        """Record the cells that whole patterns match; returns those still to be searched."""
        whole = [pattern for pattern in self.patterns if pattern.whole]
        everything = np.arange(len(texts))
        anchored = [*self.harmless, *(pattern.expression for pattern in whole)]
        if not anchored:
            return everything
        settled = _matches(texts, _alternatives(anchored))
        places = np.flatnonzero(settled)
        for pattern in whole:
            hits.add(pattern.kind, _narrow(texts, places, pattern.expression))
        return everything[~settled]


class _Hits:
    """Masks by kind, made when a kind is first seen."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._masks: dict[IdentifierKind, npt.NDArray[np.bool_]] = {}

    def add(self, kind: IdentifierKind, places: Places) -> None:
        if len(places):
            self._masks.setdefault(kind, np.zeros(self._length, dtype=bool))[places] = True

    def by_kind(self) -> dict[IdentifierKind, pa.BooleanArray]:
        return {kind: pa.array(mask) for kind, mask in self._masks.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternBook:
    """All patterns of a configuration, and what cells are harmless whatever they hold."""

    patterns: tuple[Pattern, ...]
    harmless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def matchers(self) -> tuple[PatternMatcher, ...]:
        """`pattern`, which speaks for itself, and `bare`, which counts by rate."""
        strong = tuple(p for p in self.patterns if p.matcher == PATTERN)
        weak = tuple(p for p in self.patterns if p.matcher == BARE)
        return (
            PatternMatcher(PATTERN, strong, self.harmless.get(PATTERN, ())),
            PatternMatcher(BARE, weak, self.harmless.get(BARE, ())),
        )


def parse_patterns(document: Mapping[str, Any], *, file: str = "patterns.yaml") -> PatternBook:
    """The patterns of a configuration document; raises `ConfigurationError` with every mistake."""
    fragments = {name: str(text).strip() for name, text in document.get("fragments", {}).items()}
    gates = {name: str(text).strip() for name, text in document.get("gates", {}).items()}
    patterns, mistakes = [], []
    for entry in document.get("patterns", []):
        try:
            patterns.append(_parse_pattern(entry, fragments, gates))
        except (KeyError, ValueError, re2.error) as error:
            mistakes.append(Mistake(file, 0, f"pattern {entry.get('name', '?')}: {error}"))
    if mistakes or not patterns:
        raise ConfigurationError(mistakes or [Mistake(file, 0, "no patterns")])
    return PatternBook(
        patterns=tuple(patterns),
        harmless={matcher: tuple(expressions) for matcher, expressions in document.get("harmless", {}).items()},
    )


def _parse_pattern(entry: Mapping[str, Any], fragments: Mapping[str, str], gates: Mapping[str, str]) -> Pattern:
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ValueError(f"unknown fields {unknown}")
    matcher = str(entry.get("matcher", PATTERN))
    if matcher not in (PATTERN, BARE):
        raise ValueError(f"unknown matcher {matcher}")
    check = str(entry.get("check", ""))
    if check and check not in CHECKS:
        raise ValueError(f"unknown check {check}")
    before, after = _BORDERS[str(entry.get("within", "none"))]
    expression = before + _insert(str(entry["expression"]), fragments) + after
    re2.compile(expression)
    return Pattern(
        name=str(entry["name"]),
        kind=IdentifierKind(entry["kind"]),
        matcher=matcher,
        expression=expression,
        gate=gates[str(entry.get("gate", "digits"))],
        check=check,
        whole=bool(entry.get("whole", False)),
    )


def _insert(expression: str, fragments: Mapping[str, str]) -> str:
    return re.sub(r"\{([A-Z_]+)\}", lambda m: fragments[m.group(1)], expression)


def _alternatives(expressions: Iterable[str]) -> str:
    return "|".join(f"(?:{_without_groups(expression)})" for expression in sorted(expressions))


def _narrow(texts: pa.StringArray, places: Places, expression: str) -> Places:
    """Those of `places` whose text the expression matches."""
    if not len(places):
        return places
    return places[_matches(texts.take(pa.array(places)), _without_groups(expression))]


def _without_groups(expression: str) -> str:
    """Capturing groups cost RE2 its fastest engine: the combined expression has none."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", expression)


def _matches(texts: pa.StringArray, expression: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, expression).to_numpy(zero_copy_only=False)
    return found.astype(bool)


def _find(pattern: Pattern, texts: pa.StringArray) -> npt.NDArray[np.bool_]:
    hits = _matches(texts, _without_groups(pattern.expression))
    if pattern.check and hits.any():
        places = np.flatnonzero(hits)
        passed = [_passes(pattern, text) for text in texts.take(pa.array(places)).to_pylist()]
        hits[places] = passed
    return hits


def _passes(pattern: Pattern, text: str) -> bool:
    check = CHECKS[pattern.check]
    return any(check(candidate) for candidate in _candidates(pattern.expression, text))


def _candidates(expression: str, text: str) -> Iterator[str]:
    """What the expression's group (or the whole expression) matches, left to right; borders may be shared."""
    compiled, start = _compiled(expression), 0
    while start <= len(text):
        match = compiled.search(text, start)
        if match is None:
            return
        group = 1 if compiled.groups and match.group(1) is not None else 0
        yield match.group(group)
        start = max(match.end(group), start + 1)


@functools.lru_cache(maxsize=512)
def _compiled(expression: str) -> Any:
    return re2.compile(expression)
