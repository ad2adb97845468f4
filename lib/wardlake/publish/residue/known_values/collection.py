"""The identifier values of the source as keyed hashes, collected without writing one of them down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import (
    BinaryType,
    ByteType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
)

from wardlake.detect.path_texts import has_path, select_path
from wardlake.model.identifiers import ColumnPath
from wardlake.model.quoting import quote_name
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Verdict
from wardlake.publish.residue.known_values.forms import Role, add_forms, hash_forms, hash_grouped
from wardlake.publish.residue.known_values.hashing import Hashes, hash_key
from wardlake.publish.residue.known_values.policy import KnownValuePolicy, known_kind
from wardlake.publish.residue.linkage.columns import PersonColumns, find_person_columns, is_name_part
from wardlake.publish.residue.linkage.forms import list_links, list_row_names
from wardlake.tokens.one_row import one_row

SCHEMA = StructType(
    [
        StructField("role", ByteType(), False),
        StructField("kind", StringType(), False),
        StructField("length", ShortType(), False),
        StructField("hash", LongType(), False),
    ]
)
_ARROW = pa.schema([("role", pa.int8()), ("kind", pa.string()), ("length", pa.int16()), ("hash", pa.int64())])
_KEY = "_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPath:
    """One column path: what it holds, whether that is only a part of a name, and how many words a value may have (0: any)."""

    path: str
    kind: IdentifierKind
    part: bool
    most_words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What is taken of one table: columns by position with their kind, and the columns that describe a person."""

    table: str
    paths: tuple[KnownPath, ...]
    person: PersonColumns

    @property
    def reads_something(self) -> bool:
        return bool(self.paths or self.person.names or self.person.has_links)


def foreign_columns(source: SourceSpec, *, with_orphans: Collection[ColumnPath] = ()) -> frozenset[ColumnPath]:
    """Columns whose every value stands in the parent's key too, so that reading the parent is enough.

    `with_orphans` are references measured to name keys that no parent has: those are read.
    """
    columns = {
        ColumnPath(table.name, column)
        for table, reference in source.references()
        if (reference.table, reference.to) != (table.name, reference.columns)
        for column in reference.columns
    }
    return frozenset(columns - set(with_orphans))


def collect_known_values(
    tables: Mapping[str, DataFrame],
    classification: Classification,
    *,
    policy: KnownValuePolicy,
    key: bytes,
    birth_words: Sequence[str],
    skip: Collection[ColumnPath] = (),
    inferred: Mapping[ColumnPath, IdentifierKind] | None = None,
) -> DataFrame:
    """Keyed hashes of every identifier value that the source's decisions name.

    Output: one row per role, kind and 64-bit hash; `length` is a number's count of digits, or a code's of letters and
    digits, else 0. No value, no owner.
    `key` travels as a one-row relation, never in a plan. `skip` are columns whose values are collected elsewhere, `inferred`
    the kinds of columns whose decision names none (`infer_kinds`).
    """
    collected = []
    for name, rows in tables.items():
        plan = plan_table(
            name,
            rows,
            classification.tables.get(name, {}),
            policy=policy,
            birth_words=birth_words,
            skip=skip,
            inferred={where.path: kind for where, kind in (inferred or {}).items() if where.table == name},
        )
        if plan.reads_something:
            collected.append(_collect_table(rows, plan, policy, key))
    if not collected:
        session = next(iter(tables.values())).sparkSession
        return session.createDataFrame([], SCHEMA)
    return reduce(DataFrame.unionAll, collected).distinct()


def plan_table(
    table: str,
    rows: DataFrame,
    decisions: Mapping[str, Decision],
    *,
    policy: KnownValuePolicy,
    birth_words: Sequence[str],
    skip: Collection[ColumnPath] = (),
    inferred: Mapping[str, IdentifierKind] | None = None,
) -> TablePlan:
    """Which columns of a table are searched for, as what."""
    guessed = {path: Decision(verdict=Verdict.BLOCKED, kind=kind) for path, kind in (inferred or {}).items()}
    told = {**decisions, **guessed}
    paths = []
    for path, decision in told.items():
        kind = known_kind(decision)
        where = ColumnPath(table, path)
        if kind in policy.kinds and where not in skip and has_path(rows, path):
            most = _most_words(kind, policy) if path in guessed else 0
            paths.append(KnownPath(path=path, kind=kind, part=is_name_part(path, decision), most_words=most))
    person = find_person_columns(told, rows.columns, birth_words=birth_words)
    return TablePlan(table=table, paths=tuple(paths), person=person)


def _most_words(kind: IdentifierKind, policy: KnownValuePolicy) -> int:
    """Longer values of a column that nobody said is one of identifiers are sentences; a code is one word."""
    return 1 if kind is IdentifierKind.UNIQUE_CODE else policy.max_words


def share_key(rows: DataFrame, key: bytes) -> DataFrame:
    """The rows with the subkey beside them as a value of a broadcast relation, so that no plan or log holds it."""
    return rows.crossJoin(F.broadcast(key_relation(rows.sparkSession, key)))


def key_relation(session: SparkSession, key: bytes) -> DataFrame:
    """The subkey as a relation of one row that is made in the JVM: no file holds it on the way (decision 0030)."""
    return one_row(session, StructType([StructField(_KEY, BinaryType(), False)]), [hash_key(key)])


def person_texts(person: PersonColumns) -> list[Column]:
    """The person columns as text, birth dates as ISO dates where they can be read as dates."""
    quoted = {column: quote_name(column) for column in person.all}
    return [
        F.expr(f"string(coalesce(string(try_cast({name} AS DATE)), string({name})))").alias(f"p_{column}")
        if column in person.birth
        else F.col(name).cast("string").alias(f"p_{column}")
        for column, name in quoted.items()
    ]


def _collect_table(rows: DataFrame, plan: TablePlan, policy: KnownValuePolicy, key: bytes) -> DataFrame:
    values = [select_path(rows, path.path).alias(f"v_{at}") for at, path in enumerate(plan.paths)]
    chosen = share_key(rows.select(*values, *person_texts(plan.person)), key)

    def hash_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from hash_batch(batch, plan, policy)

    return chosen.mapInArrow(hash_batches, SCHEMA)


def hash_batch(batch: pa.RecordBatch, plan: TablePlan, policy: KnownValuePolicy) -> Iterator[pa.RecordBatch]:
    """The hashed forms of one batch of rows."""
    if not batch.num_rows:
        return
    subkey = batch.column(_KEY)[0].as_py()
    for at, path in enumerate(plan.paths):
        values = batch.column(f"v_{at}")
        flat = values.flatten() if pa.types.is_list(values.type) else values
        if path.most_words:
            flat = flat.filter(pc.less(pc.count_substring_regex(pc.utf8_trim_whitespace(flat), r"\s+"), path.most_words))
        for role, of_kind, length, hashes in hash_forms(flat, path.kind, policy, subkey, part=path.part):
            yield _as_rows(role, of_kind, length, hashes)
    yield from _hash_people(batch, plan.person, policy, subkey)


def _hash_people(
    batch: pa.RecordBatch, person: PersonColumns, policy: KnownValuePolicy, subkey: bytes
) -> Iterator[pa.RecordBatch]:
    forms: dict[IdentifierKind, dict[tuple[Role, int], set[str]]] = {}
    for cells in read_people(batch, person):
        add_forms(forms.setdefault(IdentifierKind.PERSON_NAME, {}), list_row_names(cells, person, policy))
        for _, form in list_links(cells, person, policy):
            add_forms(forms.setdefault(form.kind, {}), iter([form]))
    for kind, found in forms.items():
        for role, of_kind, length, hashes in hash_grouped(found, kind, subkey):
            yield _as_rows(role, of_kind, length, hashes)


def read_people(batch: pa.RecordBatch, person: PersonColumns) -> Iterator[dict[str, str | None]]:
    """The person columns of each row of a batch."""
    columns = person.all
    yield from (
        dict(zip(columns, cells, strict=True))
        for cells in zip(*(batch.column(f"p_{column}").to_pylist() for column in columns), strict=True)
    )


def _as_rows(role: Role, kind: IdentifierKind, length: int, hashes: Hashes) -> pa.RecordBatch:
    count = len(hashes)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(count, role, dtype=np.int8)),
            pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [kind.value]).cast(pa.string()),
            pa.array(np.full(count, length, dtype=np.int16)),
            pa.array(hashes.view(np.int64)),
        ],
        schema=_ARROW,
    )
