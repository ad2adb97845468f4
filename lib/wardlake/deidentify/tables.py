"""A whole table: every column by its decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.deidentify.decision_tree import grow_tree
from wardlake.deidentify.fields import Walk
from wardlake.deidentify.own_identifiers import OWN, join_own_identifiers
from wardlake.deidentify.reference_data import ReferenceData
from wardlake.deidentify.row_context import RowContext
from wardlake.deidentify.token_columns import IdentifierRecorder, token_columns
from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, TokenMode
from wardlake.tokens.mapping import Identifiers
from wardlake.tokens.source import TokenSource


def deidentify_table(
    df: DataFrame,
    *,
    table: TableSpec,
    decisions: Mapping[str, Decision],
    tokens: TokenSource,
    references: ReferenceData,
    as_of: date,
    own_identifiers: DataFrame | None = None,
) -> DataFrame:
    """A table as its decisions leave it.

    Input: the table's rows; a decision for every column, nested field and JSON path, by path.
    Output: one row per row. Columns in their order and of their types, blocked and dropped ones absent, nested fields
    likewise.
    Guarantee: nothing passes without a decision. Raises `UnclassifiedColumns` naming every column and nested field that has
    none; JSON paths without one are removed from their documents. In random mode the mapping must hold every identifier
    (`list_identifiers`). Released free text needs `own_identifiers` (`list_own_identifiers`, one row per patient).
    """
    columns = token_columns(tokens)
    row = RowContext(
        table=table,
        schema=df.schema,
        decisions=decisions,
        tokens=columns,
        references=references,
        as_of=as_of,
        own_identifiers=None if own_identifiers is None or not table.patient else F.col(OWN),
    )
    kept = _columns_of(row)
    if row.own_identifiers is not None and own_identifiers is not None:
        df = join_own_identifiers(df, own_identifiers, patient=table.patient)
    return columns.attach(df).select(*kept)


def list_identifiers(
    df: DataFrame, *, table: TableSpec, decisions: Mapping[str, Decision], mode: TokenMode, references: ReferenceData
) -> dict[str, list[Identifiers]]:
    """Every identifier of a table that gets a token, by domain, for the mapping.

    In random mode the owners of surrogates are among them. Identifiers within arrays and maps are not listed: their tokens are
    made by key only, and lead back where the key columns hold them too.
    """
    recorder = IdentifierRecorder(mode)
    _columns_of(
        RowContext(
            table=table,
            schema=df.schema,
            decisions=decisions,
            tokens=recorder,
            references=references,
            as_of=date.max,
            own_identifiers=F.col(OWN) if table.patient else None,  # named, never read: only what is noted counts
        )
    )
    found: dict[str, list[Identifiers]] = {}
    for each in recorder.identifiers:
        rows = df.select(each.value.alias("value"))
        found.setdefault(each.domain, []).append(Identifiers(rows=rows, keep_format=each.keep_format))
    return found


def _columns_of(row: RowContext) -> list[Column]:
    tree, walk, kept = grow_tree(row.decisions), Walk(row), []
    for each in row.schema.fields:
        value = walk.transform(F.col(f"`{each.name}`"), each.dataType, tree.at(each.name), each.name)
        if value is not None:
            kept.append(value.alias(each.name))
    if walk.missing:
        raise UnclassifiedColumns(
            f"Columns of table {row.table.name} have no decision.",
            which=[f"{row.table.name}.{path}" for path in sorted(set(walk.missing))],
            next_step="wardlake classify review --source S --column T.C --as safe|sensitive|blocked --reason TEXT",
        )
    return kept
