"""Values that do not depend on what stood there: constants, nulls, the dev password."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.column_types import is_text, unsuitable


def put_constant(data_type: DataType, *, value: str) -> Column:
    """The same value in every row, nulls included, in the column's type; null where the constant does not fit the type."""
    return F.lit(value).try_cast(data_type)


def put_null(data_type: DataType) -> Column:
    """No value, in the column's type."""
    return F.lit(None).cast(data_type)


def replace_password(value: Column, data_type: DataType, *, password_hash: str) -> Column:
    """Every password, hashed or not, becomes the hash of the one documented dev password; no password stays none."""
    if not is_text(data_type):
        raise unsuitable("password", data_type)
    return F.when(value.isNotNull(), F.lit(password_hash))
