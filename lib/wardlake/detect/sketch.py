"""How many different texts there are: a k-minimum-values sketch over arrays, without Python objects per value.

Bar-Yossef et al., Counting distinct elements in a data stream, RANDOM 2002: with the k-th smallest of hashes spread over
[0, 1) at m, (k - 1) / m estimates the number of distinct values with a standard error of about 1 / sqrt(k - 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_KEPT = 1024  # a standard error of 3 %
_WORDS = 64  # texts that agree in length and in their first 512 bytes count as one
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)

EMPTY: Hashes = np.empty(0, dtype=np.uint64)


def sketch_texts(values: pa.StringArray, *, kept: int = _KEPT) -> Hashes:
    """The smallest `kept` hashes of these texts, ascending. The hash is the same in every process."""
    return _smallest(_hash_texts(values), kept)


def merge_sketches(one: Hashes, other: Hashes, *, kept: int = _KEPT) -> Hashes:
    """The sketch of both sets together: associative and commutative."""
    if not len(one) or not len(other):
        return one if len(one) else other
    return _smallest(np.concatenate([one, other]), kept)


def estimate_distinct(sketch: Hashes, *, kept: int = _KEPT) -> int:
    """How many different texts the sketch has seen; exact below `kept`."""
    if len(sketch) < kept:
        return len(sketch)
    return round((kept - 1) / ((float(sketch[kept - 1]) + 1.0) / 2.0**64))


def _smallest(hashes: Hashes, kept: int) -> Hashes:
    if len(hashes) > 4 * kept:  # repeated values can crowd the smallest out, so leave room before making unique
        smallest = np.unique(np.partition(hashes, 4 * kept)[: 4 * kept])
        if len(smallest) >= kept:
            return smallest[:kept]
    return np.unique(hashes)[:kept]


def _hash_texts(values: pa.StringArray) -> Hashes:
    starts, lengths, data = _layout(values)
    hashes = lengths.astype(np.uint64) * _SPREAD + _MIX
    words = _overlapping_words(data)
    active = np.arange(len(lengths))
    for word in range(_WORDS):
        left = lengths[active] - 8 * word
        active, left = active[left > 0], left[left > 0]
        if not len(active):
            break
        bits = words[starts[active] + 8 * word] & _mask(left)
        hashes[active] = _mix((hashes[active] ^ bits) * _MIX)
    return _mix(hashes)


def _layout(values: pa.StringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    _, offset_buffer, data_buffer = values.buffers()
    width: Any = np.int64 if pa.types.is_large_string(values.type) else np.int32
    offsets = np.frombuffer(offset_buffer, dtype=width)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.empty(0, dtype=np.uint8)
    return offsets[:-1], np.diff(offsets), data


def _overlapping_words(data: npt.NDArray[np.uint8]) -> Hashes:
    padded = np.concatenate([data, np.zeros(8, dtype=np.uint8)])
    return np.ndarray(shape=(len(data) + 1,), dtype=np.uint64, buffer=padded.data, strides=(1,))


def _mask(left: npt.NDArray[np.int64]) -> Hashes:
    whole = np.uint64(0xFFFFFFFFFFFFFFFF)
    unused = (8 - np.minimum(left, 8)).astype(np.uint64) * np.uint64(8)
    return whole >> unused


def _mix(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _SPREAD
    return hashes ^ (hashes >> np.uint64(27))
