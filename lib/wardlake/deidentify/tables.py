"""A whole table: every column by its decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from wardlake.deidentify.decision_tree import Node, grow_tree
from wardlake.deidentify.fields import Walk
from wardlake.deidentify.own_identifiers import OWN, join_own_identifiers
from wardlake.deidentify.reference_data import ReferenceData
from wardlake.deidentify.row_context import RowContext
from wardlake.deidentify.token_columns import token_columns
from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision
from wardlake.publish.column_comments import drop_comments
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
    parents: Mapping[str, DataFrame] | None = None,
) -> DataFrame:
    """A table as its decisions leave it.

    Input: the table's rows; a decision for every column, nested field and JSON path, by path.
    Output: one row per row. Columns in their order and of their types, blocked and dropped ones absent, nested fields
    likewise.
    Guarantee: nothing passes without a decision. Raises `UnclassifiedColumns` naming every column and nested field that has
    none; JSON paths without one are removed from their documents. In random mode the mapping must hold every identifier
    (`wardlake.deidentify.identifiers`). Released free text needs `own_identifiers` (`gather_own_identifiers`).
    `parents` holds, by column, the few identifiers that its values are all among (`token_columns`): it changes the cost, never
    the result.
    """
    columns = token_columns(tokens, parents)
    row = RowContext(
        table=table,
        schema=df.schema,
        decisions=decisions,
        tokens=columns,
        references=references,
        as_of=as_of,
        own_identifiers=None if own_identifiers is None or not table.patient else F.col(OWN),
    )
    kept = transform_columns(row, df.schema.fields, grow_tree(decisions))
    if row.own_identifiers is not None and own_identifiers is not None:
        df = join_own_identifiers(df, own_identifiers, patient=table.patient)
    return drop_comments(columns.attach(df).select(*kept))


def transform_columns(row: RowContext, fields: Sequence[StructField], tree: Node) -> list[Column]:
    """These columns of the row's table as the decisions leave them; raises `UnclassifiedColumns` naming every one without."""
    walk, kept = Walk(row), []
    for each in fields:
        value = walk.transform(F.col(quote_name(each.name)), each.dataType, tree.at(each.name), each.name)
        if value is not None:
            kept.append(value.alias(each.name))
    if walk.missing:
        raise UnclassifiedColumns(
            f"Columns of table {row.table.name} have no decision.",
            which=[f"{row.table.name}.{path}" for path in sorted(set(walk.missing))],
            next_step="wardlake classify review --source S --column T.C --as safe|sensitive|blocked --reason TEXT",
        )
    return kept
