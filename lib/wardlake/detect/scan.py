"""One pass over a table: every matcher on every column, on distinct values only, inside Spark's Python workers.

Workers read the data files themselves: Parquet keeps a column's distinct texts apart from the rows that hold them, and a
reader that goes through Spark's rows would undo that (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from wardlake.detect.counting import CellCounts, Tally, finish_tally, merge_paths
from wardlake.detect.flatten import flatten_column, list_leaves
from wardlake.detect.json_keys import JsonKeys, hide_data_keys
from wardlake.detect.leaves import count_leaf
from wardlake.detect.matching import Matcher
from wardlake.detect.storage import StorageOptions, open_filesystem
from wardlake.model.errors import ConfigurationError, ContractBroken, StorageUnavailable, WardlakeError
from wardlake.ports.tables import DataFile
from wardlake.runs.storage_failures import storage_failure

MIN_SHAPE_ROWS = 11  # a shape that fewer cells have is not shown
_PART_BYTES = 32 * 1024 * 1024  # larger files are read by several tasks, each its share of the row groups
_TASKS_PER_CORE = 2


@dataclass(frozen=True, slots=True)
class Unit:
    """A share of one data file: the row groups whose number leaves `part` when divided by `parts`."""

    path: str
    size: int
    part: int
    parts: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that a worker could not scan, in words without a value, and what it is called: the data's fault, or another's."""

    file: str
    what: str
    next_step: str = ""
    called: type[WardlakeError] = ContractBroken


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What every worker does.

    It travels in the task's closure: a broadcast would lie in a temporary file on every worker, and a matcher may hold a key.
    """

    schema: StructType
    matchers: tuple[Matcher, ...]
    with_shapes: bool
    rows_per_unit: int  # 0: all
    storage: StorageOptions


def scan_table(
    spark: SparkSession,
    files: Sequence[DataFile],
    schema: StructType,
    matchers: Sequence[Matcher],
    *,
    columns: Sequence[str] | None = None,
    with_shapes: bool = False,
    sample_rows: int = 0,
    min_shape_rows: int = MIN_SHAPE_ROWS,
    expected_rows: int | None = None,
    storage: StorageOptions | None = None,
    json_keys: JsonKeys | None = None,
) -> list[CellCounts]:
    """Counts for every leaf path of the columns asked for, in path order of the schema, JSON paths after their column.

    `columns` names top-level columns, all by default. `sample_rows` above 0 looks at about that many rows, evenly spaced over
    all files. Raises `ContractBroken` where a file cannot be read, does not hold the schema's columns, or where the rows found
    are not `expected_rows` (a deletion vector hides rows from a table's readers, never from this scan),
    `StorageUnavailable` where the store fails.
    """
    chosen = _choose(schema, columns)
    units = plan_units(files)
    plan = ScanPlan(
        schema=chosen,
        matchers=tuple(matchers),
        with_shapes=with_shapes,
        rows_per_unit=-(-sample_rows // max(len(units), 1)) if sample_rows else 0,
        storage=storage or StorageOptions(),
    )
    parts = _run(spark, units, plan)
    merged = _merge_with_schema(chosen, parts, plan, json_keys or JsonKeys())
    if expected_rows is not None and not sample_rows:
        _check_rows(merged, chosen, expected_rows)
    return [finish_tally(p, t, min_shape_rows=min_shape_rows, sampled=bool(sample_rows)) for p, t in merged.items()]


def plan_units(files: Sequence[DataFile]) -> list[Unit]:
    """Shares of files of about equal size, largest first."""
    units = []
    for file in files:
        parts = max(1, -(-file.size // _PART_BYTES))
        units += [Unit(file.path, file.size // parts, part, parts) for part in range(parts)]
    return sorted(units, key=lambda unit: (-unit.size, unit.path, unit.part))


def balance_units(units: Sequence[Unit], bins: int) -> list[list[Unit]]:
    """The units dealt to at most `bins` tasks, the next always to the one with the fewest bytes."""
    loads: list[list[Unit]] = [[] for _ in range(min(bins, len(units)))]
    sizes = [0] * len(loads)
    for unit in units:
        lightest = sizes.index(min(sizes))
        loads[lightest].append(unit)
        sizes[lightest] += unit.size + 1
    return loads


def scan_unit(unit: Unit, plan: ScanPlan) -> dict[str, Tally]:
    """Tallies by path over one unit, column by column so that one column is in memory at a time."""
    filesystem, path = open_filesystem(unit.path, plan.storage)
    metadata = pq.read_metadata(path, filesystem=filesystem)
    present = set(metadata.schema.to_arrow_schema().names)
    _check_columns(unit.path, plan.schema, present)
    texts = [f.name for f in plan.schema.fields if f.name in present and isinstance(f.dataType, StringType)]
    with pq.ParquetFile(path, filesystem=filesystem, metadata=metadata, read_dictionary=texts) as file:
        groups = [g for g in range(file.num_row_groups) if g % unit.parts == unit.part]
        parts = (_scan_column(file, unit.path, group, field, plan) for group in groups for field in plan.schema.fields)
        return merge_paths(parts)


def _scan_column(file: pq.ParquetFile, path: str, group: int, field: StructField, plan: ScanPlan) -> dict[str, Tally]:
    rows = file.metadata.row_group(group).num_rows
    if field.name in file.schema_arrow.names:
        chunks = _whole(file.read_row_group(group, columns=[field.name], use_threads=False).column(0))
    else:
        chunks = [_partition_value(path, field.name, rows)]
    tallies = []
    for cells in chunks:
        sample = _spread(cells, plan.rows_per_unit, file.metadata.num_rows)
        for leaf, of_type, values in flatten_column(field.name, field.dataType, sample):
            tallies.append(count_leaf(leaf, of_type.simpleString(), values, plan.matchers, with_shapes=plan.with_shapes))
    return merge_paths(tallies)


def _whole(column: pa.ChunkedArray) -> list[pa.Array]:
    """The column in one piece where it fits Arrow's 2 GiB of text, else in several."""
    if column.num_chunks == 1:
        return [column.chunk(0)]
    if column.nbytes < 2**30:
        return [column.unify_dictionaries().combine_chunks()] if column.num_chunks else []
    return list(column.chunks)


def _spread(cells: pa.Array, rows_per_unit: int, rows_in_file: int) -> pa.Array:
    """About `rows_per_unit` cells of a file, evenly spaced; all of them where 0."""
    if not rows_per_unit or rows_in_file <= rows_per_unit:
        return cells
    wanted = max(1, round(len(cells) * rows_per_unit / rows_in_file))
    return cells.take(pa.array(np.linspace(0, len(cells) - 1, wanted).astype(np.int64)))


def _partition_value(path: str, name: str, rows: int) -> pa.Array:
    """A partition column's value stands in the file's path; a column added later is null in older files."""
    prefix = f"{name}="
    for segment in PurePosixPath(path).parts:
        if segment.startswith(prefix) and not segment.endswith("__HIVE_DEFAULT_PARTITION__"):
            return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [unquote(segment[len(prefix) :])])
    return pa.nulls(rows)


def _check_columns(path: str, schema: StructType, present: set[str]) -> None:
    if schema.fields and not present.intersection(schema.names) and not any(f"/{n}=" in path for n in schema.names):
        raise ContractBroken(
            "A data file holds none of its table's columns, so it was not scanned.",
            which=[PurePosixPath(path).name],
            next_step="tables with column mapping cannot be scanned: rewrite them without",
        )


def scan_shares(units: Iterable[Sequence[Unit]], plan: ScanPlan) -> Iterator[dict[str, Tally] | Failed]:
    """One result per task. A failure is returned, not raised: a traceback in an executor's log could show a value."""
    for share in units:
        current = ""
        try:
            parts = []
            for unit in share:
                current = PurePosixPath(unit.path).name
                parts.append(scan_unit(unit, plan))
            yield merge_paths(parts)
        except WardlakeError as error:
            yield Failed(current, error.what, error.next_step, type(error))
        except Exception as error:  # reported by its type alone
            wrong, next_step = storage_failure(error) or ("", "")
            what = f"A data file could not be scanned: {wrong or type(error).__name__}"
            yield Failed(current, what, next_step, StorageUnavailable if wrong else ContractBroken)


def _run(spark: SparkSession, units: Sequence[Unit], plan: ScanPlan) -> list[dict[str, Tally]]:
    if not units:
        return []
    context = spark.sparkContext
    shares = balance_units(units, _TASKS_PER_CORE * context.defaultParallelism)
    rdd = context.parallelize(shares, len(shares))
    results = rdd.mapPartitions(lambda part: scan_shares(part, plan)).collect()
    require_scanned([result for result in results if isinstance(result, Failed)])
    return [result for result in results if not isinstance(result, Failed)]


def require_scanned(failures: Sequence[Failed]) -> None:
    """Raise what kept files from being scanned: of several causes, the one that explains the others."""
    if not failures:
        return
    causes: tuple[type[WardlakeError], ...] = (ConfigurationError, StorageUnavailable)
    cause = next((cause for cause in causes if any(failed.called is cause for failed in failures)), None)
    found = [failed for failed in failures if cause is None or failed.called is cause]
    first = found[0]
    if cause is ConfigurationError:
        raise ConfigurationError(what=first.what, next_step=first.next_step)
    called = StorageUnavailable if cause is StorageUnavailable else ContractBroken
    raise called(first.what, which=[failed.file for failed in found], next_step=first.next_step)


def _choose(schema: StructType, columns: Sequence[str] | None) -> StructType:
    if columns is None:
        return schema
    missing = sorted(set(columns) - set(schema.names))
    if missing:
        raise ContractBroken("Columns to scan are not in the table.", which=missing)
    return StructType([field for field in schema.fields if field.name in columns])


def _merge_with_schema(
    schema: StructType, parts: Sequence[Mapping[str, Tally]], plan: ScanPlan, json_keys: JsonKeys
) -> dict[str, Tally]:
    """Every leaf of the schema, seen or not, then the JSON paths below it."""
    leaves = {path: Tally(type=of_type.simpleString()) for path, of_type in list_leaves(schema)}
    merged = hide_data_keys(merge_paths([leaves, *parts]), json_keys, plan.matchers, shapes=plan.with_shapes)
    order = {path: number for number, path in enumerate(leaves)}
    return dict(sorted(merged.items(), key=lambda item: (order[item[0].split("$", 1)[0]], item[0])))


def _check_rows(merged: Mapping[str, Tally], schema: StructType, expected: int) -> None:
    top = {f.name for f in schema.fields if f.name in merged}
    wrong = sorted(name for name in top if merged[name].rows != expected)
    if wrong:
        raise ContractBroken("The data files do not hold the rows the table has.", which=wrong)
