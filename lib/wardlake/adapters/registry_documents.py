"""What both registries hold: JSON documents that come back as they went in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def document_text(document: Mapping[str, Any]) -> str:
    """The document's JSON; raises `ValueError` or `TypeError` for what one of the two stores would refuse or change."""
    text = json.dumps(dict(document), allow_nan=False)
    if "\\u0000" in text:
        raise ValueError("a registry document holds a NUL character")
    return text
