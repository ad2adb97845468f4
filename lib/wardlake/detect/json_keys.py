"""Keys of JSON objects that are data: too many of them, or names of people. They are counted as values and not shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from wardlake.detect.counting import Tally, count_texts, merge_paths
from wardlake.detect.documents import KEY, VALUE
from wardlake.detect.matching import Matcher
from wardlake.detect.name_lists import fold_name, is_word
from wardlake.detect.names import DICTIONARY, NAME_CELL
from wardlake.model.treatments import IdentifierKind

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonKeys:
    """When a key is taken for data: an object with more than `most` different ones over a table, or a name of a person.

    `declared` are paths that somebody decided on: what leads to them are names of fields.
    """

    most: int = 256
    declared: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """One key on the way down a document: the path so far, the key, and the path above it."""

    path: str
    key: str
    above: str


def hide_data_keys(
    tallies: Mapping[str, Tally], rules: JsonKeys, matchers: Sequence[Matcher], *, shapes: bool
) -> dict[str, Tally]:
    """The tallies with `{value}` in place of keys that are data, and these keys counted as texts of a path `{key}`."""
    steps = {step.path: step for path in tallies for step in _steps(path)}
    data = _data_paths(steps.values(), rules, matchers)
    hidden = {path: step for path, step in steps.items() if path in data}
    if not hidden:
        return dict(tallies)
    renamed = [{_rewrite(path, hidden): tally} for path, tally in tallies.items()]
    return merge_paths([*renamed, *_count_keys(hidden, tallies, matchers, shapes=shapes)])


def read_like_names(keys: Iterable[str], matchers: Sequence[Matcher]) -> set[str]:
    """Keys that lists know as names of people: `Smith`, `john_smith`, `SmithJohn`; not `smith`, which may be any word."""
    single = {key: key for key in keys if key[0].isupper() and key[1:].islower() and key.isalpha()}
    several = {key: words for key in keys if len(words := [w.title() for w in _PARTS.findall(key) if w.isalpha()]) > 1}
    found = _named(single, [matcher for matcher in matchers if matcher.name == NAME_CELL])
    full = [matcher for matcher in matchers if matcher.name == DICTIONARY]
    found |= _named({key: " ".join(words) for key, words in several.items()}, full)
    return found | _named({key: " ".join(reversed(words)) for key, words in several.items()}, full)


def _named(texts: Mapping[str, str], matchers: Sequence[Matcher]) -> set[str]:
    if not texts:
        return set()
    values, found = pa.array(list(texts.values()), pa.string()), set()
    for matcher in matchers:
        hits = matcher.match(values).get(IdentifierKind.PERSON_NAME)
        if hits is not None:
            found |= {key for key, hit in zip(texts, hits.to_pylist(), strict=True) if hit}
    return found


def _steps(path: str) -> Iterator[_Step]:
    head, dollar, inside = path.partition("$")
    if not dollar:
        return
    root, *segments = inside.split(".")
    above = f"{head}${root}"
    for segment in segments:
        key = segment.removesuffix("[]")
        if key not in (KEY, VALUE):
            yield _Step(f"{above}.{key}", key, above)
        above = f"{above}.{segment}"


def _data_paths(steps: Collection[_Step], rules: JsonKeys, matchers: Sequence[Matcher]) -> set[str]:
    objects: dict[str, list[_Step]] = {}
    for step in steps:
        objects.setdefault(step.above, []).append(step)
    names = read_like_names({step.key for step in steps}, matchers)
    sure = {key for key in names if not is_word(fold_name(key))}  # Price and Page are names too
    data = {step.path for each in objects.values() for step in _data_keys(each, rules, names, sure)}
    return {path for path in data if not _is_declared(path, rules.declared)}


def _data_keys(keys: Sequence[_Step], rules: JsonKeys, names: set[str], sure: set[str]) -> Iterable[_Step]:
    """Of one object's keys those that are data: all, where they are too many or mostly names; else the sure names alone."""
    certain = [step for step in keys if step.key in sure]
    mostly = bool(certain) and 2 * sum(step.key in names for step in keys) >= len(keys)
    return keys if len(keys) > rules.most or mostly else certain


def _is_declared(path: str, declared: Collection[str]) -> bool:
    return any(other == path or other.startswith((f"{path}.", f"{path}[")) for other in declared)


def _rewrite(path: str, hidden: Mapping[str, _Step]) -> str:
    head, dollar, inside = path.partition("$")
    if not dollar:
        return path
    root, *segments = inside.split(".")
    above = written = f"{head}${root}"
    for segment in segments:
        key = segment.removesuffix("[]")
        shown = segment.replace(key, VALUE, 1) if f"{above}.{key}" in hidden else segment
        above, written = f"{above}.{segment}", f"{written}.{shown}"
    return written


def _count_keys(
    hidden: Mapping[str, _Step], tallies: Mapping[str, Tally], matchers: Sequence[Matcher], *, shapes: bool
) -> Iterator[dict[str, Tally]]:
    """The hidden keys as texts, each for as many cells as its values have."""
    rows: dict[str, int] = {}  # of a hidden key: as many as of what it leads to
    for path, tally in tallies.items():
        for step in _steps(path):
            if step.path in hidden:
                rows[step.path] = max(tally.rows, rows.get(step.path, 1))
    cells: dict[str, dict[str, int]] = {}
    for step in hidden.values():
        counted = cells.setdefault(f"{_rewrite(step.above, hidden)}.{KEY}", {})
        counted[step.key] = counted.get(step.key, 0) + rows[step.path]
    for path, keys in cells.items():
        counts = np.fromiter(keys.values(), dtype=np.int64, count=len(keys))
        tally = count_texts(pa.array(list(keys), pa.string()), counts, matchers, with_shapes=shapes)
        yield {path: replace(tally, type="json")}
