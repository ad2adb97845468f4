"""Canonical JSON: one text for one value, so that a hash of the text is a hash of the value."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """ASCII, keys sorted, no spaces. Raises `TypeError` or `ValueError` for what is not plain JSON with text keys."""
    _check_keys(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _check_keys(value: Any) -> None:
    """`json` turns the keys 1 and "1" into the same text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError("a key is not text")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
