"""The forms in which a known value may turn up, each hashed: whole text, digits, name parts, gate words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.known_values.hashing import Hashes, hash_texts
from wardlake.publish.residue.known_values.policy import KnownValuePolicy
from wardlake.publish.residue.known_values.texts import shorten_words, words_of

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_SERIAL = re.compile(r"\(21\)([0-9a-z]+)")  # GS1 application identifier 21: the serial number within a UDI
_NUMBERS = frozenset(
    {
        IdentifierKind.SSN,
        IdentifierKind.PHONE,
        IdentifierKind.MRN,
        IdentifierKind.NPI,
        IdentifierKind.ACCOUNT,
        IdentifierKind.CREDIT_CARD,
        IdentifierKind.DRIVING_LICENCE,
        IdentifierKind.PASSPORT,
        IdentifierKind.DEVICE,
        IdentifierKind.UNIQUE_CODE,
    }
)
_FEWEST_GATE_WORDS = 2
_WORDS_OF_A_NUMBERED_STREET = 3  # `387 e st` says more than its few letters
_COUNTRY_CODE_LENGTH = 11


class Role(IntEnum):
    """What a hash is of. The numbers are stored."""

    VALUE = 1  # the value's words run together
    PART = 2  # one part of a person's name
    WORD = 3  # a word of a value of several words: only where all words are known is their run looked up
    DIGITS = 4  # a number's digits, bare
    GROUPED = 5  # a number's digits, in groups as people write them
    LINK = 6  # a combination of values of one person


@dataclass(frozen=True, slots=True)
class Form:
    role: Role
    text: str
    kind: IdentifierKind


def list_forms(value: str, kind: IdentifierKind, policy: KnownValuePolicy, *, part: bool = False) -> Iterator[Form]:
    """Every form of one value of a single column; none where it is too short to mean anything. `part`: of a name."""
    words = words_of(value)
    if part:
        yield from part_forms(words, policy)
    elif kind is IdentifierKind.STREET_ADDRESS:
        yield from _address_forms(words, policy)
    elif kind is IdentifierKind.PERSON_NAME:
        yield from name_forms([words], policy)
    elif kind in policy.kinds:
        yield from _code_forms(value, words, kind, policy)


def name_forms(parts: Sequence[Sequence[str]], policy: KnownValuePolicy) -> Iterator[Form]:
    """Forms of a person's name given as its parts in order (first, middle, last), or as one part that holds them all."""
    words = [word for part in parts for word in part]
    yield from part_forms(words, policy)
    filled = [list(part) for part in parts if part]
    if len(filled) == 1:
        filled = [[word] for word in filled[0]]
    if len(filled) < _FEWEST_GATE_WORDS:
        return
    first, *_, last = filled
    for order in {(*words,), (*first, *last), (*last, *first), (*last, *[w for p in filled[:-1] for w in p])}:
        yield from _text_forms(order, IdentifierKind.PERSON_NAME, policy.min_full_name, policy)
    for part in filled:  # O'Brien-Smith may be written OBrien Smith
        joined = ("".join(part[start:end]) for start in range(len(part)) for end in range(start + 2, len(part) + 1))
        yield from (Form(Role.WORD, word, IdentifierKind.PERSON_NAME) for word in joined)


def part_forms(words: Sequence[str], policy: KnownValuePolicy) -> Iterator[Form]:
    """First, middle and last names on their own."""
    for word in words:
        if len(word) >= policy.min_name_part:
            yield Form(Role.PART, word, IdentifierKind.PERSON_NAME)


def _address_forms(words: Sequence[str], policy: KnownValuePolicy) -> Iterator[Form]:
    short = shorten_words(words, policy.abbreviations)
    units = [at for at, word in enumerate(short) if word in policy.unit_words]
    for form in [short, short[: units[0]]] if units else [short]:
        numbered = len(form) >= _WORDS_OF_A_NUMBERED_STREET and form[0].isdecimal()
        yield from _text_forms(form, IdentifierKind.STREET_ADDRESS, policy.min_code if numbered else policy.min_text, policy)


def _code_forms(value: str, words: Sequence[str], kind: IdentifierKind, policy: KnownValuePolicy) -> Iterator[Form]:
    digits = "".join(words)
    if digits.isdecimal() and kind in _NUMBERS:
        yield from _number_forms(digits, kind, policy)
        if len(words) > 1 and len(digits) > policy.max_digits:
            yield from _text_forms(words, kind, policy.min_text, policy)
    else:
        yield from _text_forms(words, kind, policy.min_code, policy)
    if kind is IdentifierKind.DEVICE:
        for serial in _SERIAL.findall(value.lower()):
            yield from _code_forms(serial, [serial], kind, policy)


def _number_forms(digits: str, kind: IdentifierKind, policy: KnownValuePolicy) -> Iterator[Form]:
    if kind is IdentifierKind.PHONE and len(digits) == _COUNTRY_CODE_LENGTH and digits[0] == "1":
        digits = digits[1:]
    if len(digits) < policy.min_digits:
        return
    yield Form(Role.DIGITS, digits, kind)
    for grouping in policy.groupings.get(kind, ()):
        if sum(grouping) == len(digits):
            yield Form(Role.GROUPED, group_digits(digits, grouping), kind)


def group_digits(digits: str, grouping: Sequence[int]) -> str:
    """`123456789` in groups of 3, 2, 4 is `123-45-6789`."""
    ends = np.cumsum(grouping)
    return "-".join(digits[end - length : end] for end, length in zip(ends, grouping, strict=True))


def _text_forms(words: Sequence[str], kind: IdentifierKind, shortest: int, policy: KnownValuePolicy) -> Iterator[Form]:
    kept = list(words[: policy.max_words])
    whole = "".join(kept)
    if len(whole) < shortest or (len(kept) == 1 and whole.isalpha()):
        return  # one plain word is vocabulary, not an identifier
    if " ".join(kept) in policy.not_names:
        return
    yield Form(Role.VALUE, whole, kind)
    if len(kept) >= _FEWEST_GATE_WORDS:
        yield from (Form(Role.WORD, word, kind) for word in kept)


def hash_forms(
    values: pa.Array, kind: IdentifierKind, policy: KnownValuePolicy, subkey: bytes, *, part: bool = False
) -> Iterator[tuple[Role, IdentifierKind, int, Hashes]]:
    """Role, kind, length (of numbers and codes, else 0) and hashes of all forms of these values of one column."""
    if kind not in policy.kinds:
        return
    distinct = pc.unique(values.drop_null())
    lowered = pc.utf8_lower(distinct)
    uuids = pc.match_substring_regex(lowered, UUID)
    compact = pc.replace_substring(lowered.filter(uuids), "-", "")
    if len(compact):
        yield Role.VALUE, kind, 0, hash_texts(compact, subkey)
    forms: dict[tuple[Role, int], set[str]] = {}
    for value in distinct.filter(pc.invert(uuids)).to_pylist():
        add_forms(forms, list_forms(value, kind, policy, part=part))
    yield from hash_grouped(forms, kind, subkey)


def add_forms(forms: dict[tuple[Role, int], set[str]], found: Iterator[Form]) -> None:
    for form in found:
        length = len(form.text) if _has_length(form) else 0
        forms.setdefault((form.role, length), set()).add(form.text)


def _has_length(form: Form) -> bool:
    """Whether the form's length says how often chance writes it: of numbers, and of codes as a whole."""
    return form.role is Role.DIGITS or (form.role is Role.VALUE and form.kind in _NUMBERS)


def hash_grouped(
    forms: dict[tuple[Role, int], set[str]], kind: IdentifierKind, subkey: bytes
) -> Iterator[tuple[Role, IdentifierKind, int, Hashes]]:
    for (role, length), texts in sorted(forms.items()):
        yield role, kind, length, hash_texts(pa.array(sorted(texts), pa.string()), subkey)
