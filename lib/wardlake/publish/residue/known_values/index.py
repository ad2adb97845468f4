"""Known values in a worker's memory: sorted 64-bit hashes with what each is of. About 13 bytes a hash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.known_values.forms import Role
from wardlake.publish.residue.known_values.hashing import Hashes, hash_key
from wardlake.publish.residue.known_values.policy import KnownValuePolicy

Flags = npt.NDArray[np.uint32]

KINDS = tuple(IdentifierKind)
WORD = np.uint32(1 << 30)
PART = np.uint32(1 << 31)
KIND_BITS = np.uint32((1 << 30) - 1)
_BUCKET_BITS = 22


@dataclass(frozen=True, slots=True)
class HashIndex:
    """A set of hashes with flags. `occupied` tells by a hash's first bits whether looking further is worth it."""

    hashes: Hashes
    flags: Flags
    occupied: npt.NDArray[np.bool_]

    @classmethod
    def build(cls, hashes: Hashes, flags: Flags) -> HashIndex:
        """Flags of a hash that comes several times are joined."""
        order = np.argsort(hashes, kind="stable")
        ordered, marks = hashes[order], flags[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
        joined = np.bitwise_or.reduceat(marks, starts) if len(starts) else marks
        occupied = np.zeros(1 << _BUCKET_BITS, dtype=bool)
        occupied[_buckets(ordered)] = True
        return cls(ordered[starts], joined.astype(np.uint32), occupied)

    def look_up(self, hashes: Hashes) -> Flags:
        """The flags of each hash; 0 where it is unknown."""
        found = np.zeros(len(hashes), dtype=np.uint32)
        if not len(self.hashes):
            return found
        likely = np.flatnonzero(self.occupied[_buckets(hashes)])
        places = np.minimum(np.searchsorted(self.hashes, hashes[likely]), len(self.hashes) - 1)
        same = self.hashes[places] == hashes[likely]
        found[likely[same]] = self.flags[places[same]]
        return found


def _buckets(hashes: Hashes) -> npt.NDArray[np.int64]:
    return (hashes >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How many known values a text is expected to hold by accident, by kind, at most.

    `numbers`: bare ones in any text. `formats`: whole ones in a token that has the format of a known value.
    """

    numbers: Mapping[IdentifierKind, float] = field(default_factory=dict)
    formats: Mapping[IdentifierKind, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownValues:
    """All that is needed to recognise a known value. Holds the subkey: `repr` shows sizes only."""

    subkey: bytes
    texts: HashIndex
    digits: HashIndex
    lengths: tuple[int, ...]
    links: Hashes
    chance: Chances
    policy: KnownValuePolicy

    def sizes(self) -> dict[str, int]:
        """How many hashes of each sort are held."""
        return {"texts": len(self.texts.hashes), "numbers": len(self.digits.hashes), "links": len(self.links)}

    def __repr__(self) -> str:
        return f"KnownValues({len(self.texts.hashes)} texts, {len(self.digits.hashes)} numbers, {len(self.links)} links)"


def load_known_values(collected: DataFrame, *, key: bytes, policy: KnownValuePolicy) -> KnownValues:
    """Bring collected hashes to the driver, for a scan to share with its workers. Runs one Spark job."""
    numbered = collected.select(
        "role", F.array_position(F.array(*[F.lit(k.value) for k in KINDS]), F.col("kind")).cast("byte").alias("kind"),
        "length", "hash",
    )  # fmt: skip
    table = numbered.toArrow()
    columns = [table.column(name).to_numpy() for name in ("role", "kind", "length", "hash")]
    return build_known_values(*columns, subkey=hash_key(key), policy=policy)


def build_known_values(
    roles: npt.NDArray[np.int8],
    kinds: npt.NDArray[np.int8],
    lengths: npt.NDArray[np.int16],
    hashes: npt.NDArray[np.int64],
    *,
    subkey: bytes,
    policy: KnownValuePolicy,
) -> KnownValues:
    """Known values from columns; kinds are counted from 1 in the order of `IdentifierKind`."""
    unsigned = hashes.view(np.uint64)
    bits = (np.uint32(1) << (kinds.astype(np.uint32) - np.uint32(1))).astype(np.uint32)
    marks = np.where(roles == Role.WORD, WORD, np.where(roles == Role.PART, PART, bits)).astype(np.uint32)
    text = np.isin(roles, (Role.VALUE, Role.PART, Role.WORD, Role.GROUPED))
    number, code = roles == Role.DIGITS, (roles == Role.VALUE) & (lengths > 0)
    return KnownValues(
        subkey=subkey,
        texts=HashIndex.build(unsigned[text], marks[text]),
        digits=HashIndex.build(unsigned[number], bits[number]),
        lengths=tuple(sorted({int(length) for length in np.unique(lengths[number])})),
        links=np.unique(unsigned[roles == Role.LINK]),
        chance=Chances(
            numbers=_number_chances(kinds[number], lengths[number], policy.max_digits),
            formats=_format_chances(kinds[number | code], lengths[number | code]),
        ),
        policy=policy,
    )


def _number_chances(kinds: npt.NDArray[np.int8], lengths: npt.NDArray[np.int16], longest: int) -> dict[IdentifierKind, float]:
    """Known numbers of `d` digits over the 10^d that there are, times the places in a run where one can begin."""
    return _summed((kind, max(2, longest - d + 1) * count / 10.0**d) for kind, d, count in _counted(kinds, lengths))


def _format_chances(kinds: npt.NDArray[np.int8], lengths: npt.NDArray[np.int16]) -> dict[IdentifierKind, float]:
    """Known values of `d` letters and digits over 10^d: a format of that length has as many values, and more with letters."""
    return _summed((kind, count / 10.0**d) for kind, d, count in _counted(kinds, lengths))


def _counted(kinds: npt.NDArray[np.int8], lengths: npt.NDArray[np.int16]) -> Iterator[tuple[IdentifierKind, int, int]]:
    pairs, counts = np.unique(np.stack([kinds, lengths]), axis=1, return_counts=True)
    for kind, length, count in zip(pairs[0], pairs[1], counts, strict=True):
        yield KINDS[int(kind) - 1], int(length), int(count)


def _summed(parts: Iterable[tuple[IdentifierKind, float]]) -> dict[IdentifierKind, float]:
    chances: dict[IdentifierKind, float] = {}
    for kind, chance in parts:
        chances[kind] = chances.get(kind, 0.0) + chance
    return chances
