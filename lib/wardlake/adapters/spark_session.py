"""Spark sessions with Delta on the class path, without Ivy."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from wardlake.model.errors import ConfigurationError

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.io.encryption.enabled": "true",  # shuffles, spills and broadcasts lie on local disks: they hold records and keys
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

# What a JVM takes only when it is started.
AT_LAUNCH = frozenset({"spark.driver.memory", "spark.driver.extraJavaOptions", "spark.driver.extraClassPath"})


def jars(folder: Path) -> str:
    """The jars of `make setup` as `spark.jars` wants them."""
    found = sorted(folder.glob("*.jar"))
    if not found:
        raise ConfigurationError(what=f"No jars in {folder}.", next_step="make setup")
    return ",".join(str(jar) for jar in found)


def start_session(
    name: str, *, jar_folder: Path, master: str = "local[*]", conf: Mapping[str, str] | None = None
) -> SparkSession:
    """A session with Delta; `conf` wins over the defaults.

    Under spark-submit its own `--master`, memory and `--jars` hold: the JVM runs already, and only what it can still take
    is set.
    """
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    if not submitted():
        builder = builder.master(master).config("spark.jars", jars(jar_folder))
    for key, value in {**DELTA, **(conf or {})}.items():
        if not (submitted() and key in AT_LAUNCH):
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def submitted() -> bool:
    """Whether spark-submit started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
