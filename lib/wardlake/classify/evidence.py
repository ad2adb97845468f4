"""Evidence about columns, from the scan's counts and the columns' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardlake.classify.names import NameLists, is_allowed_name, kinds_of_name, name_lists
from wardlake.detect.counting import CellCounts
from wardlake.detect.limits import Limit, speaking_hits
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.treatments import IdentifierKind

_INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
_CODES = frozenset({"string", "json"})
_SHAPES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRules:
    """`conf/detection/evidence.yaml` as values."""

    content: Mapping[tuple[str, IdentifierKind], Limit]
    names: NameLists
    unique_rows: int
    unique_rate: float
    unique_digits: int
    min_shape_rows: int
    most_json_keys: int  # an object with more different keys over a table uses them as data


def parse_evidence_rules(document: Mapping[str, Any], *, file: str = "evidence.yaml") -> EvidenceRules:
    """The rules of a configuration document; raises `ConfigurationError` for a word that is not in the vocabulary."""
    try:
        content = {
            (matcher, IdentifierKind(kind)): Limit(**limit)
            for kind, matchers in document["content"].items()
            for matcher, limit in matchers.items()
        }
        deny = {IdentifierKind(kind): words for kind, words in document["deny"].items()}
        unique = document["unique"]
        return EvidenceRules(
            content=content,
            names=name_lists(deny, document["allow"]),
            unique_rows=int(unique["rows"]),
            unique_rate=float(unique["rate"]),
            unique_digits=int(unique["digits"]),
            min_shape_rows=int(document["min_shape_rows"]),
            most_json_keys=int(document["most_json_keys"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigurationError([Mistake(file, 0, f"{type(error).__name__}: {error}")]) from None


def build_evidence(table: str, counts: Sequence[CellCounts], rules: EvidenceRules) -> list[ColumnEvidence]:
    """One row of evidence per column path that the scan saw. Kinds below their limit are left out."""
    return [_build_one(table, count, rules) for count in counts]


def _build_one(table: str, counts: CellCounts, rules: EvidenceRules) -> ColumnEvidence:
    cells = counts.rows - counts.nulls
    hits = _speaking_kinds(counts, rules)
    if IdentifierKind.UNIQUE_CODE not in hits and _hardly_repeats(counts, rules):
        hits[IdentifierKind.UNIQUE_CODE] = cells
    names = kinds_of_name(counts.path, rules.names)
    return ColumnEvidence(
        table=table,
        path=counts.path,
        type=counts.type,
        rows=counts.rows,
        nulls=counts.nulls,
        distinct_estimate=min(counts.distinct_estimate, cells),
        content={kind: min(1.0, count / cells) for kind, count in hits.items()},
        hits=hits,
        names=names,
        denied_name=bool(names),
        allowed_name=is_allowed_name(counts.path, rules.names),
        shapes=_common_shapes(counts, rules),
        sampled=counts.sampled,
        scanned=counts.scanned,
        json_cells=counts.json_cells,
    )


def _speaking_kinds(counts: CellCounts, rules: EvidenceRules) -> dict[IdentifierKind, int]:
    speaking: dict[IdentifierKind, int] = {}
    for (_, kind), hits in speaking_hits(counts, rules.content).items():
        speaking[kind] = max(hits, speaking.get(kind, 0))
    return {kind: speaking[kind] for kind in IdentifierKind if kind in speaking}


def _hardly_repeats(counts: CellCounts, rules: EvidenceRules) -> bool:
    cells = counts.rows - counts.nulls
    if cells < rules.unique_rows or counts.distinct_estimate < rules.unique_rate * cells:
        return False
    if counts.type in _INTEGERS:
        return _mostly_long_numbers(counts, rules)
    return counts.type in _CODES or counts.type.startswith(("char", "varchar"))


def _mostly_long_numbers(counts: CellCounts, rules: EvidenceRules) -> bool:
    shown = sum(count for _, count in counts.shapes)
    long = sum(count for shape, count in counts.shapes if shape.count("9") >= rules.unique_digits)
    return shown > 0 and 2 * long > shown


def _common_shapes(counts: CellCounts, rules: EvidenceRules) -> tuple[tuple[str, float], ...]:
    cells = counts.rows - counts.nulls
    common = [(shape, count / cells) for shape, count in counts.shapes if count >= rules.min_shape_rows]
    return tuple(common[:_SHAPES_SHOWN])
