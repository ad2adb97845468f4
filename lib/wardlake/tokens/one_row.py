"""Small relations that hold secrets: built in the JVM, so that no plan prints them and no file holds them on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType


def one_row(spark: SparkSession, schema: StructType, values: Sequence[Any]) -> DataFrame:
    """A relation of one row; a nested sequence becomes a struct.

    Spark's own `parallelize` writes its data to a temporary file first, and a local relation is part of the plan. So the row is
    made in the JVM and enters as an RDD, of which plans show the column names only. Needs a classic session, as all work
    with keys does.
    """
    jvm: Any = spark._jvm  # its classes by their whole names: part by part, each package would be searched for in every jar
    session = spark._jsparkSession
    rows = getattr(jvm, "java.util.ArrayList")()
    rows.add(_row(spark, values))
    rdd = spark.sparkContext._jsc.parallelize(rows, 1)
    return DataFrame(session.createDataFrame(rdd, session.parseDataType(schema.json())), spark)


def _row(spark: SparkSession, values: Sequence[Any]) -> Any:
    jvm: Any = spark._jvm
    gateway: Any = spark.sparkContext._gateway
    cells = gateway.new_array(getattr(jvm, "java.lang.Object"), len(values))
    for position, value in enumerate(values):
        cells[position] = _row(spark, value) if isinstance(value, list | tuple) else value
    return getattr(jvm, "org.apache.spark.sql.RowFactory").create(cells)
