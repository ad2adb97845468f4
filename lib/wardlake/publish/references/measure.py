"""References proven on the output: what is measured of every foreign key, in one pass over all tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql.types import DataType

from wardlake.model.quoting import quote_name
from wardlake.model.sources import Reference, SourceSpec, TableSpec

_UNPIVOT = """SELECT reference, first_hash, second_hash, child_rows, parent_rows
    FROM {rows} UNPIVOT INCLUDE NULLS ((first_hash, second_hash, reference, child_rows, parent_rows) FOR entry IN (ENTRIES))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMeasure:
    """Counts of one foreign key, without any key.

    A row whose key has a null part has a null key and refers to nothing. `orphan_rows` have a key no parent has;
    `distinct_keys` counts the different keys of the child, `matched_parents` those of them that a parent has.
    `rows_per_parent_*` describe how many child rows a matched parent has: least, most and the sum of squares (the
    second moment of the join's cardinality). `parent_rows` beyond `distinct_parents` are duplicates of a parent's key.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    to: tuple[str, ...]
    child_rows: int
    null_keys: int
    orphan_rows: int
    distinct_keys: int
    matched_parents: int
    parent_rows: int
    distinct_parents: int
    rows_per_parent_min: int
    rows_per_parent_max: int
    rows_per_parent_squares: int

    @property
    def name(self) -> str:
        """`table.column -> parent.column`; a composite key's columns are joined by `+`."""
        return reference_name(self.table, self.columns, self.parent, self.to)

    @property
    def orphan_rate(self) -> float:
        """Orphan rows as a share (0 to 1) of the rows that have a key."""
        keyed = self.child_rows - self.null_keys
        return self.orphan_rows / keyed if keyed else 0.0


def reference_name(table: str, columns: tuple[str, ...], parent: str, to: tuple[str, ...]) -> str:
    """How a foreign key is called in errors, reports and records."""
    return f"{table}.{'+'.join(columns)} -> {parent}.{'+'.join(to)}"


def measure_references(tables: Mapping[str, DataFrame], source: SourceSpec) -> list[ReferenceMeasure]:
    """Measure every declared foreign key of the source on these tables, in one Spark job.

    Grain: one measure per declared reference, in the order of declaration. Each table is scanned once; keys are
    reduced to two 64-bit hashes and counted before the one shuffle, so that what moves is distinct keys, not rows.
    Raises KeyError where a table or column is missing: a snapshot has all of its source's, and the configuration is refused where
    a decision leaves one end of a key alone.
    """
    references = list(source.references())
    if not references:
        return []
    rows = count_keys(tables, references).collect()
    found = {row["reference"]: row for row in rows}
    return [_measure(table, reference, found.get(number)) for number, (table, reference) in enumerate(references)]


def count_keys(tables: Mapping[str, DataFrame], references: list[tuple[TableSpec, Reference]]) -> DataFrame:
    """One row per reference number with its counts; a reference between empty tables has no row."""
    sides = [_key_counts(tables[name], keys) for name, keys in _keys_by_table(tables, references).items()]
    keys = reduce(DataFrame.unionByName, sides)
    joined = keys.groupBy("reference", "first_hash", "second_hash").agg(
        F.sum("child_rows").alias("child"), F.sum("parent_rows").alias("parent")
    )
    return joined.groupBy("reference").agg(*_totals())


@dataclass(frozen=True, slots=True)
class _Key:
    """One side of one reference: which columns of the table at hand, hashed as text where the two sides' types differ."""

    reference: int
    columns: tuple[str, ...]
    as_text: bool
    is_parent: bool


def _keys_by_table(tables: Mapping[str, DataFrame], references: list[tuple[TableSpec, Reference]]) -> dict[str, list[_Key]]:
    keys: dict[str, list[_Key]] = {}
    for number, (table, reference) in enumerate(references):
        child, parent = tables[table.name], tables[reference.table]
        as_text = _types(child, reference.columns) != _types(parent, reference.to)
        keys.setdefault(table.name, []).append(_Key(number, reference.columns, as_text, is_parent=False))
        keys.setdefault(reference.table, []).append(_Key(number, reference.to, as_text, is_parent=True))
    return keys


def _types(df: DataFrame, columns: tuple[str, ...]) -> list[DataType]:
    return [df.schema[column].dataType for column in columns]


def _key_counts(df: DataFrame, keys: list[_Key]) -> DataFrame:
    """One row per (row of `df`, key): the table is read once however many keys it takes part in.

    A null key has null hashes, so that all of a reference's null keys meet in one group. UNPIVOT is compiled into the scan, where
    an exploded array of structs is built of objects. All names in it are made here: none is a column's of the source.
    """
    hashed = {key: place for place, key in enumerate(sorted({(key.columns, key.as_text) for key in keys}))}
    numbers = [F.lit(number).alias(f"reference{number}") for number in sorted({key.reference for key in keys})]
    counts = [F.lit(count).cast("bigint").alias(f"count{count}") for count in (0, 1)]
    entries = ", ".join(f"({', '.join(_entry(key, hashed[key.columns, key.as_text]))})" for key in keys)
    rows = df.select(*_hashes(hashed), *numbers, *counts)
    return df.sparkSession.sql(_UNPIVOT.replace("ENTRIES", entries), rows=rows)


def _entry(key: _Key, place: int) -> tuple[str, ...]:
    """The columns of one entry, in the order of UNPIVOT's names."""
    child, parent = (0, 1) if key.is_parent else (1, 0)
    return f"first{place}", f"second{place}", f"reference{key.reference}", f"count{child}", f"count{parent}"


def _hashes(hashed: Mapping[tuple[tuple[str, ...], bool], int]) -> Iterator[Column]:
    """The hashes of each distinct key, computed once and shared by all references that use it."""
    for (columns, as_text), place in hashed.items():
        parts = [_part(column, as_text) for column in columns]
        absent = reduce(Column.__or__, [part.isNull() for part in parts])
        for label in ("first", "second"):
            yield F.when(~absent, F.xxhash64(F.lit(label), *parts)).alias(f"{label}{place}")


def _part(column: str, as_text: bool) -> Column:
    name = F.col(quote_name(column))
    return name.cast("string") if as_text else name


def _totals() -> list[Column]:
    present = F.col("first_hash").isNotNull()
    has_child, has_parent = F.col("child") > 0, F.col("parent") > 0
    matched = present & has_child & has_parent
    return [
        F.sum("child").alias("child_rows"),
        F.sum(F.when(~present, F.col("child"))).alias("null_keys"),
        F.sum(F.when(present & ~has_parent, F.col("child"))).alias("orphan_rows"),
        F.count(F.when(present & has_child, 1)).alias("distinct_keys"),
        F.count(F.when(matched, 1)).alias("matched_parents"),
        F.sum("parent").alias("parent_rows"),
        F.count(F.when(present & has_parent, 1)).alias("distinct_parents"),
        F.min(F.when(matched, F.col("child"))).alias("rows_per_parent_min"),
        F.max(F.when(matched, F.col("child"))).alias("rows_per_parent_max"),
        F.sum(F.when(matched, F.col("child").cast("decimal(19,0)") * F.col("child"))).alias("rows_per_parent_squares"),
    ]


_COUNTS = (
    "child_rows",
    "null_keys",
    "orphan_rows",
    "distinct_keys",
    "matched_parents",
    "parent_rows",
    "distinct_parents",
    "rows_per_parent_min",
    "rows_per_parent_max",
    "rows_per_parent_squares",
)


def _measure(table: TableSpec, reference: Reference, row: Row | None) -> ReferenceMeasure:
    counts = {name: int(row[name] or 0) if row is not None else 0 for name in _COUNTS}
    return ReferenceMeasure(table=table.name, columns=reference.columns, parent=reference.table, to=reference.to, **counts)
