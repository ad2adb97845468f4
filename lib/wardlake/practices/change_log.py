"""The change log as a table: entries of all practices in one, and what is left to do for each row of each of them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from wardlake.practices.log_entries import Deed, LogEntry

# Positions of files of a migration service have up to 35 digits.
SCHEMA = pa.schema(
    [
        ("practice", pa.string()),
        ("table", pa.string()),
        ("deed", pa.string()),
        ("key", pa.string()),
        ("row", pa.string()),
        ("unchanged", pa.list_(pa.string())),
        ("commit", pa.decimal128(38, 0)),
        ("sequence", pa.int64()),
        ("part", pa.int32()),
        ("committed_at", pa.timestamp("us", tz="UTC")),
        ("problem", pa.string()),
    ]
)
_PLACE = ("practice", "table", "key")
_ROW = "map<string,string>"
_ORDER = ("commit", "sequence", "part")


def make_entries(spark: SparkSession, entries: Iterable[LogEntry]) -> DataFrame:
    """Entries as rows of the log, in their order."""
    rows = [
        {
            "practice": each.practice,
            "table": each.table,
            "deed": each.deed.value,
            "key": each.key,
            "row": each.row,
            "unchanged": list(each.unchanged),
            "commit": Decimal(each.position.commit),
            "sequence": each.position.sequence,
            "part": each.part,
            "committed_at": each.committed_at,
            "problem": each.problem.value if each.problem else None,
        }
        for each in entries
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))


def select_newest(log: DataFrame) -> DataFrame:
    """What is left to do for each row that the log speaks of, however late, often or disordered it does.

    Input: entries without a problem. Output: one row per practice, table and key, as its last entry leaves it: `deed`; `row`, a
    map of texts by column, null for a delete; `unsent`, the columns that no entry of the row told since its last delete, which
    stay as they are; and the last entry's `commit`, `sequence`, `part` and `committed_at`.
    """
    entry = F.struct(*_ORDER, "committed_at", "deed", "row", "unchanged")
    history = log.groupBy(*_PLACE).agg(F.array_sort(F.collect_list(entry)).alias("history"))
    last = F.element_at("history", -1)
    left = F.aggregate("history", _nothing(), _after)
    wide = history.select(*_PLACE, last.alias("last"), left.alias("left"))
    return wide.select(*_PLACE, "last.deed", "left.row", "left.unsent", *(f"last.{name}" for name in (*_ORDER, "committed_at")))


def _nothing() -> Column:
    return F.struct(F.lit(None).cast(_ROW).alias("row"), F.array().cast("array<string>").alias("unsent"))


def _after(before: Column, entry: Column) -> Column:
    """A row after one more entry: what it does not tell again is taken from before, where that is known."""

    def is_unchanged(column: Column, _: Column) -> Column:
        return F.array_contains(entry["unchanged"], column)

    known = F.map_filter(F.coalesce(before["row"], F.create_map().cast(_ROW)), is_unchanged)
    upsert = F.struct(
        F.map_concat(known, F.from_json(entry["row"], _ROW)).alias("row"),
        F.array_except(entry["unchanged"], F.map_keys(known)).alias("unsent"),
    )
    return F.when(entry["deed"] == Deed.DELETE.value, _nothing()).otherwise(upsert)
