"""What tokenising costs: CPU of a tokenised copy beside a plain one, both by Spark from Delta to Delta, in one run.

    python -m tests.benchmarks.tokenise --rows 1000000

One token in six columns. CPU is that of the whole process tree: the JVM and all Python workers. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import LongType, StringType
from tests.benchmarks.cost import take_turns

from wardlake.adapters.spark_session import start_session
from wardlake.ports.keys import Key
from wardlake.tokens.keyed import attach_keys, detach_keys, token_column
from wardlake.tokens.keyring import KeyRing

ROOT = Path(__file__).parents[2]
RING = KeyRing(purpose="dev", keys={"patient": Key("dev/patient", 1, bytes(range(32)))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", default="1500m")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tokenise-") as folder:
        spark = start_session(
            "tokenise",
            jar_folder=ROOT / ".tools" / "jars",
            master="local[2]",
            conf={"spark.driver.memory": arguments.memory, "spark.sql.shuffle.partitions": "2"},
        )
        seconds = measure(spark, Path(folder), arguments.rows, arguments.repeat)
        spark.stop()
    ratios = {name: round(value / seconds["plain"], 2) for name, value in seconds.items()}
    print(json.dumps({"rows": arguments.rows, "cpu_seconds": seconds, "ratio_to_plain": ratios}, indent=2))


def measure(spark: SparkSession, folder: Path, rows: int, repeat: int) -> dict[str, float]:
    """The least CPU of `repeat` copies of each kind, taken in turns after one copy that warms up."""
    source = str(folder / "source")
    make_rows(spark, rows).write.format("delta").save(source)
    kinds: dict[str, Callable[[DataFrame], DataFrame]] = {
        "plain": lambda df: df,
        "token_uuid": lambda df: by_expression(df, "patient", StringType()),
        "token_prefixed": lambda df: by_expression(df, "patient", StringType(), prefix="pat_"),
        "token_bigint": lambda df: by_expression(df, "account", LongType()),
        "pandas_udf": by_pandas,
    }

    def rewrite(name: str, change: Callable[[DataFrame], DataFrame]) -> None:
        change(spark.read.format("delta").load(source)).write.format("delta").mode("overwrite").save(str(folder / name))

    return take_turns({name: partial(rewrite, name, change) for name, change in kinds.items()}, repeat)[0]


def make_rows(spark: SparkSession, rows: int) -> DataFrame:
    """Observations: a patient's UUID (twenty rows each), a date, two codes, a number, an account number."""
    patient = F.expr("cast(id / 20 as bigint)")
    digits = F.md5(patient.cast("string"))
    return spark.range(0, rows, numPartitions=4).select(
        F.regexp_replace(digits, "(.{8})(.{4})(.{4})(.{4})(.{12})", "$1-$2-$3-$4-$5").alias("patient"),
        F.expr("timestamp_seconds(1500000000 + hash(id) % 100000000)").alias("date"),
        F.concat(F.lit("code-"), F.expr("pmod(hash(id, 1), 300)")).alias("code"),
        F.concat(F.lit("Observation number "), F.expr("pmod(hash(id, 2), 300)")).alias("description"),
        F.expr("round(pmod(hash(id, 3), 10000) / 7, 2)").alias("value"),
        F.expr("abs(xxhash64(id))").alias("account"),
    )


def by_expression(df: DataFrame, column: str, data_type: StringType | LongType, prefix: str = "") -> DataFrame:
    token = token_column(F.col(column), data_type, domain="patient", prefix=prefix)
    return detach_keys(attach_keys(df, RING).withColumn(column, token))


def by_pandas(df: DataFrame) -> DataFrame:
    """The same token by a vectorised Python function."""
    key = RING.keys["patient"].material

    def tokens(values: pd.Series) -> pd.Series:
        return values.map(lambda v: hmac.new(key, v.encode(), hashlib.sha256).hexdigest()[:32])

    return df.withColumn("patient", pandas_udf(tokens, StringType())("patient"))  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
