"""What the residue scan costs: patterns and known values, each beside a bare Spark scan of the same columns, in one run.

    python -m tests.benchmarks.residue --rows 1000000

The table is Synthea's observations repeated with new encounter keys, as in `tests.benchmarks.scan`. Known values are those of the
sample's patients and made-up UUIDs up to `--known`. `known_values_only` is what the known-value match adds to a scan: a scan
with those matchers alone less a scan with none. CPU is that of the whole process tree, the least of `--repeat` warm turns.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession
from tests.benchmarks.cost import take_turns
from tests.benchmarks.scan import ROOT, make_rows, scan_bare
from tests.detection_rules import matchers
from tests.spec.publish.residue_data import CLASSIFICATION, KEY, PATIENTS, residue_policy

from wardlake.adapters.spark_session import start_session
from wardlake.detect.matching import Matcher
from wardlake.detect.scan import scan_table
from wardlake.ports.tables import DataFile
from wardlake.publish.residue.known_values.collection import collect_known_values
from wardlake.publish.residue.known_values.index import KnownValues, load_known_values
from wardlake.publish.residue.known_values.matcher import known_matchers
from wardlake.runs.cpu import watched_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--known", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--memory", default="1500m")
    parser.add_argument("--sample", default=str(ROOT / "tests" / "data" / "synthea"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="residue-") as folder:
        spark = start_session(
            "residue",
            jar_folder=ROOT / ".tools" / "jars",
            master="local[2]",
            conf={"spark.driver.memory": arguments.memory, "spark.sql.shuffle.partitions": "2"},
        )
        table = f"{folder}/observations"
        make_rows(spark, f"{arguments.sample}/observations.csv.gz", arguments.rows).write.format("delta").save(table)
        with watched_cpu() as cpu:
            known = make_known(spark, arguments.sample, arguments.known)
            collecting = cpu.seconds()
        seconds = measure(spark, table, known, arguments.repeat)
        spark.stop()
    seconds["known_values_only"] = round(seconds["known_values"] - seconds["read_only"], 2)
    seconds["patterns_only"] = round(seconds["patterns"] - seconds["read_only"], 2)
    ratios = {name: round(value / seconds["bare"], 2) for name, value in seconds.items()}
    print(
        json.dumps(
            {
                "rows": arguments.rows,
                "known": known.sizes(),
                "cpu_seconds_collecting_known_values": round(collecting, 2),
                "cpu_seconds": seconds,
                "ratio_to_bare": ratios,
            },
            indent=2,
        )
    )


def make_known(spark: SparkSession, sample: str, count: int) -> KnownValues:
    """The sample's patients, and as many of other people as `count` says."""
    patients = spark.read.csv(f"{sample}/patients.csv.gz", header=True)
    columns = [F.col(name) if name in patients.columns else F.lit(None).cast("string").alias(name) for name in PATIENTS]
    spare = spark.range(count).select(*(_made_up(name).alias(name) for name in PATIENTS))
    policy = residue_policy()
    collected = collect_known_values(
        {"patients": patients.select(*columns).unionByName(spare)},
        CLASSIFICATION,
        policy=policy.known_values,
        key=KEY,
        birth_words=policy.birth_words,
    )
    return load_known_values(collected, key=KEY, policy=policy.known_values)


def _made_up(column: str) -> Column:
    return F.uuid() if column == "Id" else F.lit(None).cast("string")


def measure(spark: SparkSession, table: str, known: KnownValues, repeat: int) -> dict[str, float]:
    """The least CPU seconds of each kind of scan over `repeat` turns after one that warms up."""
    files = [DataFile(path=str(p), size=p.stat().st_size) for p in sorted(Path(table).glob("*.parquet"))]
    frame: DataFrame = spark.read.format("delta").load(table)
    detectors, of_known = matchers(), known_matchers(known)

    def scan(*chosen: Matcher) -> Callable[[], object]:
        return lambda: scan_table(spark, files, frame.schema, chosen)

    kinds: dict[str, Callable[[], object]] = {
        "bare": lambda: scan_bare(frame),
        "read_only": scan(),
        "patterns": scan(*detectors),
        "known_values": scan(*of_known),
        "all": scan(*detectors, *of_known),
    }
    return take_turns(kinds, repeat)[0]


if __name__ == "__main__":
    main()
