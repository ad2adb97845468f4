"""Classes of the driver's JVM."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def java_class(spark: SparkSession, name: str) -> Any:
    """The class of that whole name, e.g. `scala.Option`.

    Asked for part by part, each package on the way would be searched for in every jar, as if it were a class.
    """
    return getattr(spark._jvm, name)
