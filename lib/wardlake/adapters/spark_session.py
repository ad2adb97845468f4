"""Spark sessions with Delta on the class path, without Ivy."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark import SparkConf
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from wardlake.adapters.spark_jvm import JAVA_OPTIONS, launch_jvm, logging_by
from wardlake.model.errors import ConfigurationError

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.databricks.delta.vacuum.logging.enabled": "false",  # so it makes no commit, and needs no lock of a table's writers
    "spark.databricks.delta.vacuum.parallelDelete.enabled": "true",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",  # which it lists files in, however few: of 10,000 tasks
    # A compaction writes anew what came since the last, and never more than this much of what was there.
    **dict.fromkeys((f"spark.databricks.delta.optimize.{each}FileSize" for each in ("min", "max")), "134217728"),
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.io.encryption.enabled": "true",  # shuffles, spills and broadcasts lie on local disks: they hold records and keys
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",  # shuffles, broadcasts and the key of the local disks travel as well
    "spark.executor.syncLogLevel.enabled": "true",
    "spark.python.sql.dataFrameDebugging.enabled": "false",  # five calls to the JVM an expression, to tell our own line
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}

# What the meaning of values and the secrecy of what lies on local disks rest on: no configuration changes it.
FIXED = frozenset(
    {"spark.io.encryption.enabled", "spark.sql.ansi.enabled", "spark.sql.session.timeZone", "spark.sql.caseSensitive"}
)

JARS, CLASS_PATH = "spark.jars", "spark.driver.extraClassPath"

# What a JVM takes only when it is started.
AT_LAUNCH = frozenset({"spark.driver.memory", JAVA_OPTIONS, CLASS_PATH})

# An executor logs before it hears of the driver's level, and forgets a level that it heard too early: a file of its own, which
# `wardlake` brings to every worker, has logging off from its first line.
EXECUTORS_OPTIONS = "spark.executor.extraJavaOptions"
QUIET = logging_by("executors.log4j2.properties")

AUTHENTICATE, SHARED_SECRET = "spark.authenticate", "spark.authenticate.secret"
# What parties must agree on; between the parts of one process we choose.
LOCAL = {
    "spark.network.crypto.authEngineVersion": "2",
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    # A heartbeat before the session is up fails, and costs four minutes: on a busy machine the usual 10 s are too short.
    "spark.executor.heartbeatInterval": "60s",
}
# How the network is secured under spark-submit is for whoever calls it to say.
NETWORK = frozenset({AUTHENTICATE, "spark.network.crypto.enabled"})


def jars(folder: Path) -> str:
    """The jars of `make setup` as `spark.jars` wants them."""
    found = sorted(folder.glob("*.jar"))
    if not found:
        raise ConfigurationError(what=f"No jars in {folder}.", next_step="make setup")
    return ",".join(str(jar) for jar in found)


def start_session(
    name: str,
    *,
    jar_folder: Path,
    master: str = "local[*]",
    conf: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> SparkSession:
    """A session with Delta; `conf` wins over the defaults, but for the `FIXED` ones: `ConfigurationError` names those.

    `secrets` are settings too, which reach the JVM once it runs: its command line, which every user of the machine can read,
    holds none of them.

    Spark's own logs are off, on executors too: a failed task's message holds cells. What failed is said by our errors.

    Under spark-submit its own `--master`, memory and `--jars` hold: the JVM runs already, and only what it can still take
    is set.
    """
    _refuse_fixed(conf or {})
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {**DELTA, **(conf or {})}
    if submitted():
        settings = {key: value for key, value in settings.items() if key not in AT_LAUNCH | (NETWORK - (conf or {}).keys())}
    else:
        between = LOCAL if master.startswith("local") else {}
        settings = {**between, **settings, **_classes(jar_folder, settings, master), "spark.master": master}
        _require_shared_secret(master, {**settings, **(secrets or {})})
        launch_jvm(settings, classes=jar_folder.parent / "classes.jsa")
    settings[EXECUTORS_OPTIONS] = _quiet(settings.get(EXECUTORS_OPTIONS) or SparkConf().get(EXECUTORS_OPTIONS, ""))
    session = SparkSession.builder.appName(name).config(map={**settings, **(secrets or {})}).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for logger in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):  # PySpark's own logs of failed queries
        PySparkLogger.getLogger(logger).disabled = True
    return session


def _classes(folder: Path, settings: Mapping[str, str], master: str) -> dict[str, str]:
    """Where Spark finds Delta: in one process on its class path, elsewhere among the jars that executors fetch.

    A session of one process would fetch them from itself, enciphered as all that travels is: seconds of each start.
    """
    if not master.startswith("local"):
        return {JARS: jars(folder)}
    own = settings.get(CLASS_PATH)
    return {CLASS_PATH: os.pathsep.join([*([own] if own else []), *jars(folder).split(",")])}


def _quiet(options: str | None) -> str:
    return " ".join(filter(None, (options, QUIET)))


def _require_shared_secret(master: str, settings: Mapping[str, str]) -> None:
    """A standalone cluster authenticates by a secret that its master and workers have too."""
    if master.startswith("spark://") and settings[AUTHENTICATE] == "true" and not settings.get(SHARED_SECRET):
        raise ConfigurationError(
            what="The Spark cluster's shared secret is missing.",
            next_step=f"refer to it in the environment: spark.secrets, {SHARED_SECRET}: env:NAME",
        )


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
