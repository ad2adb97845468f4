"""The hash of a table's rows that survives a new layout: `sum(xxhash64(row))` with the count.

Not cryptographic: it shows whether rows changed, not who changed them; the Merkle root over the data files is for that.
Both stay in the restricted manifest.

Spark's `xxhash64` skips nulls and forgets where a nested value ends, so (null, a) equals (a, null) and [[], [1]] equals
[[1], []]. Hence every nullable place contributes a bit, every array its length.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    AtomicType,
    DataType,
    MapType,
    NullType,
    StructField,
    StructType,
    VariantType,
)

from wardlake.model.quoting import quote_name

BITMAP_BITS = 63  # bits of a bigint that a bitmap of nulls uses
_LOW = 0xFFFFFFFF


def sum_hashes(row_hash: Column) -> Column:
    """The exact sum of rows' 64-bit hashes as decimal(38,0), whatever the rows' order; 0 for no rows.

    Keep the count beside it: `F.count(F.lit(1))`. The halves are summed as bigint (decision 0011). Beyond four billion rows
    the sum overflows and the job fails.
    """
    high = F.sum(F.shiftright(row_hash, 32)).cast("decimal(20,0)")
    low = F.sum(row_hash.bitwiseAND(F.lit(_LOW))).cast("decimal(20,0)")
    total = (high * F.lit(1 << 32).cast("decimal(10,0)") + low).cast("decimal(38,0)")
    return F.coalesce(total, F.lit(0).cast("decimal(38,0)"))


def allow_nulls(schema: StructType) -> StructType:
    """The schema with every top-level column nullable, as Delta stores it; the hash of a row depends on it."""
    return StructType([StructField(field.name, field.dataType) for field in schema.fields])


def hash_row(schema: StructType) -> Column:
    """The 64-bit hash of a row: its columns in order, nested ones and nulls told apart.

    Raises `TypeError` for a column type without a hash.
    """
    columns = [F.col(quote_name(field.name)) for field in schema.fields]
    return F.xxhash64(*_parts(columns, schema.fields))


def _parts(columns: Sequence[Column], fields: Sequence[StructField]) -> list[Column]:
    """What of these fields is hashed: each non-void value in a hashable form, then bitmaps of which ones are null."""
    values = [_hashable(column, field.dataType) for column, field in zip(columns, fields, strict=True) if not _void(field)]
    nullable = [column for column, field in zip(columns, fields, strict=True) if field.nullable]
    return [*values, *_bitmaps(nullable), F.lit(len(fields))]


def _void(field: StructField) -> bool:
    return isinstance(field.dataType, NullType)


def _bitmaps(columns: Sequence[Column]) -> list[Column]:
    return [_bitmap(columns[start : start + BITMAP_BITS]) for start in range(0, len(columns), BITMAP_BITS)]


def _bitmap(columns: Sequence[Column]) -> Column:
    bits = [F.when(column.isNull(), F.lit(1 << place)).otherwise(F.lit(0)).cast("bigint") for place, column in enumerate(columns)]
    total = bits[0]
    for bit in bits[1:]:
        total = total.bitwiseOR(bit)
    return total


def _hashable(column: Column, kind: DataType) -> Column:
    """The value in a form whose `xxhash64` tells apart what differs."""
    match kind:
        case StructType():
            inner = _parts([column.getField(field.name) for field in kind.fields], kind.fields)
            return F.when(column.isNotNull(), F.xxhash64(*inner))
        case ArrayType():
            return F.when(column.isNotNull(), _hash_array(column, kind))
        case MapType():
            return F.when(column.isNotNull(), _hash_map(column, kind))
        case VariantType():
            raise TypeError("a variant column has no row hash")
        case AtomicType():
            return column
        case _:
            raise TypeError(f"a column of type {kind.simpleString()} has no row hash")


def _element(column: Column, kind: DataType) -> Column:
    """One element of an array, or one side of a map's entry, with its null told apart from an empty value."""
    if isinstance(kind, NullType):
        return F.lit(0)
    return F.xxhash64(_hashable(column, kind), column.isNull())


def _hash_array(column: Column, kind: ArrayType) -> Column:
    return F.xxhash64(F.size(column), F.transform(column, lambda element: _element(element, kind.elementType)))


def _hash_map(column: Column, kind: MapType) -> Column:
    """Whatever the entries' order: their hashes are sorted."""

    def entry(pair: Column) -> Column:
        return F.xxhash64(_element(pair["key"], kind.keyType), _element(pair["value"], kind.valueType))

    return F.xxhash64(F.size(column), F.array_sort(F.transform(F.map_entries(column), entry)))
