"""The raw tables that all practices share: what a row of the log becomes, and how it is merged.

A raw table holds one row per practice and key, as its newest change left it, in a fixed number of buckets of practices. A deleted
row stays as a tombstone without values, so that older changes of it that come late are known to be old.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType, _parse_datatype_string

from wardlake.model.quoting import quote_name, quote_text
from wardlake.ports.tables import Merge
from wardlake.practices.change_log import ORDER, select_newest
from wardlake.practices.log_entries import Deed, Problem

BUCKET = "wardlake_bucket"
PRACTICE = "wardlake_practice"
KEY = "wardlake_key"
DELETED = "wardlake_deleted"
COMMITTED_AT = "wardlake_committed_at"
MERGED_AT = "wardlake_merged_at"  # by the queue's clock: what a source says of the time decides nothing here
ENTRY_HASH = "wardlake_entry_hash"
_OWN = {
    BUCKET: "int",
    PRACTICE: "string",
    KEY: "string",
    "wardlake_commit": "decimal(38,0)",
    "wardlake_sequence": "bigint",
    "wardlake_part": "int",
    COMMITTED_AT: "timestamp",
    MERGED_AT: "timestamp",
    ENTRY_HASH: "bigint",
    DELETED: "boolean",
}
_POSITION = tuple(f"wardlake_{name}" for name in ORDER)
_UNSENT, _NEEDS_ROW, _REVIVES = "wardlake_unsent", "wardlake_needs_row", "wardlake_revives"
_RAISED = (Problem.NO_ROW, Problem.DELETED_ROW, Problem.TOLD_OTHERWISE, Problem.UNREADABLE_ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """One raw table: the columns of the source that may be in it, each with its type, and the number of its buckets."""

    name: str
    columns: Mapping[str, str]
    buckets: int

    @property
    def schema(self) -> StructType:
        whole = {**_OWN, **self.columns}
        parsed = _parse_datatype_string(", ".join(f"{quote_name(name)} {kind}" for name, kind in whole.items()))
        if not isinstance(parsed, StructType):
            raise TypeError(self.name)
        return parsed


def bucket_of(practice: str, buckets: int) -> int:
    """The bucket of a practice: the same in every table and run."""
    return zlib.crc32(practice.encode()) % buckets


def _bucket(practice: Column, buckets: int) -> Column:
    return F.pmod(F.crc32(practice.cast("binary")), F.lit(buckets)).cast("int")


def make_rows(log: DataFrame, table: RawTable, *, merged_at: datetime) -> DataFrame:
    """What is merged into one table at that time: its columns as typed values. A text that is none of its type is refused.

    Input: entries of rows of this table, without a problem.
    """
    newest = select_newest(log)
    own = {
        BUCKET: _bucket(F.col("practice"), table.buckets),
        PRACTICE: F.col("practice"),
        KEY: F.col("key"),
        **{f"wardlake_{name}": F.col(name) for name in ORDER},
        COMMITTED_AT: F.col("committed_at"),
        MERGED_AT: F.lit(merged_at),
        ENTRY_HASH: F.col("entry_hash"),
        DELETED: F.col("deed") == Deed.DELETE.value,
        _UNSENT: F.col("unsent"),
        _NEEDS_ROW: F.col("needs_row"),
        _REVIVES: F.col("revives"),
    }
    typed = {name: _typed(name, kind) for name, kind in table.columns.items()}
    return newest.select(*(value.alias(name) for name, value in {**own, **typed}.items()))


def merge_of(table: RawTable, practices: Collection[str]) -> Merge:
    """How such rows of these practices go into the table: the newest change of each row wins, whenever it comes.

    The condition names the practices and their buckets: other groups are not in its way, and others' rows are left out early.
    """
    same = " AND ".join(f"target.{name} = source.{name}" for name in (BUCKET, PRACTICE, KEY))
    stands, comes = (f"struct({', '.join(f'{side}.{name}' for name in _POSITION)})" for side in ("target", "source"))
    # Every column of the condition is of the source or the target alone: nothing else decides.
    otherwise = f"{comes} = {stands} AND source.{ENTRY_HASH} <> target.{ENTRY_HASH}"
    return Merge(
        on=f"{_of(practices, table.buckets)} AND {same}",
        updates=(
            (otherwise, {DELETED: _raise(Problem.TOLD_OTHERWISE)}),
            (f"{comes} > {stands}", {**_positions(), **_values(table), DELETED: _deleted_unless_changed()}),
        ),
        insert={**_own_values(), **_values(table, insert=True), DELETED: _inserted()},
        refusals=(*(each.value for each in _RAISED), *(bad_value(name) for name in table.columns)),
    )


def empty_before(table: RawTable, practices: Collection[str]) -> Merge:
    """Make tombstones of what stood before a table was emptied; merged with one row a practice, which has a position alone."""
    stands, comes = (f"struct({', '.join(f'{side}.{name}' for name in _POSITION)})" for side in ("target", "source"))
    return Merge(
        on=f"{_of(practices, table.buckets)} AND target.{BUCKET} = source.{BUCKET} AND target.{PRACTICE} = source.{PRACTICE}",
        updates=((f"NOT target.{DELETED} AND {comes} > {stands}", {**_positions(), **_nulls(table), DELETED: "true"}),),
        insert=None,
    )


def _of(practices: Collection[str], buckets: int) -> str:
    within = sorted({bucket_of(name, buckets) for name in practices})
    names = ", ".join(quote_text(name) for name in sorted(practices))
    return f"target.{BUCKET} IN ({', '.join(map(str, within))}) AND target.{PRACTICE} IN ({names})"


def make_emptied(log: DataFrame, table: RawTable, *, merged_at: datetime) -> DataFrame:
    """The last time that each practice's table was emptied. Input: entries of this table that say so."""
    last = log.groupBy("practice").agg(F.max(F.struct(*ORDER, "committed_at")).alias("last"))
    return last.select(
        _bucket(F.col("practice"), table.buckets).alias(BUCKET),
        F.col("practice").alias(PRACTICE),
        *(F.col(f"last.{name}").alias(f"wardlake_{name}") for name in ORDER),
        F.col("last.committed_at").alias(COMMITTED_AT),
        F.lit(merged_at).alias(MERGED_AT),
        F.lit(0).cast("bigint").alias(ENTRY_HASH),
    )


def _value(name: str) -> Column:
    return F.col("row").getItem(name)


def _typed(name: str, kind: str) -> Column:
    text = _value(name)
    if kind == "string":
        return text
    value = text.try_cast(kind)
    return F.when(text.isNotNull() & value.isNull(), F.raise_error(F.lit(bad_value(name))).cast(kind)).otherwise(value)


def bad_value(column: str) -> str:
    """The refusal of a value that is not of its column's type."""
    return f"{Problem.BAD_VALUE.value}: {column}."


def _positions() -> dict[str, str]:
    return {name: f"source.{name}" for name in (*_POSITION, COMMITTED_AT, MERGED_AT, ENTRY_HASH)}


def _own_values() -> dict[str, str]:
    return {name: f"source.{name}" for name in _OWN if name != DELETED}


def _values(table: RawTable, *, insert: bool = False) -> dict[str, str]:
    """Of a row that is there, columns that were not sent stay."""
    names = {name: quote_name(name) for name in table.columns}
    if insert:
        return {name: f"source.{quoted}" for name, quoted in names.items()}
    return {
        name: f"IF(array_contains(source.{_UNSENT}, {quote_text(name)}), target.{quoted}, source.{quoted})"
        for name, quoted in names.items()
    }


def _nulls(table: RawTable) -> dict[str, str]:
    return dict.fromkeys(table.columns, "NULL")


def _deleted_unless_changed() -> str:
    changed = f"source.{_REVIVES} OR (source.{_NEEDS_ROW} AND target.{DELETED})"
    return f"IF({changed}, {_raise(Problem.DELETED_ROW)}, source.{DELETED})"


def _inserted() -> str:
    missing = f"IF(source.{_NEEDS_ROW}, {_raise(Problem.NO_ROW)}, source.{DELETED})"
    return f"IF(source.{_REVIVES}, {_raise(Problem.DELETED_ROW)}, {missing})"


def _raise(problem: Problem) -> str:
    return f"CAST(raise_error({quote_text(problem.value)}) AS BOOLEAN)"
