"""What a rule may ask of a column's type, and the refusal when the two do not fit."""

from __future__ import annotations

from pyspark.sql.types import (
    ByteType,
    CharType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructType,
    VarcharType,
)

from wardlake.model.errors import ConfigurationError


def is_text(data_type: DataType) -> bool:
    return isinstance(data_type, StringType | CharType | VarcharType)


def is_whole(data_type: DataType) -> bool:
    return isinstance(data_type, ByteType | ShortType | IntegerType | LongType)


def is_number(data_type: DataType) -> bool:
    return is_whole(data_type) or isinstance(data_type, FloatType | DoubleType | DecimalType)


def find_plain(schema: StructType, path: str) -> DataType | None:
    """The type of what a path leads to through structs alone; None where that is nothing, or a struct."""
    at: DataType = schema
    for name in path.split("."):
        if not isinstance(at, StructType) or name not in at.names:
            return None
        at = at[name].dataType
    return None if isinstance(at, StructType) else at


def unsuitable(rule: str, data_type: DataType) -> ConfigurationError:
    """The refusal of a rule on a type it cannot work on; whoever knows the column adds its name."""
    return ConfigurationError(
        what=f"Rule {rule} does not work on type {data_type.simpleString()}.",
        next_step="Choose another rule in conf/classification, or `blocked`.",
    )
