"""The driver's JVM: started with settings that are no secret, quiet on the console."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway

STDERR = 2
JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# Said by every Java 17 that Spark starts; no option of Java's silences it.
_NO_NEWS = b"WARNING: Using incubator modules: jdk.incubator.vector"


def logging_by(file: str) -> str:
    """The option of Java's by which a JVM logs as one of the files beside this module says."""
    return f"-Dlog4j2.configurationFile={files('wardlake.adapters').joinpath(file)}"


def launch_jvm(settings: Mapping[str, str], *, classes: Path) -> None:
    """Start the JVM, if there is none yet. `settings` stand on its command line, which every user of the machine can read.

    `classes` is Java's archive of the classes that every start loads, where set-up made one; a JVM that it does not fit starts
    without it, and says nothing. What it prints goes to stderr: stdout holds our answers alone.
    """
    if SparkContext._gateway is not None:
        return
    shared = f"-XX:SharedArchiveFile={classes.resolve()} -Xlog:disable" if classes.is_file() else ""
    options = " ".join(filter(None, (logging_by("log4j2.properties"), shared, settings.get(JAVA_OPTIONS, ""))))
    conf = SparkConf(loadDefaults=False).setAll(list({**settings, JAVA_OPTIONS: options}.items()))
    read, write = os.pipe()
    try:
        gateway = launch_gateway(conf, {"stdout": write, "stderr": write})  # type: ignore[no-untyped-call]
        SparkContext._ensure_initialized(gateway=gateway)
    finally:
        os.close(write)
        threading.Thread(target=_pass_on, args=(read,), name="jvm-stderr", daemon=True).start()


def _pass_on(descriptor: int) -> None:
    """What the JVM says, but for the one line that is no news."""
    with os.fdopen(descriptor, "rb") as said:
        for line in said:
            if line.strip() != _NO_NEWS:
                os.write(STDERR, line)
