"""Decisions applied field by field through structs, arrays, maps and JSON documents; what has no decision does not pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from wardlake.deidentify.column_types import is_text
from wardlake.deidentify.decision_tree import DOCUMENT, ELEMENTS, Node
from wardlake.deidentify.json_documents import rewrite_document
from wardlake.deidentify.rules.apply import apply_rule
from wardlake.deidentify.rules.row_context import RowContext
from wardlake.model.errors import ConfigurationError, UnclassifiedColumns, WardlakeError
from wardlake.model.identifiers import MAP_KEY, MAP_VALUE
from wardlake.model.quoting import quote_name
from wardlake.model.treatments import Decision, Null, Token, Verdict


@dataclass(slots=True)
class Walk:
    """One pass over a table's columns: what its rules may know, and the paths found without a decision."""

    row: RowContext
    missing: list[str] = field(default_factory=list)

    def transform(
        self, value: Column, data_type: DataType, node: Node | None, path: str, *, elements: bool = False
    ) -> Column | None:
        """The value as its decisions leave it; None where nothing of it stays."""
        if node is None or (node.decision is None and not node.below):
            self.missing.append(path)
            return None
        if node.decision is not None and _absent(node.decision):
            return None
        match data_type:
            case StructType():
                return self._struct(value, data_type, node, path, elements=elements)
            case ArrayType():
                return self._array(value, data_type, node, path)
            case MapType():
                return self._map(value, data_type, node, path)
            case _ if node.at(DOCUMENT) is not None and is_text(data_type):
                return rewrite_document(value, node.below[DOCUMENT], self._leaf_at(path, elements=elements))
            case _:
                return self._leaf(value, data_type, node, path, elements=elements)

    def _struct(self, value: Column, data_type: StructType, node: Node, path: str, *, elements: bool) -> Column | None:
        if node.decision is not None:
            return self._whole(data_type, node.decision, path)
        kept = []
        for each in data_type.fields:
            inner = self.transform(value[each.name], each.dataType, node.at(each.name), f"{path}.{each.name}", elements=elements)
            if inner is not None:
                kept.append(inner.alias(each.name))
        return F.when(value.isNotNull(), F.struct(*kept)) if kept else None

    def _array(self, value: Column, data_type: ArrayType, node: Node, path: str) -> Column | None:
        below = node.at(ELEMENTS)
        if below is None and node.decision is not None:
            if isinstance(data_type.elementType, StructType | ArrayType | MapType):
                return self._whole(data_type, node.decision, path)
            below = node
        return self._elements(value, data_type, below, f"{path}[]")

    def _elements(self, value: Column, data_type: ArrayType, node: Node | None, path: str) -> Column | None:
        """An array's elements; those of arrays within it stand at the same path (`ColumnPath`)."""
        gone = False

        def element(each: Column) -> Column:
            nonlocal gone
            within = data_type.elementType
            if isinstance(within, ArrayType):
                inner = self._elements(each, within, node, path)
            else:
                inner = self.transform(each, within, node, path, elements=True)
            gone = inner is None
            return F.lit(None) if inner is None else inner

        transformed = F.transform(value, element)
        return None if gone else transformed

    def _map(self, value: Column, data_type: MapType, node: Node, path: str) -> Column | None:
        if node.decision is not None:
            return self._whole(data_type, node.decision, path)
        key, inner = node.at(MAP_KEY), node.at(MAP_VALUE)
        if key is not None and key.decision is not None and not _keeps_keys_apart(key.decision):
            raise ConfigurationError(
                what=f"{path}.{MAP_KEY}: the keys of a map can be safe or tokenised, nothing else, so that they stay apart.",
                next_step="Block the map.",
            )
        gone = []

        def part(which: Column, of_type: DataType, below: Node | None, step: str) -> Column:
            changed = self.transform(which, of_type, below, f"{path}.{step}", elements=True)
            gone.append(changed is None)
            return F.lit(None) if changed is None else changed

        keyed = F.transform_keys(value, lambda k, _: part(k, data_type.keyType, key, MAP_KEY))
        whole = F.transform_values(keyed, lambda _, v: part(v, data_type.valueType, inner, MAP_VALUE))
        return None if any(gone) else whole

    def _leaf(self, value: Column, data_type: DataType, node: Node, path: str, *, elements: bool) -> Column | None:
        if node.decision is None:
            self.missing.append(path)
            return None
        return apply_decision(node.decision, value, data_type, self.row, path, elements=elements)

    def _leaf_at(self, path: str, *, elements: bool):  # type: ignore[no-untyped-def]
        def leaf(value: Column, data_type: DataType, node: Node, inner: str, *, in_array: bool) -> Column | None:
            return self._leaf(value, data_type, node, f"{path}{inner}", elements=elements or in_array)

        return leaf

    def _whole(self, data_type: DataType, decision: Decision, path: str) -> Column | None:
        """A decision on a container as a whole can only empty it: a new field would pass under any other."""
        match decision.rule:
            case Null():
                return F.lit(None).cast(data_type)
            case _:
                self.missing.append(f"{path} (its fields, one by one)")
                return None


def transform_columns(row: RowContext, fields: Sequence[StructField], tree: Node) -> dict[str, Column]:
    """These columns of the row's table as the decisions leave them, by name and in order; of what is gone there is none.

    Raises `UnclassifiedColumns` naming every one without a decision.
    """
    walk, kept = Walk(row), dict[str, Column]()
    for each in fields:
        value = walk.transform(F.col(quote_name(each.name)), each.dataType, tree.at(each.name), each.name)
        if value is not None:
            kept[each.name] = value
    if walk.missing:
        raise UnclassifiedColumns(
            f"Columns of table {row.table.name} have no decision.",
            which=[f"{row.table.name}.{path}" for path in sorted(set(walk.missing))],
            next_step="wardlake classify review --source S --column T.C --as safe|sensitive|blocked --reason TEXT",
        )
    return kept


def apply_decision(
    decision: Decision, value: Column, data_type: DataType, row: RowContext, path: str, *, elements: bool
) -> Column | None:
    """One decision on one value; a rule's refusal is told with the column's name."""
    match decision.verdict:
        case Verdict.SAFE:
            return value
        case Verdict.BLOCKED:
            return None
        case Verdict.SENSITIVE if decision.rule is not None:
            try:
                return apply_rule(decision.rule, value, data_type, row, path=path, elements=elements)
            except WardlakeError as error:
                raise ConfigurationError(what=f"{row.table.name}.{path}: {error.what}", next_step=error.next_step) from None
    raise ValueError(f"no verdict {decision.verdict}")


def _absent(decision: Decision) -> bool:
    return decision.verdict is Verdict.BLOCKED or (decision.rule is not None and decision.rule.rule == "drop")


def _keeps_keys_apart(decision: Decision) -> bool:
    return _absent(decision) or decision.verdict is Verdict.SAFE or isinstance(decision.rule, Token)
