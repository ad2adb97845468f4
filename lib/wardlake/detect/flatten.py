"""Columns taken apart into leaves: struct fields, array elements, map keys and values."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from wardlake.model.errors import ContractBroken
from wardlake.model.identifiers import ColumnPath

Leaf = tuple[str, DataType, pa.Array]


def list_leaves(schema: StructType) -> list[tuple[str, DataType]]:
    """Every leaf path of a schema with its type, in schema order.

    Raises `ContractBroken` where a field's name cannot be written as a column path.
    """
    leaves = [leaf for field in schema.fields for leaf in _list_leaves(field.name, field.dataType)]
    for path, _ in leaves:
        try:
            ColumnPath("table", path)
        except ValueError:
            raise ContractBroken(
                "A column's name holds one of . [ ] $ and cannot be addressed.", which=[path], next_step="rename it"
            ) from None
    return leaves


def flatten_column(path: str, of_type: DataType, cells: pa.Array) -> Iterator[Leaf]:
    """The leaves of one column as arrays; elements of arrays and maps are cells of their own."""
    if isinstance(of_type, StructType):
        for field in of_type.fields:
            yield from flatten_column(f"{path}.{field.name}", field.dataType, _struct_field(cells, field.name))
    elif isinstance(of_type, ArrayType):
        yield from flatten_column(_elements(path), of_type.elementType, pc.list_flatten(cells))
    elif isinstance(of_type, MapType):
        entries = cells.cast(pa.list_(pa.struct([("key", cells.type.key_type), ("value", cells.type.item_type)])))
        pairs = pc.list_flatten(entries)
        yield from flatten_column(f"{path}.{{key}}", of_type.keyType, pc.struct_field(pairs, "key"))
        yield from flatten_column(f"{path}.{{value}}", of_type.valueType, pc.struct_field(pairs, "value"))
    else:
        yield path, of_type, cells


def _list_leaves(path: str, of_type: DataType) -> Iterator[tuple[str, DataType]]:
    if isinstance(of_type, StructType):
        for field in of_type.fields:
            yield from _list_leaves(f"{path}.{field.name}", field.dataType)
    elif isinstance(of_type, ArrayType):
        yield from _list_leaves(_elements(path), of_type.elementType)
    elif isinstance(of_type, MapType):
        yield from _list_leaves(f"{path}.{{key}}", of_type.keyType)
        yield from _list_leaves(f"{path}.{{value}}", of_type.valueType)
    else:
        yield path, of_type


def _elements(path: str) -> str:
    return path if path.endswith("[]") else f"{path}[]"  # arrays of arrays are written once


def _struct_field(cells: pa.Array, name: str) -> pa.Array:
    if cells.type.get_field_index(name) < 0:
        return pa.nulls(len(cells))
    return pc.struct_field(cells, name)
