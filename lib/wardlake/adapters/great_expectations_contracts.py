"""Contracts held by Great Expectations: results as booleans only, no telemetry, nothing cached, pages without values."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from wardlake.adapters.great_expectations_pages import write_index, write_page
from wardlake.model.errors import ContractBroken
from wardlake.model.quoting import quote_name
from wardlake.ports.contracts import ContractResult, ExpectationResult, Suite, TableContract

# Every other format prints offending values.
RESULT_FORMAT: Literal["BOOLEAN_ONLY"] = "BOOLEAN_ONLY"
_KEY = "expect_compound_columns_to_be_unique"
_TABLE = "expect_table_to_exist"
_TYPE = "expect_column_values_to_be_of_type"
# Spark's simple type names and the classes by which the library knows them.
_CLASSES = {
    "string": "StringType",
    "boolean": "BooleanType",
    "tinyint": "ByteType",
    "smallint": "ShortType",
    "int": "IntegerType",
    "bigint": "LongType",
    "float": "FloatType",
    "double": "DoubleType",
    "decimal": "DecimalType",
    "date": "DateType",
    "timestamp": "TimestampType",
    "timestamp_ntz": "TimestampNTZType",
    "binary": "BinaryType",
    "array": "ArrayType",
    "map": "MapType",
    "struct": "StructType",
}


class GreatExpectationsContracts:
    """The port `Contracts`. The library is imported at the first check: that takes seconds."""

    def check(self, suite: Suite, tables: Mapping[str, DataFrame], *, docs: Path | None = None) -> ContractResult:
        with _quiet():
            library = _Library()
            results: list[ExpectationResult] = []
            pages: list[tuple[str, bool]] = []
            for name in [*suite.tables, *(tables.keys() - suite.tables.keys())]:
                if name not in tables or name not in suite.tables:
                    results.append(ExpectationResult(table=name, column="", expectation=_TABLE, success=False))
                    continue
                found, outcomes = _check_table(library, suite.name, name, suite.tables[name], tables[name])
                results += found
                if docs is not None:
                    write_page(docs, name, outcomes)
                    pages.append((name, all(result.success for result in found)))
            if docs is not None:
                write_index(docs, suite.name, pages, [r.table for r in results if r.expectation == _TABLE])
        return ContractResult(suite=suite.name, results=tuple(results))


class _Library:
    """An ephemeral context of the library: no project folder, no network, no progress bars, no persisted data."""

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        from great_expectations import expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self._gx = gx
        self.expectations = expectations
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = self._context.data_sources.add_spark("wardlake", persist=False)

    def validate(self, name: str, df: DataFrame, expectations: Sequence[Any]) -> Any:
        """The library's result, cleared of everything but which expectation held and which did not."""
        asset = self._source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": df})
        suite = self._gx.ExpectationSuite(name=name, expectations=list(expectations))
        outcome = batch.validate(suite, result_format=RESULT_FORMAT)
        for result in outcome.results:
            result.meta["checked"] = not _raised(result.exception_info)
            result.exception_info = {"raised_exception": False, "exception_traceback": None, "exception_message": None}
            result.result = {}
        return outcome


def _check_table(
    library: _Library, suite: str, name: str, contract: TableContract, df: DataFrame
) -> tuple[list[ExpectationResult], list[Any]]:
    """Schema first, without a Spark job; then all cells in one aggregate; then the key in a second.

    Cells of columns that are missing or of another type are not looked at: comparing them would raise errors that print them.
    """
    try:
        sound = _sound_columns(contract, df)
        schema = library.validate(f"{suite}/{name}", df, list(_schema_expectations(library.expectations, contract, df)))
        _judge_types(schema, sound)
        cells = library.validate(f"{suite}/{name}/cells", df, list(_cell_expectations(library.expectations, contract, sound)))
        keys = _check_key(library, f"{suite}/{name}/key", contract, df, sound)
    except Exception:  # Spark's and the library's messages may hold cells
        raise ContractBroken(
            "A contract could not be checked.",
            which=[name],
            next_step="See that the table can be read: `wardlake snapshot verify`.",
        ) from None
    outcomes = [schema, cells, *keys]
    results = [*_results(name, schema), *_missing(name, contract, df), *_results(name, cells)]
    results += [_key_result(name, contract, outcome) for outcome in keys[-1:]]
    return results, outcomes


def _schema_expectations(gxe: Any, contract: TableContract, df: DataFrame) -> Iterator[Any]:
    yield gxe.ExpectTableColumnsToMatchSet(column_set=list(contract.columns), exact_match=True)
    for field in df.schema.fields:
        if field.name in contract.columns:
            wanted = contract.columns[field.name].type.split("(")[0].split("<")[0]
            yield gxe.ExpectColumnValuesToBeOfType(column=field.name, type_=_CLASSES.get(wanted, wanted))


def _judge_types(schema: Any, sound: frozenset[str]) -> None:
    """The library compares type classes; the contract also states precision, scale and what is nested."""
    for result in schema.results:
        if result.expectation_config.type == _TYPE:
            result.success = result.expectation_config.kwargs["column"] in sound
            result.meta["checked"] = True
    schema.success = all(result.success for result in schema.results)


def _sound_columns(contract: TableContract, df: DataFrame) -> frozenset[str]:
    """The columns that are there with the type that the contract states."""
    types = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    return frozenset(name for name, column in contract.columns.items() if types.get(name) == column.type)


def _cell_expectations(gxe: Any, contract: TableContract, sound: frozenset[str]) -> Iterator[Any]:
    yield gxe.ExpectTableRowCountToBeBetween(min_value=contract.min_rows, max_value=contract.max_rows)
    for name, column in contract.columns.items():
        if name not in sound:
            continue
        if column.required:
            yield gxe.ExpectColumnValuesToNotBeNull(column=name)
        if column.values:
            yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.values))
        if column.minimum is not None or column.maximum is not None:
            yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=column.minimum, max_value=column.maximum)


def _check_key(library: _Library, name: str, contract: TableContract, df: DataFrame, sound: frozenset[str]) -> list[Any]:
    """No key occurs twice: counted over 64-bit hashes, and over the keys themselves where two hashes were the same."""
    if not contract.key or not sound.issuperset(contract.key):
        return []
    keys = [F.col(quote_name(column)) for column in contract.key]
    present = df.select(*keys).dropna()
    none_twice = [library.expectations.ExpectTableRowCountToEqual(value=0)]
    by_hash = library.validate(name, _twice(present, [F.xxhash64(*keys)]), none_twice)
    if by_hash.success:
        return [by_hash]
    return [library.validate(f"{name}/exact", _twice(present, keys), none_twice)]


def _twice(df: DataFrame, by: list[Any]) -> DataFrame:
    return df.groupBy(*by).agg(F.count(F.lit(1)).alias("times")).where("times > 1").select("times")


def _results(table: str, outcome: Any) -> list[ExpectationResult]:
    return [
        ExpectationResult(
            table=table,
            column=str(result.expectation_config.kwargs.get("column", "")),
            expectation=str(result.expectation_config.type),
            success=bool(result.success),
            checked=bool(result.meta["checked"]),
        )
        for result in outcome.results
    ]


def _key_result(table: str, contract: TableContract, outcome: Any) -> ExpectationResult:
    return ExpectationResult(
        table=table,
        column="+".join(contract.key),
        expectation=_KEY,
        success=bool(outcome.success),
        checked=all(result.meta["checked"] for result in outcome.results),
    )


def _missing(table: str, contract: TableContract, df: DataFrame) -> list[ExpectationResult]:
    absent = [name for name in contract.columns if name not in df.columns]
    return [ExpectationResult(table=table, column=name, expectation="expect_column_to_exist", success=False) for name in absent]


def _raised(info: Mapping[str, Any]) -> bool:
    """The library nests exceptions by metric where there were several."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(isinstance(one, Mapping) and one.get("raised_exception", False) for one in info.values())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's log, which prints exceptions and so cells, silent while it works."""
    log = logging.getLogger("great_expectations")
    level, log.disabled, propagate = log.level, True, log.propagate
    children = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("great_expectations.")]
    states = [child.disabled for child in children]
    log.propagate = False
    for child in children:
        child.disabled = True
    try:
        yield
    finally:
        log.setLevel(level)
        log.disabled, log.propagate = False, propagate
        for child, state in zip(children, states, strict=True):
            child.disabled = state
