"""The change log as a table: entries of all practices in one, and what is left to do for each row of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from wardlake.model.changes import EPOCH
from wardlake.practices.log_entries import Deed, LogEntry, Problem

BATCH = "batch"
# Positions of files of a migration service have up to 35 digits.
SCHEMA = pa.schema(
    [
        (BATCH, pa.int64()),
        ("practice", pa.string()),
        ("table", pa.string()),
        ("deed", pa.string()),
        ("key", pa.string()),
        ("row", pa.string()),
        ("unchanged", pa.list_(pa.string())),
        ("needs_row", pa.bool_()),
        ("commit", pa.decimal128(38, 0)),
        ("sequence", pa.int64()),
        ("part", pa.int32()),
        ("committed_at", pa.timestamp("us", tz="UTC")),
        ("problem", pa.string()),
    ]
)
# Values of rows do not stand in the table's own log: statistics are of these columns alone.
PROPERTIES = {"delta.dataSkippingStatsColumns": "batch,practice"}
_PLACE = ("practice", "table", "key")
_ROW = "map<string,string>"
ORDER = ("commit", "sequence", "part")
LONGEST_TEXT = 2_147_483_647  # the engine's own limit is 20 million characters, above which it makes nothing of a whole row


def tabulate_entries(entries: Iterable[LogEntry], *, epoch: int) -> pa.Table:
    """Entries as rows of the log that have no batch yet, in their order.

    Positions of a later `epoch` are greater than all of an earlier one: a source that was restored counts from before.
    """
    listed = list(entries)
    commits, moments = [each.position.commit for each in listed], [each.committed_at for each in listed]
    columns = {
        "practice": [each.practice for each in listed],
        "table": [each.table for each in listed],
        "deed": [each.deed for each in listed],
        "key": [each.key for each in listed],
        "row": [each.row for each in listed],
        "unchanged": [each.unchanged for each in listed],
        "needs_row": [each.needs_row for each in listed],
        "commit": _repeated(
            {each: Decimal(in_epoch(each, epoch)) for each in set(commits)}, commits, SCHEMA.field("commit").type
        ),
        "sequence": [each.position.sequence for each in listed],
        "part": [each.part for each in listed],
        "committed_at": _repeated({at: at for at in set(moments)}, moments, SCHEMA.field("committed_at").type),
        "problem": [each.problem for each in listed],
    }
    return pa.Table.from_pydict(columns, pa.schema(list(SCHEMA)[1:]))


def number_entries(spark: SparkSession, batches: Mapping[int, pa.Table]) -> DataFrame:
    """Rows of the log as those of their batches, which are named by their numbers."""
    field = SCHEMA.field(BATCH)
    numbered = [rows.add_column(0, field, pa.repeat(pa.scalar(batch, field.type), len(rows))) for batch, rows in batches.items()]
    return spark.createDataFrame(pa.concat_tables(numbered))


def _repeated(values: Mapping[Any, Any], each: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The value of each, of few different ones: a transaction's rows share what is slow to convert."""
    places = {key: place for place, key in enumerate(values)}
    return pa.array(list(values.values()), kind).take(pa.array([places[key] for key in each], pa.int32()))


def in_epoch(commit: int, epoch: int) -> int:
    """A commit's place among those of all epochs."""
    return commit + epoch * EPOCH


def parse_row(text: Column, *, longest: int = LONGEST_TEXT) -> Column:
    """An entry's row or key as a map of texts by column; null where it cannot be read."""
    return F.from_json(text, _ROW, {"maxStringLen": str(longest)})


def require_row(text: Column, *, longest: int = LONGEST_TEXT) -> Column:
    """The same of a row that is to be merged: one that cannot be read is refused, rather than taken for one without values."""
    row = parse_row(text, longest=longest)
    refused = F.raise_error(F.lit(Problem.UNREADABLE_ROW.value)).cast(_ROW)
    return F.when(text.isNotNull() & row.isNull(), refused).otherwise(row)


def select_newest(log: DataFrame) -> DataFrame:
    """What is left to do for each row that the log speaks of, however late, often or disordered it does.

    Input: entries of rows, without a problem. Output: one row per practice, table and key, as its last entry leaves it: `deed`;
    `row`, a map of texts by column, null for a delete; `unsent`, the columns that no entry of the row told since its last
    delete, which stay as they are; `needs_row`, whether all of this rests on a row that is there already; `revives`, whether a
    deleted row was changed; `entry_hash` of the last entry; and its `commit`, `sequence`, `part` and `committed_at`.
    """
    entry = F.struct(*ORDER, "committed_at", "deed", "row", "unchanged", "needs_row")
    history = log.groupBy(*_PLACE).agg(F.array_sort(F.collect_list(entry)).alias("history"))
    last = F.element_at("history", -1)
    left = F.aggregate("history", _nothing(), _after)
    wide = history.select(*_PLACE, last.alias("last"), left.alias("left"))
    return wide.select(
        *_PLACE,
        "last.deed",
        "left.row",
        "left.unsent",
        "left.needs_row",
        "left.revives",
        F.xxhash64("last.deed", "last.row", "last.unchanged").alias("entry_hash"),
        *(f"last.{name}" for name in (*ORDER, "committed_at")),
    )


def _nothing() -> Column:
    return _left(row=F.lit(None), unsent=F.array(), is_gone=F.lit(False), needs_row=F.lit(False), revives=F.lit(False))


def _left(*, row: Column, unsent: Column, is_gone: Column, needs_row: Column, revives: Column) -> Column:
    return F.struct(
        row.cast(_ROW).alias("row"),
        unsent.cast("array<string>").alias("unsent"),
        is_gone.alias("is_gone"),
        needs_row.alias("needs_row"),
        revives.alias("revives"),
    )


def _after(before: Column, entry: Column) -> Column:
    """A row after one more entry: what it does not tell again is taken from before, where that is known."""

    def is_unchanged(column: Column, _: Column) -> Column:
        return F.array_contains(entry["unchanged"], column)

    known = F.map_filter(F.coalesce(before["row"], F.create_map().cast(_ROW)), is_unchanged)
    is_first = before["row"].isNull() & ~before["is_gone"]
    upsert = _left(
        row=F.map_concat(known, require_row(entry["row"])),
        unsent=F.array_except(entry["unchanged"], F.map_keys(known)),
        is_gone=F.lit(False),
        needs_row=entry["needs_row"] & (is_first | before["needs_row"]),
        revives=entry["needs_row"] & (before["is_gone"] | before["revives"]),
    )
    delete = _left(row=F.lit(None), unsent=F.array(), is_gone=F.lit(True), needs_row=F.lit(False), revives=F.lit(False))
    return F.when(entry["deed"] == Deed.DELETE.value, delete).otherwise(upsert)
