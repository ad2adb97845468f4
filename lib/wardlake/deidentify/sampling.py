"""A referentially complete part of a source: some patients with everything of theirs, and every row those rows name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.deidentify.checks.foreign_keys import order_tables
from wardlake.model.errors import ConfigurationError
from wardlake.model.quoting import quote_name
from wardlake.model.sources import Reference, SourceSpec, TableSpec
from wardlake.tokens.keyed import attach_keys, detach_keys, digest_column
from wardlake.tokens.keyring import KeyRing, KeyUse

_BITS = 48
_CHOSEN, _NEEDED = "__wardlake_chosen", "__wardlake_needed"

Named = tuple[str, Reference]  # a reference with the table that holds it


def sample_tables(
    tables: Mapping[str, DataFrame], source: SourceSpec, fraction: float, ring: KeyRing, *, domain: str = "patient"
) -> dict[str, DataFrame]:
    """Every table cut to what a sample of the patients needs.

    Input: all tables of the source; `fraction` above 0, at most 1; a ring that holds the patients' `domain`.
    Output: the same tables and columns. A row stays if it is about a sampled patient (by its patient column, or by a
    reference to a row that is), or if a row that stays refers to it, however far. A table that neither refers to patients'
    rows nor is referred to stays whole.
    Guarantee: who is sampled follows from the key and the ids alone; no row lost a parent that it had. References among
    tables in a cycle are followed until nothing new is found, with one Spark action a step.
    """
    if not 0 < fraction <= 1:
        raise ConfigurationError(what="A sample is a share above 0 and at most 1, e.g. 5%.")
    if not source.patients:
        raise ConfigurationError(what=f"Source {source.name} names no table of patients, so it cannot be sampled.")
    order = order_tables(source)
    owned = _own_rows(tables, source, order, fraction=fraction, ring=ring, domain=domain)
    kept: dict[str, DataFrame] = {}
    for group in reversed(order):  # children before parents
        for name in group:
            kept[name] = _with_needed(owned[name], _children(source, name, kept, group), kept)
        _close_cycle(group, source, owned, kept)
    return {name: _rows(kept[name]) for name in tables}


def mark_patients(df: DataFrame, patient: str, fraction: float, ring: KeyRing, *, domain: str) -> DataFrame:
    """`df` with a hidden column: whether the row's patient is in the sample. A row without a patient is not."""
    digest = digest_column(F.col(quote_name(patient)), domain=domain, label=KeyUse.LOOKUP.value)
    place = F.conv(F.substring(digest, 1, _BITS // 4), 16, 10).cast("bigint")
    chosen = F.coalesce(place < F.lit(round(fraction * 2**_BITS)), F.lit(False))
    return detach_keys(attach_keys(df, ring, [domain]).withColumn(_CHOSEN, chosen))


def _own_rows(
    tables: Mapping[str, DataFrame],
    source: SourceSpec,
    order: Iterable[list[str]],
    *,
    fraction: float,
    ring: KeyRing,
    domain: str,
) -> dict[str, DataFrame]:
    """Every table with its rows marked as a sampled patient's own or not."""
    marked = {
        name: mark_patients(df, source.tables[name].patient, fraction, ring, domain=domain)
        for name, df in tables.items()
        if source.tables[name].patient
    }
    for name in (name for group in order for name in group if name not in marked):  # parents before children
        table = source.tables[name]
        above = [r for r in table.references if r.table in marked and r.table != name]
        if above:
            keys = {r: marked[r.table].filter(_CHOSEN).select(*map(quote_name, r.to)) for r in above}
            marked[name] = _mark(tables[name], [(r.columns, keys[r]) for r in above], _CHOSEN)
    referred = {reference.table for _, reference in source.references()}
    return {
        name: marked[name] if name in marked else df.withColumn(_CHOSEN, F.lit(name not in referred))
        for name, df in tables.items()
    }


def _with_needed(own: DataFrame, children: Iterable[Named], kept: Mapping[str, DataFrame]) -> DataFrame:
    """The rows that are a sampled patient's own or that rows already kept refer to."""
    by_target: dict[tuple[str, ...], list[DataFrame]] = {}
    for child, reference in children:
        keys = _rows(kept[child]).select(*map(quote_name, reference.columns)).toDF(*reference.to)
        by_target.setdefault(reference.to, []).append(keys)
    needed = [(to, reduce(DataFrame.unionAll, keys)) for to, keys in by_target.items()]
    if not needed:
        return own.filter(_CHOSEN)
    return _mark(own, needed, _NEEDED).filter(F.col(_CHOSEN) | F.col(_NEEDED)).drop(_NEEDED)


def _close_cycle(group: list[str], source: SourceSpec, owned: Mapping[str, DataFrame], kept: dict[str, DataFrame]) -> None:
    """Within tables that refer to each other or to themselves, add parents until every one is there."""
    inner = [(child, reference) for child in group for reference in source.tables[child].references if reference.table in group]
    rest = {reference.table: _without(owned[reference.table], reference.table, source, kept) for _, reference in inner}
    grown = bool(inner)
    while grown:
        grown = False
        for child, reference in inner:
            keys = _rows(kept[child]).select(*map(quote_name, reference.columns)).toDF(*reference.to).distinct()
            found = rest[reference.table].join(keys, list(reference.to), "left_semi").select(*owned[reference.table].columns)
            found = found.localCheckpoint()
            if not found.isEmpty():
                grown = True
                kept[reference.table] = kept[reference.table].unionAll(found)
                rest[reference.table] = rest[reference.table].join(keys, list(reference.to), "left_anti")


def _without(own: DataFrame, name: str, source: SourceSpec, kept: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a table that are not kept yet, told apart by the columns that references name."""
    targets = sorted({r.to for _, r in source.references() if r.table == name})
    rows = own
    for to in targets[:1]:
        rows = rows.join(kept[name].select(*map(quote_name, to)).distinct(), list(to), "left_anti")
    return rows


def _children(source: SourceSpec, name: str, kept: Mapping[str, DataFrame], group: Iterable[str]) -> list[Named]:
    """The references to a table from tables already cut, but for those that must lead to rows already kept."""
    return [
        (table.name, reference)
        for table, reference in source.references()
        if reference.table == name and table.name in kept and table.name not in group
        if not _leads_to_own(source, table, reference)
    ]


def _leads_to_own(source: SourceSpec, table: TableSpec, reference: Reference) -> bool:
    """A table nobody refers to holds rows of sampled patients only: their patients are sampled."""
    is_leaf = all(r.table != table.name for _, r in source.references())
    parent = source.tables[reference.table]
    return is_leaf and reference.columns == (table.patient,) and reference.to == (parent.patient,)


def _mark(df: DataFrame, keys: Iterable[tuple[tuple[str, ...], DataFrame]], flag: str) -> DataFrame:
    """`df` with `flag`: whether the row's columns are among the keys; same rows, since keys are made distinct."""
    marks = []
    rows = df
    for number, (columns, wanted) in enumerate(keys):
        mark, names = f"{flag}_{number}", [f"{flag}_{number}_{place}" for place in range(len(columns))]
        distinct = wanted.toDF(*names).distinct().withColumn(mark, F.lit(True))
        on = reduce(lambda a, b: a & b, [F.col(quote_name(c)) == F.col(n) for c, n in zip(columns, names, strict=True)])
        rows = rows.join(distinct, on, "left").drop(*names)
        marks.append(mark)
    found = F.coalesce(*[F.col(mark) for mark in marks], F.lit(False))
    return rows.withColumn(flag, found).drop(*marks)


def _rows(df: DataFrame) -> DataFrame:
    return df.drop(_CHOSEN)
