"""JSON kept in text columns: only declared paths are read, so only declared paths are written.

The document is parsed into a schema made of the decisions, its scalar values as variants: a number stays a number and `true`
stays true. A path without a decision is not in the schema and is gone; so is a value of another shape than declared (an
object where a scalar was declared safe would carry undeclared fields).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
    VariantType,
)

from wardlake.deidentify.decision_tree import ELEMENTS, Node
from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import Verdict

_SCALARS = ("STRING", "BIGINT", "DOUBLE", "BOOLEAN")


class Leaf(Protocol):
    """What is to become of one scalar of a document."""

    def __call__(self, value: Column, data_type: DataType, node: Node, path: str, /, *, in_array: bool) -> Column | None: ...


def rewrite_document(text: Column, node: Node, leaf: Leaf) -> Column:
    """A JSON text with each declared value as `leaf` leaves it and nothing else.

    Null stays null; text that is no JSON, or of another shape than declared, becomes an empty document.
    """
    schema = _schema_of(node)
    if isinstance(schema, VariantType):
        raise ConfigurationError(what=f"{node.path} needs paths within the document, e.g. {node.path}.field.")
    parsed = F.from_json(text, schema)
    rewritten = _rewrite(parsed, schema, node, leaf, "$", in_array=False)
    empty = F.lit("[]" if isinstance(schema, ArrayType) else "{}")
    if rewritten is None:
        return F.when(text.isNotNull(), empty)
    return F.when(text.isNotNull(), F.coalesce(F.to_json(rewritten), empty))


def document_arrays(text: Column, node: Node) -> Iterator[tuple[Column, Node]]:
    """Every outermost declared array of the document, its scalars as variants, with the decisions on its elements."""
    schema = _schema_of(node)
    if not isinstance(schema, VariantType):
        yield from _arrays_of(F.from_json(text, schema), schema, node)


def _arrays_of(value: Column, schema: DataType, node: Node) -> Iterator[tuple[Column, Node]]:
    match schema:
        case ArrayType():
            yield value, node.below[ELEMENTS]
        case StructType():
            for each in schema.fields:
                yield from _arrays_of(value[each.name], each.dataType, node.below[each.name])
        case _:
            return


def _schema_of(node: Node) -> ArrayType | StructType | VariantType:
    if node.at(ELEMENTS) is not None:
        if len(node.below) > 1 or node.decision is not None:
            raise ConfigurationError(what=f"{node.path} is declared as an array and as something else.")
        return ArrayType(_schema_of(node.below[ELEMENTS]))
    if node.below:
        return StructType([StructField(name, _schema_of(below)) for name, below in node.below.items()])
    return VariantType()


def _rewrite(value: Column, schema: DataType, node: Node, leaf: Leaf, path: str, *, in_array: bool) -> Column | None:
    match schema:
        case StructType():
            return _rewrite_object(value, schema, node, leaf, path, in_array=in_array)
        case ArrayType():
            return _rewrite_array(value, schema, node.below[ELEMENTS], leaf, f"{path}[]")
        case _:
            return _rewrite_scalar(value, node, leaf, path, in_array=in_array)


def _rewrite_object(value: Column, schema: StructType, node: Node, leaf: Leaf, path: str, *, in_array: bool) -> Column | None:
    kept = []
    for each in schema.fields:
        below = node.below[each.name]
        inner = _rewrite(value[each.name], each.dataType, below, leaf, f"{path}.{each.name}", in_array=in_array)
        if inner is not None:
            kept.append(inner.alias(each.name))
    return F.when(value.isNotNull(), F.struct(*kept)) if kept else None


def _rewrite_array(value: Column, schema: ArrayType, node: Node, leaf: Leaf, path: str) -> Column | None:
    gone = False

    def element(each: Column) -> Column:
        nonlocal gone
        inner = _rewrite(each, schema.elementType, node, leaf, path, in_array=True)
        gone = inner is None
        return F.lit(None) if inner is None else inner

    rewritten = F.transform(value, element)
    return None if gone else rewritten


def _rewrite_scalar(value: Column, node: Node, leaf: Leaf, path: str, *, in_array: bool) -> Column | None:
    """A scalar by its JSON type: the rule sees text as text and whole numbers as bigint, as the key columns have them."""
    shape = F.schema_of_variant(value)
    if node.decision is not None and node.decision.verdict is Verdict.SAFE:
        return F.when(shape.isin(*_SCALARS) | shape.startswith("DECIMAL"), value)
    as_text = F.when(shape == "STRING", F.try_variant_get(value, "$", "string"))
    text = leaf(as_text, StringType(), node, path, in_array=in_array)
    if text is None:
        return None
    result = F.when(shape == "STRING", text.cast("variant"))
    for of_type, holds in (
        (LongType(), shape == "BIGINT"),
        (DoubleType(), (shape == "DOUBLE") | shape.startswith("DECIMAL")),
        (BooleanType(), shape == "BOOLEAN"),
    ):
        other = _of_type(
            F.when(holds, F.try_variant_get(value, "$", of_type.simpleString())), of_type, leaf, node, path, in_array=in_array
        )
        if other is not None:
            result = result.when(holds, other.cast("variant"))
    return result


def _of_type(typed: Column, of_type: DataType, leaf: Leaf, node: Node, path: str, *, in_array: bool) -> Column | None:
    """The rule on a value of this JSON type; None where the rule does not work on it, so that the value goes."""
    try:
        return leaf(typed, of_type, node, path, in_array=in_array)
    except ConfigurationError:
        return None
