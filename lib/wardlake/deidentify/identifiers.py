"""The identifiers of a table that get a token, wherever in a row they lie: for the mapping, and to look them up again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from wardlake.deidentify.column_types import is_text
from wardlake.deidentify.decision_tree import DOCUMENT, ELEMENTS, Node, grow_tree
from wardlake.deidentify.fields import transform_columns
from wardlake.deidentify.json_documents import document_arrays
from wardlake.deidentify.rules.own_identifiers import OWN
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.rules.row_context import RowContext
from wardlake.deidentify.token_columns.requests import ROW, ElementKind, Identifier, IdentifierRecorder
from wardlake.model.identifiers import MAP_KEY, MAP_VALUE
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, FormatToken, Token, TokenMode
from wardlake.tokens.mapping import Identifiers

_ELEMENT, _INNER = "__wardlake_element", "value"


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
    noted = Noted(table=table, decisions=decisions, references=references, mode=mode)
    for part, column, each in noted.in_parts(Part(df.drop(*covered), grow_tree(decisions)), df.schema):
        rows = (part.rows if part.elements else df).select(each.value.alias("value"))
        unique = not part.elements and table.primary_key == (column,) and _is_token(part.tree.at(column))
        place = f"{table.name}.{part.column or column}"
        identifiers = Identifiers(rows=rows, keep_format=each.keep_format, unique=unique, column=place)
        found.setdefault(each.domain, []).append(identifiers)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RowElements:
    """The identifiers within arrays, maps and JSON arrays of a table's rows, for tokens that cannot be made inside them."""

    table: TableSpec
    decisions: Mapping[str, Decision]
    references: ReferenceData

    def list_elements(self, df: DataFrame) -> tuple[DataFrame, dict[ElementKind, list[DataFrame]]]:
        """`df` with a column `ROW` that rows of one content share, and the identifiers by kind: `ROW`, `value`."""
        tree = grow_tree(self.decisions)
        holding = [each.name for each in df.schema.fields if (node := tree.at(each.name)) and node.below]
        plain = [each.name for each in df.schema.fields if each.name != OWN and isinstance(each.dataType, ArrayType | MapType)]
        content = F.to_json(F.struct(*map(F.col, map(quote_name, dict.fromkeys([*holding, *plain])))))
        rows = df.withColumn(ROW, F.xxhash64(content))  # rows that share it by chance share their tokens, and take only their own
        noted = Noted(table=self.table, decisions=self.decisions, references=self.references, mode=TokenMode.RANDOM)
        found: dict[ElementKind, list[DataFrame]] = {}
        for part, _, each in noted.in_parts(Part(rows, tree), df.schema):
            if part.elements:
                kind = ElementKind(domain=each.domain, data_type=each.data_type, prefix=each.prefix)
                found.setdefault(kind, []).append(part.rows.select(ROW, each.value.alias("value")))
        return rows, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the rules of a table would tokenise."""

    table: TableSpec
    decisions: Mapping[str, Decision]
    references: ReferenceData
    mode: TokenMode

    def in_parts(self, whole: Part, schema: StructType) -> Iterator[tuple[Part, str, Identifier]]:
        """Every identifier with the part and the part's column in which it lies."""
        for part in _parts(whole):
            for column in part.rows.schema.fields:
                if column.name in (ROW, OWN):
                    continue
                recorder = IdentifierRecorder(self.mode)
                transform_columns(self._context(schema, recorder), [column], part.tree)
                for each in recorder.identifiers:
                    if not (part.elements and each.column in schema.names):  # the row's own: noted there
                        yield part, column.name, each

    def _context(self, schema: StructType, recorder: IdentifierRecorder) -> RowContext:
        return RowContext(
            table=self.table,
            schema=schema,
            decisions=self.decisions,
            tokens=recorder,
            references=self.references,
            as_of=date.max,
            own_identifiers=F.col(OWN) if self.table.patient else None,  # named, never read: only what is noted counts
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
            kept = [ROW] if ROW in part.rows.columns else []
            elements = part.rows.select(*kept, F.explode(array).alias(_ELEMENT))
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
