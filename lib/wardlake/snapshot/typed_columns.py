"""Reads a source's columns as their declared types, and says which rows do not fit.

Nothing is lost on the way: a value that the declared type cannot hold exactly counts as a misfit, and a misfit refuses
the snapshot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from wardlake.model.errors import ContractBroken
from wardlake.model.identifiers import MAP_KEY, MAP_VALUE
from wardlake.model.quoting import quote_name

_INTEGERS = (ByteType, ShortType, IntegerType, LongType)
_POSTAL = re.compile(r"zip|postal|postcode", re.IGNORECASE)
_SHORT_ZIP = r"^[0-9]{3,4}$"
_REFUSED_IN_NAMES = frozenset(" ,;{}()\n\t=")  # Delta's tables have no columns of such names
_BELOW_MICROSECONDS = r"\.[0-9]{6}0*[1-9]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedTable:
    """A table with its columns read as declared.

    `rows` still holds what the checks need; `columns` selects what is kept. `misfits` marks rows whose value of a column does
    not fit its type, `warnings` rows with something odd that is kept.
    """

    rows: DataFrame
    columns: tuple[Column, ...]
    misfits: Mapping[str, Column]
    warnings: Mapping[str, Column]


def column(name: str) -> Column:
    """A top-level column by its exact name, dots included."""
    return F.col(quote_name(name))


def require_columns(table: str, present: list[str], wanted: list[str]) -> None:
    """Raise `ContractBroken` where a wanted column is not at the source, naming what is new there too.

    Where fewer than half of the wanted columns are there, what stands in the header's place may be a record: nothing of
    it is named.
    """
    missing = [name for name in wanted if name not in present]
    if not missing:
        return
    if 2 * len(missing) > len(wanted):
        raise ContractBroken(
            "Fewer than half of the columns that are declared or decided on are at the source. "
            "Of a file, the first line is not this table's header.",
            which=[table],
            next_step="Export the table with its header, or mend its columns in conf/sources.",
        )
    new = [name for name in present if name not in wanted]
    hint = f"New at the source: {', '.join(f'{table}.{n}' for n in new)}. " if new else ""
    raise ContractBroken(
        "Columns that are declared or decided on are not at the source: they were removed or renamed.",
        which=[f"{table}.{name}" for name in missing],
        next_step=f"{hint}Compare the source with conf/sources and conf/classification and mend the one that is wrong.",
    )


def require_names(table: str, schema: StructType, *, is_header: bool) -> None:
    """Raise `ContractBroken` for columns and fields whose names a raw table cannot have.

    Unless `is_header`, since columns are there that somebody named before, names may be a record's values: they are counted.
    """
    fields = list(_fields_of(schema))
    paths = Counter(path.lower() for path, _ in fields)
    refused = [path for path, name in fields if _REFUSED_IN_NAMES & set(name) or paths[path.lower()] > 1]
    if refused:
        raise ContractBroken(
            "Columns cannot be kept under their names: a raw table's have no spaces, commas, semicolons, round or curly "
            "brackets, line ends, tabs or `=`, and differ by more than capitals.",
            which=[f"{table}.{path}" for path in refused] if is_header else [f"{table}: {len(refused)} of its columns"],
            next_step="Rename them where the table is exported, or read a view that does.",
        )


def _fields_of(kind: DataType, above: str = "") -> Iterator[tuple[str, str]]:
    """Path and name of every column and nested field."""
    match kind:
        case StructType():
            for field in kind.fields:
                yield f"{above}{field.name}", field.name
                yield from _fields_of(field.dataType, f"{above}{field.name}.")
        case ArrayType():
            yield from _fields_of(kind.elementType, above)
        case MapType():
            yield from _fields_of(kind.keyType, f"{above}{MAP_KEY}.")
            yield from _fields_of(kind.valueType, f"{above}{MAP_VALUE}.")
        case _:
            return


def type_texts(rows: DataFrame, declared: Mapping[str, str], inner: tuple[str, ...]) -> TypedTable:
    """Read columns of text (CSV) as their declared types; undeclared ones stay text."""
    kept = [name for name in rows.columns if name not in inner]
    typed = {name: declared[name] for name in kept if declared.get(name, "string") != "string"}
    wide = rows.select("*", *[F.expr(f"try_cast({quote_name(n)} AS {t})").alias(_typed(n)) for n, t in typed.items()])
    return TypedTable(
        rows=wide,
        columns=tuple(column(_typed(n)).alias(n) if n in typed else column(n) for n in kept),
        misfits={name: _text_misfit(name, kind) for name, kind in typed.items()},
        warnings={n: column(n).rlike(_SHORT_ZIP) for n in kept if n not in typed and _POSTAL.search(n)},
    )


def type_values(table: str, rows: DataFrame, declared: Mapping[str, str]) -> TypedTable:
    """Take columns that have types already; only conversions that lose nothing are made, any other change of type is refused."""
    columns: list[Column] = []
    misfits: dict[str, Column] = {}
    warnings: dict[str, Column] = {}
    changed: list[str] = []
    for field in rows.schema.fields:
        wanted = DataType.fromDDL(declared[field.name]) if field.name in declared else field.dataType
        source = column(field.name)
        if _same(field.dataType, wanted):
            columns.append(source)
        elif _widens(field.dataType, wanted):
            columns.append(source.cast(wanted).alias(field.name))
        elif isinstance(wanted, DecimalType) and isinstance(field.dataType, (DecimalType, StringType)):
            columns.append(F.expr(f"try_cast({quote_name(field.name)} AS {wanted.simpleString()})").alias(field.name))
            misfits[field.name] = _decimal_misfit(field.name, field.dataType, wanted)
        elif isinstance(wanted, StringType) and isinstance(field.dataType, _INTEGERS) and _POSTAL.search(field.name):
            columns.append(source.cast("string").alias(field.name))
            warnings[field.name] = source.isNotNull()
        else:
            changed.append(f"{table}.{field.name}: declared {wanted.simpleString()}, is {field.dataType.simpleString()}")
    if changed:
        raise ContractBroken(
            "Columns changed their type at the source.",
            which=changed,
            next_step="Mend the declared types in conf/sources, or the source.",
        )
    return TypedTable(rows=rows, columns=tuple(columns), misfits=misfits, warnings=warnings)


def _same(actual: DataType, wanted: DataType) -> bool:
    """Equal but for nullability and metadata."""
    return actual.simpleString() == wanted.simpleString()


def _widens(actual: DataType, wanted: DataType) -> bool:
    if isinstance(actual, _INTEGERS) and isinstance(wanted, _INTEGERS):
        return _INTEGERS.index(type(actual)) < _INTEGERS.index(type(wanted))
    if isinstance(actual, TimestampNTZType) and isinstance(wanted, TimestampType):
        return True  # the session's zone is UTC
    return isinstance(actual, FloatType) and isinstance(wanted, DoubleType)


def _text_misfit(name: str, kind: str) -> Column:
    text, value = column(name), column(_typed(name))
    wanted = DataType.fromDDL(kind)
    unread = text.isNotNull() & value.isNull()
    if isinstance(wanted, DecimalType):
        return unread | _more_decimals(text, wanted)
    if isinstance(wanted, (TimestampType, TimestampNTZType)):
        return unread | F.coalesce(text.rlike(_BELOW_MICROSECONDS), F.lit(False))
    if wanted.simpleString() == "date":
        return unread | (F.length(text) != len("2000-01-31"))
    return unread


def _decimal_misfit(name: str, actual: DataType, wanted: DecimalType) -> Column:
    source = column(name)
    value = F.expr(f"try_cast({quote_name(name)} AS {wanted.simpleString()})")
    if isinstance(actual, StringType):
        return source.isNotNull() & (value.isNull() | _more_decimals(source, wanted))
    return source.isNotNull() & (value.isNull() | (value != source))


def _more_decimals(text: Column, wanted: DecimalType) -> Column:
    """Text that a decimal would be rounded from: with an exponent, or more decimals than the type has."""
    decimals = F.length(text) - F.locate(".", text)
    return F.lower(text).contains("e") | ((F.locate(".", text) > 0) & (decimals > wanted.scale))


def _typed(name: str) -> str:
    return f"{name} as declared"
