"""What the footers of Parquet files say of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import SparkSession

from wardlake.adapters.java_classes import java_class
from wardlake.adapters.source_files import SourceFile
from wardlake.model.errors import ContractBroken

_READERS = 8


def require_same_columns(table: str, files: Sequence[SourceFile], spark: SparkSession) -> None:
    """Raise `ContractBroken` naming columns and fields that only some of the files have.

    The engine takes one file's columns for all: a column of another file would be neither kept nor shown to the gate.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda file: _columns(file, spark), files))
    uneven = frozenset.union(*found) - frozenset.intersection(*found)
    if uneven:
        raise ContractBroken(
            "The files of a table have different columns.",
            which=[f"{table}.{path}" for path in sorted(uneven)],
            next_step='Export all of the table with the same columns, or say `read: {mergeSchema: "true"}` in conf/sources.',
        )


def _columns(file: SourceFile, spark: SparkSession) -> frozenset[str]:
    """The path of every leaf, as the file's footer has them."""
    path = java_class(spark, "org.apache.hadoop.fs.Path")(file.path)
    conf = spark._jsc.hadoopConfiguration()
    opened = java_class(spark, "org.apache.parquet.hadoop.util.HadoopInputFile").fromPath(path, conf)
    reader = java_class(spark, "org.apache.parquet.hadoop.ParquetFileReader").open(opened)
    try:
        leaves = reader.getFooter().getFileMetaData().getSchema().getPaths()
        return frozenset(".".join(leaf) for leaf in leaves)
    finally:
        reader.close()
