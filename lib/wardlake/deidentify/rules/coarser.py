"""Coarser values: declared groups, and buckets of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType

from wardlake.deidentify.column_types import is_number, is_text, is_whole, unsuitable

_EXACT = float(2**53)  # beyond this a double no longer counts in ones
_NUMBER = r"^[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$"


def generalise_value(
    value: Column, data_type: DataType, *, to: Mapping[str, str], other: str | None, keep_numbers: bool = False
) -> Column:
    """Replace a value by the coarser one that the table declares for it; what is not in the table becomes `other`.

    Input: text or numbers; numbers are looked up as they print. `keep_numbers` lets plain numbers through, in text too.
    Output: the same type; null stays null, and a coarser value that does not fit a number's type becomes null.
    """
    if not (is_text(data_type) or is_number(data_type)):
        raise unsuitable("generalise", data_type)
    text = value.cast("string")
    table = F.create_map(*[F.lit(part) for part in chain.from_iterable(sorted(to.items()))]) if to else None
    coarser = F.lit(other) if table is None else F.coalesce(F.try_element_at(table, text), F.lit(other))
    if keep_numbers:
        coarser = F.when(text.rlike(_NUMBER), text).otherwise(coarser)
    return F.when(value.isNotNull(), coarser).try_cast(data_type)


def bucket_number(value: Column, data_type: DataType, *, width: float | None, edges: tuple[float, ...]) -> Column:
    """A number becomes the lower bound of its bucket: of `width`, or between the declared `edges`.

    Input: numbers, or numbers written as text.
    Output: the same type; null for what is no number, is beyond a double's exact range, or lies below the lowest edge. The
    last bucket has no upper bound.
    """
    if is_number(data_type):
        number = value.cast("double")
    elif is_text(data_type):
        number = value.try_cast("double")
    else:
        raise unsuitable("bucket", data_type)
    bound = _edge_below(number, edges) if edges else _step_below(number, width or 1.0)
    return _as_type(F.when(~F.isnan(number), bound), data_type, whole=_all_whole(width, edges))


def _step_below(number: Column, width: float) -> Column:
    steps = number / F.lit(width)
    return F.when(F.abs(steps) < _EXACT, F.floor(steps) * F.lit(width))


def _edge_below(number: Column, edges: tuple[float, ...]) -> Column:
    bound = F.lit(None).cast("double")
    for edge in sorted(edges):
        bound = F.when(number >= edge, F.lit(float(edge))).otherwise(bound)
    return bound


def _all_whole(width: float | None, edges: tuple[float, ...]) -> bool:
    return all(float(bound).is_integer() for bound in (edges or (width or 1.0,)))


def _as_type(bound: Column, data_type: DataType, *, whole: bool) -> Column:
    if is_text(data_type):
        return bound.try_cast("bigint").cast("string") if whole else bound.cast("string")
    if is_whole(data_type) or isinstance(data_type, DecimalType):
        return bound.try_cast(data_type)
    return bound.cast(data_type)
