"""Foreign keys that nobody declared: proposed with their evidence for a person to review, never assumed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DecimalType, IntegerType, LongType, StringType

from wardlake.model.quoting import quote_name
from wardlake.model.sources import Reference, SourceSpec

_OF_KEYS = StringType | IntegerType | LongType | DecimalType
_LOOKED_UP = 1000  # distinct values of a column, about
_FEWEST = 2  # a column of one value proves nothing
_ENOUGH = 0.9  # of the values must be the parent's
_ENDING = re.compile(r"(id|uid|key|no|number|code|ref)s?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedReference:
    """A key that the values speak for: counts and shares, no value."""

    table: str
    reference: Reference
    looked_up: int  # distinct values
    found: float  # share of them that the parent's key holds
    name_fits: bool  # the column's name speaks of the parent


Sampled = Mapping[tuple[str, str], Set[int]]  # table and column: hashes of the values looked up


def discover_references(tables: Mapping[str, DataFrame], source: SourceSpec) -> list[ProposedReference]:
    """Undeclared references, likeliest first: columns whose values nearly all occur in another table's key.

    Input: all tables of the source; the parents are those with a primary key of one column.
    Output: proposals for review. About a thousand distinct values of each text, whole-number or decimal column, the same ones on
    each run, are looked up as 64-bit hashes; three Spark actions a table. A reference that is declared is not proposed, nor is
    a column as its own parent; a small range of numbers may fit a key by chance, so the name's evidence ranks first.
    """
    sampled = {
        (name, column): hashes
        for name, df in tables.items()
        for column, hashes in _sample_columns(df).items()
        if len(hashes) >= _FEWEST
    }
    proposals = [
        proposal
        for name, df in tables.items()
        if len(key := source.tables[name].primary_key) == 1
        for proposal in _propose(name, key[0], _held(df, key[0], sampled), sampled, source)
    ]
    return sorted(proposals, key=lambda p: (not p.name_fits, -p.found, -p.looked_up, p.table, p.reference.columns))


def _sample_columns(df: DataFrame) -> dict[str, Set[int]]:
    names = [field.name for field in df.schema.fields if isinstance(field.dataType, _OF_KEYS)]
    if not names:
        return {}
    distinct = df.agg(*[F.approx_count_distinct(_hash(name)).alias(name) for name in names]).collect()[0]
    parts = {name: max(distinct[name] // _LOOKED_UP, 1) for name in names}
    kept = [F.when(F.pmod(_hash(name), F.lit(parts[name])) == 0, _hash(name)) for name in names]
    row = df.agg(*[F.collect_set(each).alias(name) for each, name in zip(kept, names, strict=True)]).collect()[0]
    return {name: frozenset(row[name]) for name in names}


def _held(df: DataFrame, key: str, sampled: Sampled) -> Set[int]:
    """Which of the sampled hashes the key column holds."""
    wanted = sorted(set().union(*sampled.values()))
    if not wanted:
        return frozenset()
    looked_up = df.sparkSession.createDataFrame([(each,) for each in wanted], "hash bigint")
    held = df.select(_hash(key).alias("hash")).join(F.broadcast(looked_up), "hash", "left_semi").distinct()
    return frozenset(row["hash"] for row in held.collect())


def _propose(parent: str, key: str, held: Set[int], sampled: Sampled, source: SourceSpec) -> Iterator[ProposedReference]:
    for (table, column), hashes in sampled.items():
        reference = Reference(columns=(column,), table=parent, to=(key,))
        found = len(hashes & held) / len(hashes)
        own_key = (column,) == source.tables[table].primary_key
        if found >= _ENOUGH and not own_key and reference not in source.tables[table].references:
            yield ProposedReference(
                table=table,
                reference=reference,
                looked_up=len(hashes),
                found=found,
                name_fits=_speaks_of(column, parent),
            )


def _speaks_of(column: str, parent: str) -> bool:
    """Whether the column is named for the parent: `PAYER`, `payer_id`, `PRIMARYPAYERID` for `payers`."""
    word = re.sub(r"s$", "", parent.lower().replace("_", ""))
    bare = _ENDING.sub("", column.lower().replace("_", ""))
    return bool(bare) and (word in bare or bare in word)


def _hash(name: str) -> Column:
    text = F.col(quote_name(name)).cast("string")
    return F.when(text != "", F.xxhash64(text))
