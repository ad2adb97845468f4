"""`conf/disclosure/residue.yaml` as values."""

from __future__ import annotations

from dataclasses import dataclass

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.known_values.policy import KnownValuePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallFloors:
    """How sharp the scan must be shown to be; `confidence` is of the one-sided lower bound.

    Of the kinds in `structured` the floor is enforced in every run, of names where free text is released.
    """

    confidence: float
    canaries_per_kind: int
    structured: tuple[IdentifierKind, ...]
    structured_floor: float
    names_floor: float
    known_value_floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceLimits:
    """When values that equal known ones are no accident: bare numbers, and tokens that keep a format."""

    rare: float
    rare_format: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateLimits:
    """How often a surrogate may equal a value of the source by accident."""

    most_equal: float
    name_pairs_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResiduePolicy:
    """All of the file."""

    version: str
    recall: RecallFloors
    chance: ChanceLimits
    surrogates: SurrogateLimits
    birth_words: tuple[str, ...]
    known_values: KnownValuePolicy
