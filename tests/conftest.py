"""Fixtures shared by the whole run: one Spark session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pyspark.sql import SparkSession

from wardlake.adapters.spark_session import start_session

ROOT = Path(__file__).parent.parent
# For the engines of processes that tests start: they end before Java's second compiler would give what it costs. The session that
# tests share lives for as long as the run, which it makes a quarter shorter.
QUICK = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
LASTING = "-XX:+TieredCompilation -XX:TieredStopAtLevel=4 -XX:ReservedCodeCacheSize=400m -XX:+UseSerialGC"
os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK)

NICENESS = os.nice(0)  # of whoever runs the tests

# Tables of a few rows: writing, compiling and planning anew cost more than running. Processes that tests start plan and compile
# as in production, and so do tests of whole sources: `as_in_production`.
PLAIN = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}

# How long one example takes says how busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any-machine")

# Processes of pytest-xdist have no main file, which PySpark's Connect takes for its own doctests: it would exit on import.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

pytest_plugins = [
    "tests.servers.postgres",
    "tests.servers.minio",
    "tests.servers.openbao",
    "tests.servers.keycloak",
    "tests.servers.trino",
    "tests.servers.spark_cluster",
    "tests.records",
]


@pytest.fixture(autouse=True)
def _as_nice_as_it_began() -> Iterator[None]:
    """A lane that works in this process with a niceness of its own leaves every later test and server as nice: say 0 there."""
    yield
    assert os.nice(0) == NICENESS, "this test, or a fixture that it asked for, made the process of the tests nicer"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One local session for the run: two cores, small shuffles."""
    warehouse = tmp_path_factory.mktemp("warehouse")
    session = start_session(
        "wardlake-tests",
        jar_folder=ROOT / ".tools" / "jars",
        master="local[2]",
        conf={
            **PLAIN,
            "spark.sql.shuffle.partitions": "2",
            "spark.default.parallelism": "2",
            "spark.driver.memory": "1500m",
            "spark.driver.extraJavaOptions": LASTING,
            "spark.sql.warehouse.dir": str(warehouse),
        },
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def as_in_production(spark: SparkSession) -> Iterator[None]:
    """For as long as a file's tests run, expressions are compiled, and plans made anew while they run."""
    for key in PLAIN:
        spark.conf.set(key, "FALLBACK" if key.endswith("factoryMode") else "true")
    yield
    for key, value in PLAIN.items():
        spark.conf.set(key, value)
