"""Ages."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.column_types import is_number, is_text, unsuitable

_OLDEST = 90  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one class, 90 and over


def cap_age(value: Column, data_type: DataType) -> Column:
    """Ages in whole years; 90 and over become 90.

    Input: numbers, or numbers written as text.
    Output: the same type; null for what is no age (text that is no number, negative numbers).
    """
    if is_number(data_type):
        years = value.cast("double")
    elif is_text(data_type):
        years = value.try_cast("double")
    else:
        raise unsuitable("age", data_type)
    whole = F.floor(F.least(years, F.lit(float(_OLDEST)))).cast("int")
    return F.when((years >= 0) & ~F.isnan(years), whole).cast(data_type)
