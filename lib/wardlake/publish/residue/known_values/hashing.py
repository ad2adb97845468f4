"""The keyed hash of a known value: SipHash-2-4, 64 bits, under a key of the run.

Aumasson and Bernstein, SipHash: a fast short-input PRF, INDOCRYPT 2012: without the 128-bit key its values cannot be told from
random, so what is stored says nothing of the identifiers. pandas computes it over whole arrays.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]


def hash_key(key: bytes) -> bytes:
    """The 128-bit subkey for known values; the run's key itself goes nowhere."""
    return hmac.digest(key, b"wardlake/known-values/1", hashlib.sha256)[:16]


def hash_texts(texts: pa.StringArray, subkey: bytes) -> Hashes:
    """One 64-bit hash a text, over its UTF-8 bytes."""
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    values = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
    hashed = pd.util.hash_array(values, encoding="latin-1", hash_key=subkey.decode("latin-1"), categorize=False)
    return np.asarray(hashed, dtype=np.uint64)
