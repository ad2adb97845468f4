"""What the content scan costs: CPU of all matchers on all cells beside a bare Spark scan of the same columns, in one run.

    python -m tests.benchmarks.scan --rows 1000000

The table is Synthea's observations, repeated with new encounter keys. The bare scan hashes every cell. CPU is that of the whole
process tree: the JVM and all Python workers, user and system. Each is taken in turns after one turn that warms up, and the
least of `--repeat` turns counts; the first turn is reported as cold. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession
from tests.benchmarks.cost import take_turns
from tests.detection_rules import matchers

from wardlake.adapters.spark_session import start_session
from wardlake.detect.scan import scan_table
from wardlake.ports.tables import DataFile

ROOT = Path(__file__).parents[2]
TARGET, STRETCH = 8.0, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rlike", action="store_true", help="also an expression a pattern, as Spark users write it; slow")
    parser.add_argument("--distinct", action="store_true", help="add a key and a text that differ in every row: the worst case")
    parser.add_argument("--memory", default="1500m")
    parser.add_argument("--observations", default=str(ROOT / "tests" / "data" / "synthea" / "observations.csv.gz"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        spark = start_session(
            "scan",
            jar_folder=ROOT / ".tools" / "jars",
            master="local[2]",
            conf={"spark.driver.memory": arguments.memory, "spark.sql.shuffle.partitions": "2"},
        )
        table = f"{folder}/observations"
        rows = make_rows(spark, arguments.observations, arguments.rows)
        if arguments.distinct:
            rows = rows.withColumns({"KEY": F.expr("uuid()"), "TEXT": F.concat_ws(" ", "DESCRIPTION", "VALUE", F.expr("uuid()"))})
        rows.write.format("delta").save(table)
        seconds, cold = measure(spark, table, arguments.repeat, with_rlike=arguments.rlike)
        spark.stop()
    ratios = {name: round(value / seconds["bare"], 2) for name, value in seconds.items()}
    print(
        json.dumps(
            {
                "rows": arguments.rows,
                "cpu_seconds": seconds,
                "cpu_seconds_cold": cold,
                "ratio_to_bare": ratios,
                "target": TARGET,
                "stretch": STRETCH,
            },
            indent=2,
        )
    )


def measure(
    spark: SparkSession, table: str, repeat: int, *, with_rlike: bool = False
) -> tuple[dict[str, float], dict[str, float]]:
    """The least CPU seconds of each kind over `repeat` warm turns, and those of the first turn."""
    files = [DataFile(path=str(p), size=p.stat().st_size) for p in sorted(Path(table).glob("*.parquet"))]
    frame = spark.read.format("delta").load(table)
    everything = matchers()
    kinds: dict[str, Callable[[], object]] = {
        "bare": lambda: scan_bare(frame),
        "read_only": lambda: scan_table(spark, files, frame.schema, ()),
        "patterns": lambda: scan_table(spark, files, frame.schema, everything[:2]),
        "all": lambda: scan_table(spark, files, frame.schema, everything, with_shapes=True),
    }
    if with_rlike:
        kinds["rlike"] = lambda: scan_rlike(frame)
    return take_turns(kinds, repeat)


def make_rows(spark: SparkSession, observations: str, rows: int) -> DataFrame:
    """Observations repeated to about `rows` rows; every copy has encounters of its own."""
    once = spark.read.csv(observations, header=True, inferSchema=True)
    copies = max(1, round(rows / once.count()))
    key = F.md5(F.concat_ws("-", "ENCOUNTER", "copy"))
    uuid = F.concat_ws("-", *(F.substring(key, start, length) for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))))
    return (
        once.repartition(2)
        .crossJoin(F.broadcast(spark.range(copies).withColumnRenamed("id", "copy")))
        .withColumn("ENCOUNTER", F.when(F.col("ENCOUNTER").isNotNull(), uuid))
        .drop("copy")
        .limit(rows)
    )


def scan_bare(frame: DataFrame) -> object:
    """Every cell of every column is read and hashed, nothing else."""
    return frame.agg(F.max(F.xxhash64(*frame.columns))).collect()


def scan_rlike(frame: DataFrame) -> object:
    """Eleven plain expressions on every text column: what the scan replaces, for scale."""
    texts = [name for name, of_type in frame.dtypes if of_type == "string"]
    forms = (
        r"\b\d{3}-\d{2}-\d{4}\b", r"\b(?:\d[ -]?){13,16}\b", r"[\w.+-]+@[\w-]+\.[\w.]+", r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
        r"https?://\S+", r"\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}", r"\b(?:19|20)\d\d-\d\d-\d\d\b", r"\b\d{1,2}/\d{1,2}/\d{2,4}\b",
        r"\(01\)\d{14}", r"\b\d{5}-\d{4}\b", r"(?i)\bmrn\W*\d+",
    )  # fmt: skip
    hits = [F.sum(F.col(name).rlike(form).cast("int")) for name in texts for form in forms]
    return frame.agg(*hits).collect()


if __name__ == "__main__":
    main()
