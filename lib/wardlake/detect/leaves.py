"""One leaf's cells, counted: distinct values once, each weighted by its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.detect.counting import BY_TYPE, Counts, Tally, count_texts, merge_tallies
from wardlake.detect.documents import split_documents
from wardlake.detect.matching import Matcher
from wardlake.detect.sketch import sketch_texts
from wardlake.model.treatments import IdentifierKind


def count_leaf(path: str, type_name: str, cells: pa.Array, matchers: Sequence[Matcher], *, with_shapes: bool) -> dict[str, Tally]:
    """Tallies of one leaf by path: its own, and those of JSON paths inside it."""
    found = _count_leaf(path, cells, matchers, with_shapes=with_shapes)
    typed = {p: replace(tally, type=type_name if p == path else "json") for p, tally in found.items()}
    own = typed[path]
    return {**typed, path: replace(own, rows=len(cells), nulls=cells.null_count)}


def _count_leaf(path: str, cells: pa.Array, matchers: Sequence[Matcher], *, with_shapes: bool) -> dict[str, Tally]:
    kind = _value_type(cells)
    if pa.types.is_null(kind):
        return {path: Tally()}
    if pa.types.is_boolean(kind):
        return {path: Tally(sketch=sketch_texts(pc.unique(cells.drop_null()).cast(pa.string())))}
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return {path: _count_dates(cells)}
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values, counts = weigh_values(cells)
        return {path: count_texts(_number_texts(values), counts, matchers, with_shapes=with_shapes)}
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values, counts = weigh_values(cells)
        return _count_texts_and_documents(path, _valid_texts(values), counts, matchers, with_shapes=with_shapes)
    return {path: Tally(scanned=False)}


def weigh_values(cells: pa.Array) -> tuple[pa.Array, Counts]:
    """The distinct values that occur, without null, and how many cells hold each."""
    encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    indices = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    counts = np.bincount(indices, minlength=len(encoded.dictionary)).astype(np.int64)
    if (counts > 0).all():
        return encoded.dictionary, counts
    return encoded.dictionary.filter(pa.array(counts > 0)), counts[counts > 0]


def _value_type(cells: pa.Array) -> pa.DataType:
    return cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type


def _count_dates(cells: pa.Array) -> Tally:
    count = len(cells) - cells.null_count
    width = pa.int32() if pa.types.is_date32(cells.type) else pa.int64()
    sketch = sketch_texts(pc.unique(cells.drop_null()).cast(width).cast(pa.string()))
    return Tally(sketch=sketch, hits={(BY_TYPE, IdentifierKind.DATE): count} if count else {})


def _number_texts(values: pa.Array) -> pa.StringArray:
    """Numbers as people write them: a whole number kept as a double or decimal has no `.0`."""
    if pa.types.is_integer(values.type):
        return values.cast(pa.string())
    texts = values.cast(pa.string())
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 1e18))
        safe = pc.if_else(pc.fill_null(whole, False), values, 0.0)
        return pc.if_else(pc.fill_null(whole, False), safe.cast(pa.int64()).cast(pa.string()), texts)
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _valid_texts(values: pa.StringArray) -> pa.StringArray:
    """The texts with bytes that are not UTF-8 replaced, so that no cell escapes the matchers."""
    texts = values.cast(pa.string()) if not pa.types.is_string(values.type) else values
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([b.decode("utf-8", "replace") for b in texts.cast(pa.binary()).to_pylist()], pa.string())
    return texts


def _count_texts_and_documents(
    path: str, values: pa.StringArray, counts: Counts, matchers: Sequence[Matcher], *, with_shapes: bool
) -> dict[str, Tally]:
    is_document, leaves = split_documents(values, counts)
    if not leaves and not is_document.any():
        return {path: count_texts(values, counts, matchers, with_shapes=with_shapes)}
    plain = ~is_document
    own = count_texts(values.filter(pa.array(plain)), counts[plain], matchers, with_shapes=with_shapes)
    documents = Tally(sketch=sketch_texts(values.filter(pa.array(is_document))), json_cells=int(counts[is_document].sum()))
    tallies = {path: merge_tallies(own, documents)}
    for inside, texts in leaves.items():
        tallies[f"{path}{inside}"] = _count_document_leaf(texts, matchers, with_shapes=with_shapes)
    return tallies


def _count_document_leaf(texts: list[tuple[str | None, int]], matchers: Sequence[Matcher], *, with_shapes: bool) -> Tally:
    weights: dict[str, int] = {}
    for text, cells in texts:
        if text is not None:
            weights[text] = weights.get(text, 0) + cells
    values = pa.array(weights, pa.string())
    counts: npt.NDArray[np.int64] = np.fromiter(weights.values(), dtype=np.int64, count=len(weights))
    tally = count_texts(values, counts, matchers, with_shapes=with_shapes)
    nulls = sum(cells for text, cells in texts if text is None)
    return replace(tally, rows=tally.rows + nulls, nulls=nulls)
