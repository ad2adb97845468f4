"""What a scan keeps of cells: counts, sketches and masked shapes, which merge in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.detect.matching import Matcher
from wardlake.detect.sketch import EMPTY, Hashes, estimate_distinct, merge_sketches, sketch_texts
from wardlake.model.treatments import IdentifierKind

Hit = tuple[str, IdentifierKind]  # which matcher, which kind
Counts = npt.NDArray[np.int64]

BY_TYPE = "type"  # the matcher's name where the column's type says it all: dates and timestamps
_HIT_SKETCH = 256
_SHAPE_LENGTH = 24
_SHAPED_VALUES = 2_000  # distinct texts of a chunk whose shape is taken
_SHAPES_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCounts:
    """What one scan says of one column path: aggregates only, no value.

    `hits` counts cells by matcher and kind, `distinct_hits` estimates how many different texts they are. `shapes` are masked
    and counted in cells, commonest first, a lower bound. `json_cells` are cells that hold a JSON document: they are counted at
    the paths inside it. `scanned` is false where the type cannot be looked into. `texts` are the cells matchers saw.
    """

    path: str
    type: str
    rows: int
    nulls: int
    distinct_estimate: int
    hits: Mapping[Hit, int] = field(default_factory=dict)
    distinct_hits: Mapping[Hit, int] = field(default_factory=dict)
    shapes: tuple[tuple[str, int], ...] = ()
    texts: int = 0
    json_cells: int = 0
    scanned: bool = True
    sampled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of one path over part of a table. `merge_tallies` is associative and commutative; `Tally()` is its zero."""

    type: str = ""
    rows: int = 0
    nulls: int = 0
    texts: int = 0
    json_cells: int = 0
    scanned: bool = True
    sketch: Hashes = field(default_factory=lambda: EMPTY)
    hits: Mapping[Hit, int] = field(default_factory=dict)
    hit_sketches: Mapping[Hit, Hashes] = field(default_factory=dict)
    shapes: Mapping[str, int] = field(default_factory=dict)


def merge_tallies(one: Tally, other: Tally) -> Tally:
    """Both parts' counts together."""
    return Tally(
        type=one.type or other.type,
        rows=one.rows + other.rows,
        nulls=one.nulls + other.nulls,
        texts=one.texts + other.texts,
        json_cells=one.json_cells + other.json_cells,
        scanned=one.scanned and other.scanned,
        sketch=merge_sketches(one.sketch, other.sketch),
        hits=Counter(one.hits) + Counter(other.hits),
        hit_sketches=_merge_hit_sketches(one.hit_sketches, other.hit_sketches),
        shapes=Counter(one.shapes) + Counter(other.shapes),
    )


def merge_paths(parts: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Tallies of many parts by path, each path once."""
    merged: dict[str, Tally] = {}
    for part in parts:
        for path, tally in part.items():
            merged[path] = merge_tallies(merged[path], tally) if path in merged else tally
    return merged


def count_texts(values: pa.StringArray, cells: Counts, matchers: Sequence[Matcher], *, with_shapes: bool = False) -> Tally:
    """Apply every matcher to distinct texts, of which each stands for `cells` cells."""
    tally = Tally(rows=int(cells.sum()), texts=int(cells.sum()), sketch=sketch_texts(values))
    hits: dict[Hit, int] = {}
    sketches: dict[Hit, Hashes] = {}
    for matcher in matchers:
        for kind, found in matcher.match(values).items():
            mask = np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
            if mask.any():
                hits[matcher.name, kind] = int(cells[mask].sum())
                sketches[matcher.name, kind] = sketch_texts(values.filter(pa.array(mask)), kept=_HIT_SKETCH)
    shapes = count_shapes(values, cells) if with_shapes else {}
    return replace(tally, hits=hits, hit_sketches=sketches, shapes=shapes)


def count_shapes(values: pa.StringArray, cells: Counts) -> dict[str, int]:
    """Cells by masked shape: letters `a`, digits `9`, ASCII punctuation kept, all else `?`, at most 24 characters."""
    texts = pc.utf8_slice_codeunits(values[:_SHAPED_VALUES], 0, _SHAPE_LENGTH)
    for pattern, mask in ((r"[\pL\pM]", "a"), (r"\pN", "9"), (r"[^\x20-\x7e]", "?")):
        texts = pc.replace_substring_regex(texts, pattern, mask)
    shapes: Counter[str] = Counter()
    for shape, count in zip(texts.to_pylist(), cells[:_SHAPED_VALUES].tolist(), strict=True):
        shapes[shape] += count
    return dict(shapes.most_common(_SHAPES_KEPT))


def finish_tally(path: str, tally: Tally, *, min_shape_rows: int, sampled: bool) -> CellCounts:
    """The path's counts as the scan reports them; shapes of fewer than `min_shape_rows` cells are left out."""
    common = [(shape, count) for shape, count in tally.shapes.items() if count >= min_shape_rows]
    return CellCounts(
        path=path,
        type=tally.type,
        rows=tally.rows,
        nulls=tally.nulls,
        distinct_estimate=estimate_distinct(tally.sketch),
        hits=dict(tally.hits),
        distinct_hits={hit: estimate_distinct(s, kept=_HIT_SKETCH) for hit, s in tally.hit_sketches.items()},
        shapes=tuple(sorted(common, key=lambda item: (-item[1], item[0]))),
        texts=tally.texts,
        json_cells=tally.json_cells,
        scanned=tally.scanned,
        sampled=sampled,
    )


def _merge_hit_sketches(one: Mapping[Hit, Hashes], other: Mapping[Hit, Hashes]) -> dict[Hit, Hashes]:
    return {hit: merge_sketches(one.get(hit, EMPTY), other.get(hit, EMPTY), kept=_HIT_SKETCH) for hit in {**one, **other}}
