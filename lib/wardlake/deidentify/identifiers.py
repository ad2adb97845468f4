"""What a table gives the mapping: every identifier that gets a token, wherever in a row it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from wardlake.deidentify.column_types import is_text
from wardlake.deidentify.decision_tree import DOCUMENT, ELEMENTS, MAP_KEY, MAP_VALUE, Node, grow_tree
from wardlake.deidentify.json_documents import document_arrays
from wardlake.deidentify.own_identifiers import OWN
from wardlake.deidentify.reference_data import ReferenceData
from wardlake.deidentify.row_context import RowContext
from wardlake.deidentify.tables import transform_columns
from wardlake.deidentify.token_columns import IdentifierRecorder
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, FormatToken, Token, TokenMode
from wardlake.tokens.mapping import Identifiers

_ELEMENT, _INNER = "element", "value"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows and the decisions on their columns: a table, or the elements of one of its arrays, which `column` names."""

    rows: DataFrame
    tree: Node
    column: str = ""

    @property
    def elements(self) -> bool:
        return bool(self.column)


def list_identifiers(
    df: DataFrame,
    *,
    table: TableSpec,
    decisions: Mapping[str, Decision],
    mode: TokenMode,
    references: ReferenceData,
    covered: Collection[str] = (),
) -> dict[str, list[Identifiers]]:
    """Every identifier of a table that gets a token, by domain, for the mapping.

    Columns, nested fields, elements of arrays, keys and values of maps, values of JSON documents, identifiers inside URLs. In
    random mode the owners of surrogates are among them. The columns named in `covered` are left out: another column listed
    holds all of their identifiers.
    """
    found: dict[str, list[Identifiers]] = {}
    parts = _parts(Part(df.drop(*covered), grow_tree(decisions)))
    for part in parts if mode is TokenMode.KEYED else [next(parts)]:  # random tokens are refused within arrays
        for column in part.rows.schema.fields:
            recorder = IdentifierRecorder(mode)
            row = _context(df.schema, recorder, table=table, decisions=decisions, references=references)
            transform_columns(row, [column], part.tree)
            for each in recorder.identifiers:
                rows = (part.rows if part.elements else df).select(each.value.alias("value"))
                unique = not part.elements and table.primary_key == (column.name,) and _is_token(part.tree.at(column.name))
                place = f"{table.name}.{part.column or column.name}"
                identifiers = Identifiers(rows=rows, keep_format=each.keep_format, unique=unique, column=place)
                found.setdefault(each.domain, []).append(identifiers)
    return found


def _context(
    schema: StructType,
    recorder: IdentifierRecorder,
    *,
    table: TableSpec,
    decisions: Mapping[str, Decision],
    references: ReferenceData,
) -> RowContext:
    return RowContext(
        table=table,
        schema=schema,
        decisions=decisions,
        tokens=recorder,
        references=references,
        as_of=date.max,
        own_identifiers=F.col(OWN) if table.patient else None,  # named, never read: only what is noted counts
    )


def _is_token(node: Node | None) -> bool:
    """Whether the value itself is what gets the token."""
    return node is not None and node.decision is not None and isinstance(node.decision.rule, Token | FormatToken)


def _parts(part: Part) -> Iterator[Part]:
    """The rows themselves, then the elements of every array, map and JSON array within them, however deep."""
    yield part
    for each in part.rows.schema.fields:
        node = part.tree.at(each.name)
        if node is None:
            continue
        for array, below in _arrays(F.col(quote_name(each.name)), each.dataType, node):
            elements = part.rows.select(F.explode(array).alias(_ELEMENT))
            yield from _parts(Part(elements, Node(below={_ELEMENT: below}), part.column or each.name))


def _arrays(value: Column, data_type: DataType, node: Node) -> Iterator[tuple[Column, Node]]:
    """Every outermost array in a value, with the decisions on its elements."""
    match data_type:
        case StructType():
            for each in data_type.fields:
                if (inner := node.at(each.name)) is not None:
                    yield from _arrays(value[each.name], each.dataType, inner)
        case ArrayType():
            if (below := node.at(ELEMENTS) or (node if node.decision is not None else None)) is not None:
                yield _one_list(value, data_type), below
        case MapType():
            sides = ((F.map_keys(value), MAP_KEY), (F.map_values(value), MAP_VALUE))
            yield from ((side, below) for side, step in sides if (below := node.at(step)) is not None)
        case _ if is_text(data_type) and (document := node.at(DOCUMENT)) is not None:
            for array, below in document_arrays(value, document):
                yield _as_documents(array), Node(below={DOCUMENT: Node(below={_INNER: below})})
        case _:
            return


def _one_list(value: Column, data_type: ArrayType) -> Column:
    """An array whose elements are no arrays: those within it stand at the same path (`ColumnPath`)."""
    while isinstance(data_type.elementType, ArrayType):
        value, data_type = F.flatten(F.filter(value, lambda each: each.isNotNull())), data_type.elementType
    return value


def _as_documents(array: Column) -> Column:
    """Elements of a JSON array, each as a document of its own."""
    return F.transform(array, lambda element: F.to_json(F.struct(element.alias(_INNER))))
