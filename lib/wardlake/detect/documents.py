"""JSON documents in text columns, taken apart into paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wardlake.model.identifiers import MAP_KEY, MAP_VALUE

_LOOKS_LIKE_JSON = r"^\s*[\[{]"
# A key that could itself be an identifier is data: it is scanned as a value of the path `{key}` and never named.
_PLAIN_KEY = re.compile(r"^[A-Za-z_@][A-Za-z0-9_@-]{0,40}$")
_MANY_DIGITS = re.compile(r"(?:[0-9]-?){4}")
KEY, VALUE = MAP_KEY, MAP_VALUE

Leaf = tuple[str, str | None]  # path inside the document, text or null


def split_documents(
    values: pa.StringArray, cells: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], dict[str, list[tuple[str | None, int]]]]:
    """Which of these texts are JSON documents, and their leaves by path with the cells each stands for."""
    is_document = np.zeros(len(values), dtype=bool)
    leaves: dict[str, list[tuple[str | None, int]]] = {}
    candidates = np.flatnonzero(pc.match_substring_regex(values, _LOOKS_LIKE_JSON).to_numpy(zero_copy_only=False))
    for index in candidates:
        document = _parse(values[int(index)].as_py())
        if document is None:
            continue
        is_document[index] = True
        for path, text in _leaves(document, "$"):
            leaves.setdefault(path, []).append((text, int(cells[index])))
    return is_document, leaves


class _Object(list[tuple[str, Any]]):
    """An object's pairs in order; a repeated key hides nothing."""


def _parse(text: str) -> Any:
    """The document, numbers as written; None where the text is not one."""
    try:
        document = json.loads(text, object_pairs_hook=_Object, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, list) else None


def _leaves(node: Any, path: str) -> Iterator[Leaf]:
    if isinstance(node, _Object):
        for key, child in node:
            if _is_plain(key):
                yield from _leaves(child, f"{path}.{key}")
            else:
                yield f"{path}.{KEY}", key
                yield from _leaves(child, f"{path}.{VALUE}")
    elif isinstance(node, list):
        for child in node:
            yield from _leaves(child, f"{path}[]")
    elif isinstance(node, bool) or node is None:
        yield path, None if node is None else str(node).lower()
    else:
        yield path, node


def _is_plain(key: str) -> bool:
    return bool(_PLAIN_KEY.match(key)) and not _MANY_DIGITS.search(key)
