"""A job: writes, merges and reads a Delta table. Reads {master, conf, path} on stdin, answers JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyspark.sql.functions as F
from delta.tables import DeltaTable

from wardlake.adapters.spark_session import start_session

asked = json.load(sys.stdin)
spark = start_session(
    "delta-through-s3a",
    jar_folder=Path(__file__).resolve().parents[2] / ".tools" / "jars",
    master=asked["master"],
    conf=asked["conf"],
)
path = asked["path"]
rows = spark.range(0, 10_000, numPartitions=2).withColumn("part", F.col("id") % 4).withColumn("word", F.col("id").cast("string"))
rows.write.format("delta").partitionBy("part").save(path)
changes = spark.range(9_990, 10_010).select("id", (F.col("id") % 4).alias("part"), F.lit("changed").alias("word"))
target = DeltaTable.forPath(spark, path).alias("t").merge(changes.alias("s"), "t.id = s.id")
target.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
table = spark.read.format("delta").load(path)
executors = (
    spark.sparkContext.parallelize(range(8), 8).map(lambda _: os.environ.get("SPARK_EXECUTOR_DIRS", str(Path.cwd()))).distinct()
)
answer = {
    "rows": table.count(),
    "changed": table.where("word = 'changed'").count(),
    "first_version": spark.read.format("delta").option("versionAsOf", 0).load(path).count(),
    "versions": DeltaTable.forPath(spark, path).history().count(),
    "workers": executors.count(),
}
spark.stop()
print(json.dumps(answer))
