"""Canaries: made-up identifiers that measure a scan in each run.

They come from mimesis' lists and from formats written down here; the detectors use neither. They are drawn anew for every
run, held in memory only, and fed to the same matchers on the same workers as the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.canaries.numbers import NUMBERS
from wardlake.publish.residue.canaries.texts import WORDS, open_source

_SENTENCES = (
    "{}",
    "{}",
    "{}",
    "On admission: {}.",
    "Patient confirmed {} at the desk",
    "note to file ({}) reviewed today",
    "Per referral, {}, follow up in two weeks.",
    "Contact on record: {}; no change.",
    "{} was entered by the night shift",
    "seen with spouse; {} - see earlier note",
    "c/o chest pain.\n{}\nnil else",
    '"{}" as written on the form',
    "Called back re lab results \u2014 {} \u2014 left a message",
    "BP 132/84, pulse 72, {}, afebrile",
)


@dataclass(frozen=True, slots=True)
class Canaries:
    """Made-up texts by kind. `repr` shows how many, never which."""

    texts: Mapping[IdentifierKind, Sequence[str]]

    def __repr__(self) -> str:
        return f"Canaries({ {kind.value: len(texts) for kind, texts in self.texts.items()} })"


def canary_kinds() -> tuple[IdentifierKind, ...]:
    """The kinds for which canaries can be drawn."""
    return (*NUMBERS, *WORDS)


def draw_canaries(run_id: str, kinds: Iterable[IdentifierKind], *, per_kind: int) -> Canaries:
    """`per_kind` different texts of every kind, bare and within sentences; other run ids draw others.

    Raises `ValueError` for a kind of which no canary can be drawn.
    """
    return Canaries({kind: _draw(run_id, kind, per_kind) for kind in kinds})


def put_in_sentence(text: str, random: Random) -> str:
    """The text bare or within a sentence of a note."""
    return random.choice(_SENTENCES).format(text)


def seeded(run_id: str, purpose: str) -> int:
    """A seed for one purpose of one run."""
    return int.from_bytes(hashlib.sha256(f"{run_id}/{purpose}".encode()).digest()[:6])


def _draw(run_id: str, kind: IdentifierKind, count: int) -> tuple[str, ...]:
    seed = seeded(run_id, kind.value)
    random, source = Random(seed), open_source(seed)  # noqa: S311 -- test data, nothing secret hangs on it
    texts: dict[str, None] = {}
    while len(texts) < count:
        if kind in NUMBERS:
            made = NUMBERS[kind](random)
        elif kind in WORDS:
            made = WORDS[kind](source)
        else:
            raise ValueError(f"no canaries of kind {kind.value}")
        texts[put_in_sentence(made, random)] = None
    return tuple(texts)
