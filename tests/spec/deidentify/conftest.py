"""One column in, one rule, one column out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

Rule = Callable[[Column, DataType], Column]
Apply = Callable[[str, Sequence[Any], Rule], list[Any]]


@pytest.fixture
def apply_to(spark: SparkSession) -> Apply:
    """`apply_to("date", values, rule)`: the rule over a column of that type; dates and times come back as text."""

    def apply(ddl_type: str, values: Sequence[Any], rule: Rule) -> list[Any]:
        df = spark.createDataFrame([(n, v) for n, v in enumerate(values)], "n int, v string")
        df = df.withColumn("v", F.col("v").cast(ddl_type))
        data_type = df.schema["v"].dataType
        out = df.select("n", rule(F.col("v"), data_type).alias("v"))
        assert out.schema["v"].dataType == data_type
        shown = F.col("v").cast("string") if ddl_type.startswith(("date", "timestamp", "decimal")) else F.col("v")
        return [row.v for row in out.select("n", shown.alias("v")).orderBy("n").collect()]

    return apply
