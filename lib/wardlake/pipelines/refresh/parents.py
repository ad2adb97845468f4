"""Which columns' tokens are looked up and not computed: those whose parents are few beside the rows that name them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame

from wardlake.model.quoting import quote_name
from wardlake.model.sources import Reference, SourceSpec
from wardlake.model.treatments import Classification
from wardlake.pipelines.refresh.mapping import same_tokens
from wardlake.publish.references.measure import ReferenceMeasure, reference_name

# Identifiers and their tokens go to every task whole, about 200 bytes each: 100 MB, and three tables are made at once.
MOST_PARENTS = 500_000
LEAST_ROWS_EACH = 8  # below that, computing a token for every row costs no more than sending those of the parents


def few_parents(
    source: SourceSpec,
    classification: Classification,
    frames: Mapping[str, DataFrame],
    measured: Collection[ReferenceMeasure],
) -> dict[str, dict[str, DataFrame]]:
    """By table and column, the identifiers that a foreign key's values are among: one column, none twice, no null.

    Only keys of one column whose references were `measured` on these frames without an orphan and without a parent that comes
    twice, with the same token rule at both ends, and with few parents.
    """
    found: dict[str, dict[str, DataFrame]] = {}
    worth = {measure.name: measure for measure in measured if _pays(measure)}
    for table, reference in source.references():
        name = reference_name(table.name, reference.columns, reference.table, reference.to)
        if name not in worth or not _plain(reference):
            continue
        child, parent = (table.name, reference.columns[0]), (reference.table, reference.to[0])
        if child != parent and same_tokens(child, parent, classification, frames):
            found.setdefault(table.name, {}).setdefault(child[1], frames[reference.table].select(quote_name(parent[1])))
    return found


def _pays(measure: ReferenceMeasure) -> bool:
    proven = not measure.orphan_rows and measure.parent_rows == measure.distinct_parents
    few = measure.parent_rows <= MOST_PARENTS and measure.child_rows >= LEAST_ROWS_EACH * measure.parent_rows
    return proven and few


def _plain(reference: Reference) -> bool:
    """A key of one column whose name could not be the path of a nested field."""
    return len(reference.columns) == 1 and reference.columns[0].replace("_", "").isalnum()
