"""Comments and other metadata of a source's columns: what people wrote there is no part of the data, and is not looked into."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from wardlake.model.quoting import quote_name


def drop_comments(df: DataFrame) -> DataFrame:
    """The same rows and types without any metadata of columns and nested fields; `df` itself where there is none."""
    plain = StructType([_plain_field(field) for field in df.schema.fields])
    if plain == df.schema:
        return df
    # a cast to the column's own type costs nothing, and what is cast inherits nothing
    return df.select(*[F.col(quote_name(field.name)).cast(field.dataType).alias(field.name) for field in plain.fields])


def _plain_field(field: StructField) -> StructField:
    return StructField(field.name, _plain_type(field.dataType), field.nullable)


def _plain_type(data_type: DataType) -> DataType:
    match data_type:
        case StructType():
            return StructType([_plain_field(field) for field in data_type.fields])
        case ArrayType():
            return ArrayType(_plain_type(data_type.elementType), data_type.containsNull)
        case MapType():
            return MapType(_plain_type(data_type.keyType), _plain_type(data_type.valueType), data_type.valueContainsNull)
        case _:
            return data_type
