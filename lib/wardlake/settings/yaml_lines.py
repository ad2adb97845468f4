"""YAML with the line of every key, so that a mistake can be pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from wardlake.model.errors import Mistake


def read_yaml(path: Path, shown_as: str) -> tuple[Any, list[Mistake]]:
    """The parsed document with its line marks; a syntax error or a repeated key is a mistake, not an exception."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        return None, [Mistake(shown_as, 0, f"cannot be read: {type(problem).__name__}")]
    try:
        return YAML(typ="rt").load(text), []
    except MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 0
        return None, [Mistake(shown_as, line, f"not valid YAML: {problem.problem}")]


def line_of(document: Any, location: Sequence[str | int]) -> int:
    """The line (from 1) of the deepest part of `location` that the document has; 0 where it has none."""
    line, node = 0, document
    for part in location:
        found = _child_line(node, part)
        if found is None:
            # Validators put their own words into a location (a union's tag): the next part may still be a key.
            continue
        line, node = found + 1, node[part]
    return line


def _child_line(node: Any, part: str | int) -> int | None:
    if isinstance(node, CommentedMap) and part in node:
        return int(node.lc.key(part)[0])
    if isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
        return int(node.lc.item(part)[0])
    return None


def plain(node: Any) -> Any:
    """The document as plain Python values."""
    match node:
        case dict():
            return {str(key): plain(value) for key, value in node.items()}
        case list():
            return [plain(value) for value in node]
        case str():
            return str(node)
        case _:
            return node
