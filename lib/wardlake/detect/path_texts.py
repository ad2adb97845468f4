"""The texts that stand at a column path, through structs, arrays, maps and JSON documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType

from wardlake.model.identifiers import MAP_KEY, MAP_VALUE, ColumnPath
from wardlake.model.quoting import quote_name


def select_path(rows: DataFrame, path: str) -> Column:
    """The texts at a column path: one a row, or an array of texts where the path runs through arrays, maps or JSON lists."""
    where = ColumnPath("table", path)
    if not where.is_json:
        column, many = _values_at(rows, path)
        return column.cast("array<string>" if many else "string")
    inside = path.split("$", 1)[1]
    document, many = _values_at(rows, where.json_column)
    lists = inside.count("[]")
    if many:
        found = F.transform(document, lambda each: F.get_json_object(each.cast("string"), f"${inside.replace('[]', '[*]')}"))
        return _flat(F.transform(found, lambda each: _listed(each, lists)))
    found = F.get_json_object(document.cast("string"), f"${inside.replace('[]', '[*]')}")
    return _listed(found, lists) if lists else found


def has_path(rows: DataFrame, path: str) -> bool:
    """Whether a table has the path; of a path into JSON, whether it has the documents."""
    try:
        _values_at(rows, ColumnPath("table", path).json_column)
    except KeyError:
        return False
    return True


def _listed(found: Column, lists: int) -> Column:
    """The texts of what a JSON path found, which is as many lists within each other as the path has, or fewer of one element."""
    of_texts = ArrayType(StringType())

    def elements(each: Column) -> Column:
        # a list of one is found without its brackets, and a text in it with its quotes
        alone = F.from_json(F.when(F.startswith(each, F.lit('"')), F.concat(F.lit("["), each, F.lit("]"))), of_texts)
        return F.coalesce(F.from_json(each, of_texts), alone, F.array(each))

    texts = F.array(found)
    for _ in range(lists):
        texts = _flat(F.transform(texts, elements))
    return texts


def _values_at(rows: DataFrame, path: str) -> tuple[Column, bool]:
    """The values at a path within structs, arrays and maps, and whether they are an array: one of all arrays on the way."""
    column, of_type, many = F.struct(*map(F.col, map(quote_name, rows.columns))), cast(DataType, rows.schema), False
    for name in (step.removesuffix("[]") for step in path.split(".")):
        match of_type:
            case MapType() if name in (MAP_KEY, MAP_VALUE):
                take = F.map_keys if name == MAP_KEY else F.map_values
                column, of_type = (
                    _within(column, many, take),
                    ArrayType(of_type.keyType if name == MAP_KEY else of_type.valueType),
                )
            case StructType():
                column, of_type = _within(column, many, partial(_field, name)), of_type[name].dataType
            case _:
                raise KeyError(path)
        while isinstance(of_type, ArrayType):
            column, of_type, many = _flat(column) if many else column, of_type.elementType, True
    return column, many


def _within(column: Column, many: bool, take: Callable[[Column], Column]) -> Column:
    return F.transform(column, take) if many else take(column)


def _field(name: str, value: Column) -> Column:
    return value.getField(name)


def _flat(arrays: Column) -> Column:
    """Arrays within an array as one; a null among them is nothing, where the engine would make all null."""
    return F.flatten(F.filter(arrays, lambda each: each.isNotNull()))
