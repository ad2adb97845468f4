"""Known values found in texts: whole cells, inside sentences, with other separators, in other order, in longer numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.known_values.forms import UUID
from wardlake.publish.residue.known_values.hashing import hash_texts
from wardlake.publish.residue.known_values.index import KIND_BITS, KINDS, PART, WORD, Flags, KnownValues
from wardlake.publish.residue.known_values.texts import Words, normalise, split_words

Places = npt.NDArray[np.int64]

_UUID_LENGTH = 36
_UUID_GROUPS = (8, 4, 4, 4, 12)
# Only texts that can hold a value of letters, or a number written in groups, are taken apart; dates and plain numbers are not.
_WORTH = (
    r"[a-z\x{80}-\x{10FFFF}]{2}|[a-z][0-9]{4}|[0-9]{4}[a-z]|[)][0-9]{4}"
    r"|[0-9]{3,4}[^0-9a-z]{1,3}[0-9]{2,6}[^0-9a-z]{1,3}[0-9]{4}"
)


class KnownTexts:
    """Looks known values up in arrays of texts. Two matchers share one, so that each array is taken apart once."""

    def __init__(self, known: KnownValues) -> None:
        self.known = known
        self._last: tuple[pa.Array, Flags] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"known": self.known, "_last": None}

    def flags(self, values: pa.StringArray) -> Flags:
        """What each text holds: a bit a kind, and whether it holds a part of a name."""
        if self._last is None or self._last[0] is not values:
            self._last = (values, find_texts(values, self.known))
        return self._last[1]


@dataclass(frozen=True, slots=True)
class KnownValueMatcher:
    """Whole values of the source: addresses, codes, full names, grouped numbers."""

    texts: KnownTexts
    name: str = "known-value"

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        return _by_kind(self.texts.flags(values))


@dataclass(frozen=True, slots=True)
class KnownNameMatcher:
    """A first, middle or last name that someone in the source has: reported, never a finding by itself."""

    texts: KnownTexts
    name: str = "known-name"

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        parts = (self.texts.flags(values) & PART) != 0
        return {IdentifierKind.PERSON_NAME: pa.array(parts)} if parts.any() else {}


@dataclass(frozen=True, slots=True)
class KnownDigitsMatcher:
    """Numbers of the source as bare digits, alone or within a longer run; some are met by accident."""

    known: KnownValues
    name: str = "known-digits"

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        return _by_kind(find_digits(values, self.known))


def known_matchers(known: KnownValues) -> tuple[KnownValueMatcher, KnownNameMatcher, KnownDigitsMatcher]:
    """The three matchers of a scan for known values."""
    texts = KnownTexts(known)
    return KnownValueMatcher(texts), KnownNameMatcher(texts), KnownDigitsMatcher(known)


def _by_kind(flags: Flags) -> dict[IdentifierKind, pa.BooleanArray]:
    present = int(np.bitwise_or.reduce(flags & KIND_BITS)) if len(flags) else 0
    return {kind: pa.array((flags & np.uint32(1 << bit)) != 0) for bit, kind in enumerate(KINDS) if present & (1 << bit)}


def find_texts(values: pa.StringArray, known: KnownValues) -> Flags:
    """Flags of every text; a UUID is looked up whole, other texts word by word."""
    flags = np.zeros(len(values), dtype=np.uint32)
    if not len(values):
        return flags
    normalised = normalise(values)
    uuids = _uuids(normalised)
    if uuids.any():
        compact = pc.replace_substring(normalised.filter(pa.array(uuids)), "-", "")
        flags[uuids] = known.texts.look_up(hash_texts(compact, known.subkey)) & KIND_BITS
    worth = pc.match_substring_regex(normalised, _WORTH).to_numpy(zero_copy_only=False) & ~uuids
    if worth.any():
        flags[worth] = _find_words(normalised.filter(pa.array(worth)), known)
    return flags


def _uuids(normalised: pa.StringArray) -> npt.NDArray[np.bool_]:
    long = pc.equal(pc.binary_length(normalised), _UUID_LENGTH).to_numpy(zero_copy_only=False)
    if not long.any():
        return np.asarray(long, dtype=bool)
    found = np.zeros(len(normalised), dtype=bool)
    shaped = pc.match_substring_regex(normalised.filter(pa.array(long)), UUID)
    found[np.flatnonzero(long)] = shaped.to_numpy(zero_copy_only=False)
    return found


def _find_words(texts: pa.StringArray, known: KnownValues) -> Flags:
    words = split_words(texts)
    flags = np.zeros(len(texts), dtype=np.uint32)
    if not len(words.rows):
        return flags
    single = known.texts.look_up(hash_texts(words.words, known.subkey))
    _mark(flags, words.rows, single & (KIND_BITS | PART))
    _mark_runs(flags, words, (single & WORD) != 0, known)
    _mark_groups(flags, words, known)
    short = _shorten(words, known.policy.abbreviations)
    if short is not None:
        gates = known.texts.look_up(hash_texts(short.words, known.subkey))
        _mark_runs(flags, short, (gates & WORD) != 0, known)
    return flags


def _mark(flags: Flags, rows: Places, found: Flags) -> None:
    hit = np.flatnonzero(found)
    np.bitwise_or.at(flags, rows[hit], found[hit])


def _mark_runs(flags: Flags, words: Words, gate: npt.NDArray[np.bool_], known: KnownValues) -> None:
    """Runs of 2 words and more whose every word belongs to some known value."""
    starts = np.flatnonzero(gate)
    for length in range(2, known.policy.max_words + 1):
        starts = _extend(starts, length, words.rows, gate)
        if not len(starts):
            return
        _mark(flags, words.rows[starts], _look_up_run(words, starts, length, "", known) & KIND_BITS)


def _extend(starts: Places, length: int, rows: Places, gate: npt.NDArray[np.bool_]) -> Places:
    """The starts whose run of `length` words stays within its text and behind the gate."""
    starts = starts[starts + length <= len(rows)]
    ends = starts + length - 1
    kept: Places = starts[gate[ends] & (rows[starts] == rows[ends])]
    return kept


def _mark_groups(flags: Flags, words: Words, known: KnownValues) -> None:
    """Numbers in the groups people write them in, and UUIDs within other text."""
    lengths = pc.binary_length(words.words).to_numpy()
    decimal = pc.fill_null(pc.ascii_is_decimal(words.words), False).to_numpy(zero_copy_only=False)
    for grouping in {grouping for groupings in known.policy.groupings.values() for grouping in groupings}:
        starts = _groups(np.where(decimal, lengths, 0), words.rows, grouping)
        _mark(flags, words.rows[starts], _look_up_run(words, starts, len(grouping), "-", known) & KIND_BITS)
    starts = _groups(lengths, words.rows, _UUID_GROUPS)
    _mark(flags, words.rows[starts], _look_up_run(words, starts, len(_UUID_GROUPS), "", known) & KIND_BITS)


def _groups(lengths: npt.NDArray[np.int32], rows: Places, grouping: Sequence[int]) -> Places:
    starts = np.flatnonzero(lengths == grouping[0])
    starts = starts[starts + len(grouping) <= len(lengths)]
    for at, length in enumerate(grouping):
        starts = starts[(lengths[starts + at] == length) & (rows[starts + at] == rows[starts])]
    return starts


def _look_up_run(words: Words, starts: Places, length: int, joint: str, known: KnownValues) -> Flags:
    if not len(starts):
        return np.zeros(0, dtype=np.uint32)
    parts = [words.words.take(pa.array(starts + at)) for at in range(length)]
    return known.texts.look_up(hash_texts(pc.binary_join_element_wise(*parts, joint), known.subkey))


def _shorten(words: Words, abbreviations: Mapping[str, str]) -> Words | None:
    """The same words with street words shortened; None where nothing changes."""
    long, short = pa.array(list(abbreviations)), pa.array(list(abbreviations.values()))
    places = pc.index_in(words.words, value_set=long)
    if places.null_count == len(places):
        return None
    touched = np.zeros(int(words.rows.max()) + 1, dtype=bool)
    touched[words.rows[pc.is_valid(places).to_numpy(zero_copy_only=False)]] = True
    kept = touched[words.rows]
    shortened = pc.coalesce(short.take(places), words.words)
    return Words(shortened.filter(pa.array(kept)), words.rows[kept])


def find_digits(values: pa.StringArray, known: KnownValues) -> Flags:
    """Flags of every text by the bare numbers in it; runs of digits in UUIDs are not looked at."""
    flags = np.zeros(len(values), dtype=np.uint32)
    if not len(values) or not known.lengths:
        return flags
    normalised = normalise(values)
    pattern = f"[0-9]{{{known.lengths[0]}}}"
    worth = pc.match_substring_regex(normalised, pattern).to_numpy(zero_copy_only=False) & ~_uuids(normalised)
    rows = np.flatnonzero(worth)
    if not len(rows):
        return flags
    runs = split_words(pc.replace_substring_regex(normalised.filter(pa.array(worth)), "[^0-9]+", " "))
    for owners, digits in _windows(runs, known):
        _mark(flags, rows[owners], known.digits.look_up(hash_texts(digits, known.subkey)))
    return flags


def _windows(runs: Words, known: KnownValues) -> Iterator[tuple[Places, pa.StringArray]]:
    """Every stretch of digits as long as a known number, with its text."""
    lengths = pc.binary_length(runs.words).to_numpy()
    for wanted in known.lengths:
        longest = int(lengths.max(initial=0))
        for start in range(max(0, min(longest, known.policy.max_digits) - wanted + 1)):
            inside = (lengths >= wanted + start) & ((lengths <= known.policy.max_digits) | (start == 0))
            yield from _cut(runs, np.flatnonzero(inside), start, start + wanted)
        ends = np.flatnonzero((lengths > known.policy.max_digits) & (lengths > wanted))
        yield from _cut(runs, ends, -wanted, None)


def _cut(runs: Words, chosen: Places, start: int, stop: int | None) -> Iterator[tuple[Places, pa.StringArray]]:
    if len(chosen):
        texts = runs.words.take(pa.array(chosen))
        yield runs.rows[chosen], pc.utf8_slice_codeunits(texts, start, stop)
