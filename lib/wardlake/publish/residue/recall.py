"""How sharp the scan is in this run: canaries through the same matchers on the same workers, and a lower bound on recall."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from scipy.stats import beta

from wardlake.detect.leaves import count_leaf
from wardlake.detect.matching import Matcher
from wardlake.model.evidence import CanaryRecall
from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.canaries.draw import Canaries
from wardlake.publish.residue.canaries.known import Planted
from wardlake.publish.residue.known_values.forms import Role, add_forms, list_forms
from wardlake.publish.residue.known_values.hashing import hash_texts
from wardlake.publish.residue.known_values.index import KINDS, PART, WORD, HashIndex, KnownValues
from wardlake.publish.residue.known_values.matcher import known_matchers
from wardlake.publish.residue.policy import RecallFloors

_ANY = "any"


@dataclass(frozen=True, slots=True)
class AnyMatcher:
    """A text is found when one of the matchers finds it."""

    matchers: tuple[Matcher, ...]
    name: str = _ANY

    def match(self, values: pa.StringArray) -> Mapping[IdentifierKind, pa.BooleanArray]:
        found: dict[IdentifierKind, np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}
        for matcher in self.matchers:
            for kind, mask in matcher.match(values).items():
                hit = mask.to_numpy(zero_copy_only=False)
                found[kind] = found[kind] | hit if kind in found else hit
        return {kind: pa.array(hit) for kind, hit in found.items()}


def lower_bound(found: int, planted: int, confidence: float) -> float:
    """The one-sided lower bound of Clopper and Pearson (Biometrika 26, 1934): 0 where nothing was found."""
    if not 0 <= found <= planted:
        raise ValueError("found must lie between 0 and planted")
    return float(beta.ppf(1 - confidence, found, planted - found + 1)) if found else 0.0


def measure_recall(
    spark: SparkSession,
    matchers: Sequence[Matcher],
    canaries: Canaries,
    *,
    floors: RecallFloors,
    enforced: Collection[IdentifierKind],
) -> list[CanaryRecall]:
    """Recall by kind, in the order drawn. Names have their own floor; kinds not in `enforced` are only reported."""
    found = _count_found(spark, AnyMatcher(tuple(matchers)), canaries.texts)
    return [
        _recall(kind, len(texts), found.get(kind, 0), floors.confidence, _floor(kind, floors), enforced=kind in enforced)
        for kind, texts in canaries.texts.items()
    ]


def measure_known_recall(
    spark: SparkSession,
    known: KnownValues,
    planted: Mapping[IdentifierKind, Sequence[Planted]],
    *,
    floors: RecallFloors,
) -> list[CanaryRecall]:
    """Recall of the known-value match, with made-up values added to the known ones for the measurement."""
    texts = {kind: [plant.text for plant in plants] for kind, plants in planted.items()}
    value, _, digits = known_matchers(add_planted(known, planted))
    found = _count_found(spark, AnyMatcher((value, digits)), texts)
    return [
        _recall(kind, len(of_kind), found.get(kind, 0), floors.confidence, floors.known_value_floor, enforced=True)
        for kind, of_kind in texts.items()
    ]


def add_planted(known: KnownValues, planted: Mapping[IdentifierKind, Sequence[Planted]]) -> KnownValues:
    """The known values and, in memory only, the planted ones beside them."""
    texts, digits, lengths = [known.texts], [known.digits], set(known.lengths)
    for kind, plants in planted.items():
        forms: dict[tuple[Role, int], set[str]] = {}
        for plant in plants:
            add_forms(forms, list_forms(plant.value, kind, known.policy))
        for (role, length), values in forms.items():
            hashes = hash_texts(pa.array(sorted(values), pa.string()), known.subkey)
            flag = {Role.WORD: WORD, Role.PART: PART}.get(role, np.uint32(1 << KINDS.index(kind)))
            index = HashIndex.build(hashes, np.full(len(hashes), flag, dtype=np.uint32))
            (digits if role is Role.DIGITS else texts).append(index)
            lengths |= {length} if role is Role.DIGITS else set()
    return replace(known, texts=_join(texts), digits=_join(digits), lengths=tuple(sorted(lengths)))


def _join(indexes: Sequence[HashIndex]) -> HashIndex:
    hashes, flags = (np.concatenate([getattr(index, name) for index in indexes]) for name in ("hashes", "flags"))
    return HashIndex.build(hashes, flags)


def _floor(kind: IdentifierKind, floors: RecallFloors) -> float:
    return floors.names_floor if kind is IdentifierKind.PERSON_NAME else floors.structured_floor


def _recall(kind: IdentifierKind, planted: int, found: int, confidence: float, floor: float, *, enforced: bool) -> CanaryRecall:
    bound = lower_bound(found, planted, confidence) if planted else 0.0
    return CanaryRecall(kind=kind, planted=planted, found=found, lower_bound=bound, floor=floor, enforced=enforced)


def _count_found(
    spark: SparkSession, matcher: Matcher, texts: Mapping[IdentifierKind, Sequence[str]]
) -> dict[IdentifierKind, int]:
    # in the task's closure, not an explicit broadcast: PySpark cannot write numpy arrays through its encrypted stream
    planted, context, kinds = dict(texts), spark.sparkContext, list(texts)

    def count(part: Iterable[IdentifierKind]) -> Iterator[tuple[IdentifierKind, int]]:
        for kind in part:
            yield kind, _count_kind(kind, matcher, planted)

    tasks = min(len(kinds), context.defaultParallelism) or 1
    return dict(context.parallelize(kinds, tasks).mapPartitions(count).collect())


def _count_kind(kind: IdentifierKind, matcher: Matcher, texts: Mapping[IdentifierKind, Sequence[str]]) -> int:
    cells = pa.array(texts[kind], pa.string())
    tallies = count_leaf("canary", "string", cells, [matcher], with_shapes=False)
    return sum(tally.hits.get((_ANY, kind), 0) for tally in tallies.values())
