"""Start Spark, do what every command does, and have Java archive the classes that this took: `load_classes.py ARCHIVE`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pyspark import SparkContext

from wardlake.adapters.spark_session import start_session


def main(archive: str) -> None:
    spark = start_session(
        "classes",
        jar_folder=Path(".tools/jars"),
        master="local[2]",
        conf={"spark.driver.memory": "1g", "spark.driver.extraJavaOptions": f"-XX:ArchiveClassesAtExit={archive}"},
    )
    with tempfile.TemporaryDirectory(prefix="classes-") as folder:
        rows = spark.range(1000).selectExpr("id", "cast(id AS string) AS text", "current_date() AS day")
        rows.write.format("delta").save(f"{folder}/table")
        table = spark.read.format("delta").load(f"{folder}/table")
        table.groupBy("day").count().join(table, "day").orderBy("id").limit(3).collect()
        table.repartition(2).write.format("delta").mode("overwrite").save(f"{folder}/table")
    spark.stop()
    java = SparkContext._gateway.proc  # it ends, and writes, when nobody speaks to it any more
    java.stdin.close()
    java.wait(timeout=120)


main(sys.argv[1])
