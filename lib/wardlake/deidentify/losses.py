"""Values that a rule could not read and left empty: counted, so that nobody takes a gap for the source's own."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from wardlake.deidentify.column_types import find_plain
from wardlake.model.quoting import quote_name
from wardlake.model.treatments import (
    Age,
    Bucket,
    DateShift,
    DateYear,
    Decision,
    EmbeddedTokens,
    FreeText,
    Generalise,
    Surrogate,
)


def losing_columns(schema: StructType, decisions: Mapping[str, Decision]) -> tuple[str, ...]:
    """Columns and struct fields whose rule gives null for what it cannot read: no date, no age, no owner, no match.

    Elements of arrays and maps, and values within JSON texts, are not counted.
    """
    return tuple(
        path
        for path, decision in decisions.items()
        if _may_lose(decision)
        and find_plain(schema, path) is not None
        and not any(path.startswith(f"{other}.") for other in decisions)
    )


def count_filled(paths: tuple[str, ...]) -> list[Column]:
    """Aggregates that count the cells of each path that are not null, named by the path's place."""
    return [F.count(_column(path)).alias(f"filled_{place}") for place, path in enumerate(paths)]


def lost_values(paths: tuple[str, ...], before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How many values of each path became null: what was filled before and is not after. Paths that lost none are absent."""
    lost = {path: int(before[f"filled_{place}"]) - int(after[f"filled_{place}"]) for place, path in enumerate(paths)}
    return {path: count for path, count in lost.items() if count}


def _may_lose(decision: Decision) -> bool:
    match decision.rule:
        case DateShift() | DateYear() | Age() | Bucket() | EmbeddedTokens() | Surrogate():
            return True
        case Generalise(other=other):
            return other is None
        case FreeText(release=release):
            return release
        case _:
            return False


def _column(path: str) -> Column:
    return F.col(".".join(map(quote_name, path.split("."))))
