"""From where on a matcher's hits in a column say something: the same for the source's gate and the output's scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardlake.detect.counting import CellCounts, Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """All three must be reached. `rate` is of the cells with text, `distinct` of different texts."""

    cells: int = 1
    rate: float = 0.0
    distinct: int = 1


def speaking_hits(counts: CellCounts, limits: Mapping[Hit, Limit]) -> dict[Hit, int]:
    """The hits of one column that reach their limit; a matcher without a limit counts from its first cell."""
    cells = counts.rows - counts.nulls
    return {hit: found for hit, found in counts.hits.items() if _reached(counts, hit, found, cells, limits.get(hit, Limit()))}


def _reached(counts: CellCounts, hit: Hit, found: int, cells: int, limit: Limit) -> bool:
    distinct = counts.distinct_hits.get(hit, found)
    return found >= limit.cells and found >= limit.rate * cells and distinct >= limit.distinct
