"""From where on a matcher's hits in a column say something: the same for the source's gate and the output's scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardlake.detect.counting import CellCounts, Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """All must be reached. `rate` is of the cells with text, `distinct` of different texts, `distinct_rate` of all of those.

    A rate of cells alone is met by one code that is frequent and has the form by chance.
    """

    cells: int = 1
    rate: float = 0.0
    distinct: int = 1
    distinct_rate: float = 0.0


def speaking_hits(counts: CellCounts, limits: Mapping[Hit, Limit]) -> dict[Hit, int]:
    """The hits of one column that reach their limit; a matcher without a limit counts from its first cell."""
    cells = counts.rows - counts.nulls
    return {hit: found for hit, found in counts.hits.items() if _reached(counts, hit, found, cells, limits.get(hit, Limit()))}


def _reached(counts: CellCounts, hit: Hit, found: int, cells: int, limit: Limit) -> bool:
    distinct = counts.distinct_hits.get(hit, found)
    enough = found >= limit.cells and distinct >= limit.distinct
    return enough and found >= limit.rate * cells and distinct >= limit.distinct_rate * counts.distinct_estimate
