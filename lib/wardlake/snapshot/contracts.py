"""What a source must keep to, measured in the pass that writes the raw table and judged afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from wardlake.model.sources import TableSpec
from wardlake.snapshot.typed_columns import TypedTable, column

_WORDS = {
    "fault": "rows are damaged",
    "misfit": "values do not fit the declared type",
    "null_key": "rows have no primary key",
    "odd": "values look like numbers that lost a leading zero",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How many rows break one rule. `rule` is a key of the vocabulary, `name` a column or a fault."""

    rule: str
    name: str
    rows: int

    def words(self, table: str) -> str:
        place = table if self.rule == "fault" else f"{table}.{self.name}"
        detail = f" ({self.name})" if self.rule == "fault" else ""
        return f"{place}: {self.rows} {_WORDS[self.rule]}{detail}"


def declared_columns(table: TableSpec) -> list[str]:
    """Every column the configuration speaks of, in its order."""
    named = [*table.types, *table.primary_key]
    for reference in table.references:
        named += reference.columns
    if table.patient:
        named.append(table.patient)
    return list(dict.fromkeys(named))


def conditions(table: TableSpec, typed: TypedTable, faults: Mapping[str, Column]) -> dict[str, Column]:
    """One condition per rule, `RULE:NAME`, true for a row that breaks it."""
    rules = {("fault", name): condition for name, condition in faults.items()}
    rules |= {("misfit", name): condition for name, condition in typed.misfits.items()}
    rules |= {("null_key", name): column(name).isNull() for name in table.primary_key}
    rules |= {("odd", name): condition for name, condition in typed.warnings.items()}
    return {f"{rule}:{name}": condition for (rule, name), condition in rules.items()}


def findings(measured: Mapping[str, Any]) -> Iterator[Finding]:
    """The rules that some row broke."""
    for key, rows in measured.items():
        rule, _, name = key.partition(":")
        if rule in _WORDS and rows:
            yield Finding(rule=rule, name=name, rows=int(rows))


def count_duplicate_keys(tables: Sequence[tuple[TableSpec, DataFrame]]) -> DataFrame:
    """Tables whose primary key repeats.

    Input: tables with a primary key. Output: one row per table with `repeated`, the number of keys that occur more than once.
    Keys are compared by a 64-bit hash: a table named here is looked at again by `count_repeated`.
    """
    hashed = [
        rows.select(F.lit(spec.name).alias("table"), F.xxhash64(*[column(c) for c in spec.primary_key]).alias("key"))
        for spec, rows in tables
    ]
    counted = reduce(DataFrame.unionAll, hashed).groupBy("table", "key").agg(F.count(F.lit(1)).alias("rows"))
    return counted.where("rows > 1").groupBy("table").agg(F.count(F.lit(1)).alias("repeated"))


def count_repeated(table: TableSpec, rows: DataFrame) -> DataFrame:
    """One row with `repeated`: the exact number of primary keys that occur more than once."""
    counted = rows.groupBy(*[column(c) for c in table.primary_key]).agg(F.count(F.lit(1)).alias("rows at key"))
    return counted.where("`rows at key` > 1").agg(F.count(F.lit(1)).alias("repeated"))
