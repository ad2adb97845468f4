"""CSV folders: one file `table.csv` or `table.csv.gz`, or a folder `table` of such files, per table.

Spark's parser runs in its permissive mode, because its strict one prints cells into the log. What permissive lets pass is found
again by conditions on the rows (`faults`), which cost no pass of their own, and looked at closely only where one holds.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import StringType, StructField, StructType

from wardlake.adapters.source_files import SourceFile, hash_files, open_text, stamp_files, table_files
from wardlake.model.errors import ContractBroken
from wardlake.model.quoting import quote_name
from wardlake.model.sources import SourceSpec, TableSpec
from wardlake.ports.sources import RawTable
from wardlake.ports.tables import Tables

_BROKEN = "record as it stands in the file"
_ENDINGS = (".csv", ".csv.gz")
_OPTIONS = {"multiLine": "true", "escape": '"', "maxColumns": "100000", "encoding": "UTF-8"}


class CsvSource:
    """The `OpenSource` port over a folder of CSV files."""

    def __init__(self, source: SourceSpec, tables: Tables) -> None:
        self._source = source
        self._tables = tables
        self._files = table_files(source.location, _ENDINGS, tables)
        self._stamps = stamp_files(self._files, tables)
        self._options = {**_OPTIONS, **source.read}

    @property
    def position(self) -> Mapping[str, str]:
        return hash_files(self._stamps, self._tables)

    def table_names(self) -> tuple[str, ...]:
        declared = {(table.file or name): name for name, table in self._source.tables.items()}
        return tuple(sorted(declared.get(file, file) for file in self._files))

    def read(self, table: TableSpec) -> RawTable:
        files = self._files[table.file or table.name]
        names = self._header(table, files)
        schema = StructType([StructField(name, StringType()) for name in [*names, _BROKEN]])
        options = {**self._options, "mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BROKEN, "enforceSchema": "true"}
        rows = self._tables.spark.read.schema(schema).options(header="true", **options).csv([f.path for f in files])
        return RawTable(rows=rows, texts=True, faults=_faults(names), inner=(_BROKEN,))

    def confirm(self, table: TableSpec, fault: str) -> str:
        files = self._files[table.file or table.name]
        match fault:
            case "columns":
                return self._first_broken(table, files)
            case "encoding":
                return self._first_undecodable(files)
            case "quotes":
                return next(filter(None, (_first_misquoted(file, self._tables, self._options) for file in files)), "")
        raise ValueError(fault)

    def _header(self, table: TableSpec, files: list[SourceFile]) -> list[str]:
        """The column names, the same in every file of the table."""
        headers = []
        for file in files:
            with open_text(file, self._tables) as text:
                headers.append(next(csv.reader(text, delimiter=self._options.get("delimiter", ",")), []))
        problem = _header_problem(headers)
        if problem:
            raise ContractBroken(
                f"The file's header cannot be used: {problem}.",
                which=[table.name],
                next_step="Export the table again.",
            )
        return headers[0]

    def _first_broken(self, table: TableSpec, files: list[SourceFile]) -> str:
        for file in files:
            one = {**self._files, (table.file or table.name): [file]}
            rows = CsvSource._with(self, one).read(table).rows.withColumn("record", F.monotonically_increasing_id() + 1)
            broken = F.when(F.col(quote_name(_BROKEN)).isNotNull(), F.col("record"))
            # The parser refuses a query of the damaged record alone: another column goes with it.
            first = rows.agg(F.min(broken).alias("record"), F.count(F.col(quote_name(rows.columns[0])))).collect()[0]["record"]
            if first is not None:
                return f"first in record {first} of {file.name}: not as many columns as the header"
        return "not as many columns as the header"

    def _first_undecodable(self, files: list[SourceFile]) -> str:
        for file in files:
            line = _first_line(self._tables.spark.read.text(file.path))
            if line:
                return f"first in line {line} of {file.name}: bytes that are not UTF-8"
        return ""

    def _with(self, files: Mapping[str, list[SourceFile]]) -> CsvSource:
        copy = object.__new__(CsvSource)
        copy._source, copy._tables, copy._files, copy._options = self._source, self._tables, dict(files), self._options
        return copy


def _faults(names: list[str]) -> dict[str, Column]:
    """Wrong column counts, undecodable bytes, and quotes that may not close: the last two need a closer look."""
    cells = [F.col(quote_name(name)) for name in names]
    opened = [F.startswith(cell, F.lit('"')) for cell in cells]
    return {
        "columns": F.col(quote_name(_BROKEN)).isNotNull(),
        "encoding": _some([F.contains(cell, F.lit("\ufffd")) for cell in cells]),
        "quotes": _some([*opened, F.contains(cells[-1], F.lit("\n"))]),
    }


def _some(conditions: list[Column]) -> Column:
    found = F.lit(False)
    for condition in conditions:
        found = found | F.coalesce(condition, F.lit(False))
    return found


def _header_problem(headers: list[list[str]]) -> str:
    if not headers or not all(headers):
        return "there is none"
    if any(header != headers[0] for header in headers):
        return "the files of this table have different ones"
    if any("\ufffd" in name for name in headers[0]):
        return "it is not UTF-8"
    if len(set(headers[0])) != len(headers[0]):
        return "a column name occurs twice"
    return "a column has no name" if "" in headers[0] else ""


def _first_misquoted(file: SourceFile, tables: Tables, options: Mapping[str, str]) -> str:
    """Read the file by the letter of the format, where a quote that never closes or closes too early is an error."""
    csv.field_size_limit(sys.maxsize)
    with open_text(file, tables) as text:
        reader = csv.reader(text, delimiter=options.get("delimiter", ","), strict=True)
        try:
            for _ in reader:
                pass
        except csv.Error:
            return f"at line {reader.line_num} of {file.name}: a quote that does not close, or closes too early"
    return ""


def _first_line(text: DataFrame) -> int:
    """The number, from 1, of the first line that is not UTF-8; 0 where all are. Spark's text reader keeps the bytes."""
    lines = text.select(
        F.spark_partition_id().alias("part"),
        F.monotonically_increasing_id().alias("id"),
        F.expr("is_valid_utf8(value)").alias("valid"),
    )
    bad = F.min(F.when(~F.col("valid"), F.col("id"))).alias("bad")
    before = 0
    for row in lines.groupBy("part").agg(F.count(F.lit(1)).alias("size"), bad).orderBy("part").collect():
        if row["bad"] is not None:
            return int(before + (row["bad"] & ((1 << 33) - 1)) + 1)
        before += row["size"]
    return 0
