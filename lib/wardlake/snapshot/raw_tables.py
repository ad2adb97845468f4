"""Writes one source table as a raw Delta table, checked and hashed in the pass that writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyspark.sql.functions as F
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation
from pyspark.sql.types import StructType

from wardlake.audit.content_hash import allow_nulls, hash_row, sum_hashes
from wardlake.model.errors import ContractBroken
from wardlake.model.sources import TableSpec
from wardlake.ports.sources import OpenSource, RawTable
from wardlake.ports.tables import Tables
from wardlake.publish.column_comments import drop_comments
from wardlake.snapshot.contracts import conditions, declared_columns, findings
from wardlake.snapshot.typed_columns import TypedTable, column, require_columns, require_names, type_texts, type_values

# A kept snapshot may be read years later: Delta must never tidy its log away.
KEEP_LOG = {"delta.logRetentionDuration": "interval 36500 days", "delta.enableExpiredLogCleanup": "false"}

_HASH = "hash of the row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A raw table as written: its version, count and row sum, and what was odd but kept."""

    version: int
    row_count: int
    row_sum: str
    schema: str
    warnings: tuple[str, ...]


def write_raw_table(table: TableSpec, path: str, *, source: OpenSource, tables: Tables, decided: Sequence[str] = ()) -> Written:
    """Read, check, hash and write one table in one pass; raises `ContractBroken` naming columns, never values.

    The columns that the source declares must be there, and those that were `decided` on.
    """
    try:
        raw = source.read(table)
        raw = replace(raw, rows=drop_comments(raw.rows))
        observed, content = Observation(), observe_content(table, type_table(table, raw, decided), raw)
        version = tables.replace(path, content.watch(observed), properties=KEEP_LOG)
        warnings = judge_table(table, observed.get, source)
    except (PySparkException, Py4JError):  # the engine's message may hold values
        raise ContractBroken("The table cannot be read at the source.", which=[table.name]) from None
    return Written(
        version=version,
        row_count=int(observed.get["rows"]),
        row_sum=str(observed.get["sum"]),
        schema=content.schema.json(),
        warnings=warnings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Rows beside their hash and the conditions they break, all computed before the engine counts them."""

    rows: DataFrame
    schema: StructType
    rules: tuple[str, ...]

    def watch(self, observation: Observation) -> DataFrame:
        """The table's own columns; `observation` counts what passes."""
        counts = [F.count(F.when(column(rule), 1)).alias(rule) for rule in self.rules]
        totals = [F.count(F.lit(1)).alias("rows"), sum_hashes(column(_HASH)).alias("sum")]
        return self.rows.observe(observation, *totals, *counts).select(*[column(name) for name in self.schema.names])


def observe_content(table: TableSpec, typed: TypedTable, raw: RawTable) -> Watched:
    """Each row with its hash and conditions as columns: the aggregates that watch them are interpreted, these are compiled."""
    broken = conditions(table, typed, raw.faults)
    wide = typed.rows.select(*typed.columns, *[condition.alias(rule) for rule, condition in broken.items()])
    names = wide.columns[: len(typed.columns)]
    schema = allow_nulls(StructType([wide.schema[name] for name in names]))
    return Watched(rows=wide.withColumn(_HASH, hash_row(schema)), schema=schema, rules=tuple(broken))


def type_table(table: TableSpec, raw: RawTable, decided: Sequence[str]) -> TypedTable:
    """The source's columns as declared; raises `ContractBroken` for missing columns, unfit names, changed types."""
    present = [name for name in raw.rows.columns if name not in raw.inner]
    wanted = list(dict.fromkeys([*declared_columns(table), *decided]))
    require_columns(table.name, present, wanted)
    kept = StructType([field for field in raw.rows.schema if field.name not in raw.inner])
    require_names(table.name, kept, is_header=bool(wanted))
    if raw.texts:
        return type_texts(raw.rows, table.types, raw.inner)
    return type_values(table.name, raw.rows, table.types)


def judge_table(table: TableSpec, measured: Mapping[str, Any], source: OpenSource) -> tuple[str, ...]:
    """Refuse what broke a rule; what is merely odd comes back as warnings."""
    broken: list[str] = []
    warnings: list[str] = []
    for finding in findings(measured):
        words = finding.words(table.name)
        if finding.rule == "odd":
            warnings.append(words)
        elif finding.rule != "fault":
            broken.append(words)
        elif place := source.confirm(table, finding.name):
            broken.append(f"{table.name}: {finding.rows} rows are damaged, {place}")
    if broken:
        raise ContractBroken(
            "The source does not keep its contract.",
            which=broken,
            next_step="Mend or export the source again; nothing of this run is kept.",
        )
    return tuple(warnings)
