"""Spark sessions with Delta on the class path, without Ivy."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.logger import PySparkLogger
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
    "spark.executor.syncLogLevel.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

# What the meaning of values and the secrecy of what lies on local disks rest on: no configuration changes it.
FIXED = frozenset(
    {"spark.io.encryption.enabled", "spark.sql.ansi.enabled", "spark.sql.session.timeZone", "spark.sql.caseSensitive"}
)

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
    """A session with Delta; `conf` wins over the defaults, but for the `FIXED` ones: `ConfigurationError` names those.

    Spark's own logs are off, on executors too: a failed task's message holds cells. What failed is said by our errors.

    Under spark-submit its own `--master`, memory and `--jars` hold: the JVM runs already, and only what it can still take
    is set.
    """
    _refuse_fixed(conf or {})
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    if not submitted():
        builder = builder.master(master).config("spark.jars", jars(jar_folder))
    for key, value in {**DELTA, **(conf or {})}.items():
        if not (submitted() and key in AT_LAUNCH):
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for logger in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):  # PySpark's own logs of failed queries
        PySparkLogger.getLogger(logger).disabled = True
    return session


def _refuse_fixed(conf: Mapping[str, str]) -> None:
    changed = sorted(key for key in FIXED & conf.keys() if conf[key] != DELTA[key])
    if changed:
        raise ConfigurationError(
            what=f"Spark settings that Wardlake rests on cannot be changed: {', '.join(changed)}.",
            next_step="Remove them from the environment's Spark settings.",
        )


def submitted() -> bool:
    """Whether spark-submit started this process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
