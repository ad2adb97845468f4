"""Rows of the output that point to a person of the source by several columns together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import IntegerType, StringType, StructField, StructType

from wardlake.model.treatments import DateYear, Decision, IdentifierKind
from wardlake.publish.residue.known_values.collection import person_texts, read_people
from wardlake.publish.residue.known_values.hashing import hash_texts
from wardlake.publish.residue.known_values.index import KIND_BITS, KnownValues
from wardlake.publish.residue.known_values.texts import words_of
from wardlake.publish.residue.linkage.columns import PersonColumns
from wardlake.publish.residue.linkage.forms import list_links

_SCHEMA = StructType(
    [
        StructField("columns", StringType()),
        StructField("kind", StringType()),
        StructField("cells", IntegerType()),
        StructField("mixed", IntegerType()),
        StructField("rows", IntegerType()),
    ]
)
_ARROW = pa.schema(
    [("columns", pa.string()), ("kind", pa.string()), ("cells", pa.int32()), ("mixed", pa.int32()), ("rows", pa.int32())]
)
_YEAR_ONLY = "-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounts:
    """Counts of one combination of columns: `cells` rows point to a person of the source, out of `rows`.

    For full names (kind `person_name`) rows are different names, and `mixed` is how many are a known name after last names
    changed places: what accident alone would give.
    """

    table: str
    columns: str  # joined by +
    kind: IdentifierKind
    cells: int
    mixed: int
    rows: int


def count_links(
    table: str, rows: DataFrame, person: PersonColumns, decisions: Mapping[str, Decision], known: KnownValues
) -> list[LinkCounts]:
    """Count linking rows of one output table. Runs one Spark job; only counts leave the workers."""
    if not person.has_links and not _named(person):
        return []
    years = frozenset(c for c in person.birth if isinstance(decisions[c].rule, DateYear))

    def count(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield count_batch(batch, person, years, known)

    counted = rows.select(*person_texts(person)).mapInArrow(count, _SCHEMA).collect()
    totals: dict[tuple[str, str], np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
    for row in counted:
        sums = totals.setdefault((row.columns, row.kind), np.zeros(3, dtype=np.int64))
        sums += (row.cells, row.mixed, row.rows)
    return [
        LinkCounts(table=table, columns=columns, kind=IdentifierKind(kind), cells=int(c), mixed=int(m), rows=int(n))
        for (columns, kind), (c, m, n) in sorted(totals.items())
    ]


def count_batch(batch: pa.RecordBatch, person: PersonColumns, years: frozenset[str], known: KnownValues) -> pa.RecordBatch:
    """Counts of one batch: by columns and kind, linking rows, mixed rows, rows looked at."""
    people = [_without_years(cells, years) for cells in read_people(batch, person)]
    rows: list[tuple[str, str, int, int, int]] = list(_count_pairs(people, person, known))
    linked: Counter[tuple[str, IdentifierKind]] = Counter()
    for (columns, kind), texts in _links_by_columns(people, person, known).items():
        hashes = hash_texts(pa.array(texts, pa.string()), known.subkey)
        linked[columns, kind] += int(np.isin(hashes, known.links).sum())
        rows.append((columns, kind.value, linked[columns, kind], 0, len(texts)))
    return pa.RecordBatch.from_pylist([dict(zip(_ARROW.names, row, strict=True)) for row in rows], schema=_ARROW)


def _without_years(cells: dict[str, str | None], years: frozenset[str]) -> dict[str, str | None]:
    """A date cut down to its year is no birth date."""
    return {c: None if c in years and (v or "").endswith(_YEAR_ONLY) else v for c, v in cells.items()}


def _links_by_columns(
    people: list[dict[str, str | None]], person: PersonColumns, known: KnownValues
) -> dict[tuple[str, IdentifierKind], list[str]]:
    texts: dict[tuple[str, IdentifierKind], list[str]] = {}
    for cells in people:
        for columns, form in list_links(cells, person, known.policy):
            texts.setdefault(("+".join(columns), form.kind), []).append(form.text)
    return texts


def _named(person: PersonColumns) -> bool:
    return bool(person.full or (person.first and person.last))


def _count_pairs(
    people: list[dict[str, str | None]], person: PersonColumns, known: KnownValues
) -> Iterator[tuple[str, str, int, int, int]]:
    """Different full names that the source has, and how many there would be by accident."""
    named = [(f"{first}+{last}", first, last) for first, last in product(person.first, person.last)]
    for label, first, last in [*named, *((column, column, column) for column in person.full)]:
        pairs = sorted({pair for cells in people if (pair := _pair(cells, first, last))})
        if pairs:
            given, family = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            found = _count_known([g + f for g, f in pairs], known)
            exchanged = zip(given, np.roll(family, len(family) // 2), strict=True) if len(pairs) > 1 else ()
            mixed = _count_known([g + f for g, f in exchanged], known)
            yield label, IdentifierKind.PERSON_NAME.value, found, mixed, len(pairs)


def _pair(cells: Mapping[str, str | None], first: str, last: str) -> tuple[str, str] | None:
    given, family = words_of(cells.get(first) or ""), words_of(cells.get(last) or "")
    if first == last:
        return (given[0], "".join(given[1:])) if len(given) > 1 else None
    return ("".join(given), "".join(family)) if given and family else None


def _count_known(names: list[str], known: KnownValues) -> int:
    return int(((known.texts.look_up(hash_texts(pa.array(names, pa.string()), known.subkey)) & KIND_BITS) != 0).sum())
