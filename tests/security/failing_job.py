"""A job that fails on a cell, in the engine and in a Python worker, run in a process of its own.

First as Wardlake's sessions are, then with Spark's log on, as the control; only Spark writes to stderr, but for one line once
it has started. It prints the command line of its engine, which was given a secret setting.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from wardlake.adapters.spark_session import start_session

ROOT = Path(__file__).parents[2]
ON_CLUSTER = "--on-cluster"  # {master, conf} come on stdin
SETTING = "spark.wardlake.test.password"


def main() -> None:
    asked = json.load(sys.stdin) if ON_CLUSTER in sys.argv else {"master": "local[2]", "conf": {}}
    conf = {"spark.driver.memory": "1000m", "spark.sql.warehouse.dir": sys.argv[1], **asked["conf"]}
    spark = start_session(
        "failing", jar_folder=ROOT / ".tools" / "jars", master=asked["master"], conf=conf, secrets={SETTING: "Tintinnabulation"}
    )
    engine = spark.sparkContext._gateway.proc.pid  # type: ignore[union-attr]
    print("set" if spark.sparkContext.getConf().get(SETTING) == "Tintinnabulation" else "not set")
    print(Path(f"/proc/{engine}/cmdline").read_bytes().replace(b"\0", b" ").decode())
    print("started", file=sys.stderr, flush=True)
    for level, name in (("", "Oberholtzer"), ("ERROR", "Quackenbush")):
        if level:
            spark.sparkContext.setLogLevel(level)
        rows = spark.range(2).select(F.concat(F.lit(name), F.col("id").cast("string")).alias("name"))
        fail(rows.select(F.col("name").cast("int")))
        fail(rows.select(F.expr("cast(name AS int)")))
        fail(rows.mapInArrow(refuse, "name string"))
    print("failed 6 times")
    spark.stop()


def refuse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        raise ValueError(f"{batch.column(0)[0]} is refused")
        yield batch


def fail(rows: DataFrame) -> None:
    try:
        rows.collect()
    except PySparkException:
        return
    raise AssertionError("the job was meant to fail")


if __name__ == "__main__":
    main()
