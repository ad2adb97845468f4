"""A whole table: every column by its decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from wardlake.deidentify.decision_tree import grow_tree
from wardlake.deidentify.fields import transform_columns
from wardlake.deidentify.identifiers import RowElements
from wardlake.deidentify.rules.own_identifiers import OWN, join_own_identifiers
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.rules.row_context import RowContext
from wardlake.deidentify.token_columns.factory import token_columns
from wardlake.deidentify.token_columns.requests import IdentifierRecorder
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, TokenMode
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
    elements = RowElements(table=table, decisions=decisions, references=references)
    columns = token_columns(tokens, parents=parents, list_elements=elements.list_elements)
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
    return drop_comments(columns.attach(df).select(*[value.alias(name) for name, value in kept.items()]))


def released_columns(
    schema: StructType, *, table: TableSpec, decisions: Mapping[str, Decision], references: ReferenceData
) -> list[str]:
    """The names of the columns that `deidentify_table` leaves of a table of this schema, in order; reads no row."""
    row = RowContext(
        table=table,
        schema=schema,
        decisions=decisions,
        tokens=IdentifierRecorder(TokenMode.KEYED),
        references=references,
        as_of=date.max,
        own_identifiers=F.col(OWN) if table.patient else None,  # named, never read
    )
    return list(transform_columns(row, schema.fields, grow_tree(decisions)))
