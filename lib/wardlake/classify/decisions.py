"""Decisions written into `conf/classification/`, with the comments that are there."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.treatments import Decision, Rule, Verdict


def write_decision(path: Path, table: str, column_path: str, decision: Decision) -> None:
    """Set the decision on one column path of a classification file, atomically; all else stays as it is written.

    Raises `ConfigurationError` where the file is missing or is not a classification.
    """
    document = _load(path)
    tables = document.setdefault("tables", CommentedMap())
    columns = tables.get(table)
    if columns is None:
        columns = tables[table] = CommentedMap()
    columns[column_path] = decision_document(decision)
    text = io.StringIO()
    _yaml().dump(document, text)
    _replace(path, text.getvalue().encode())


def decision_document(decision: Decision) -> Any:
    """A decision as the file writes it: `safe`, `blocked`, or a mapping with rule, kind and reason."""
    if decision.verdict is not Verdict.SENSITIVE and not decision.reason and decision.kind is None:
        return decision.verdict.value
    document = CommentedMap()
    document[decision.verdict.value] = True if decision.rule is None else _rule_document(decision.rule)
    if decision.kind is not None:
        document["kind"] = decision.kind.value
    if decision.reason:
        document["reason"] = decision.reason
    return document


def _rule_document(rule: Rule) -> CommentedMap:
    """The rule's name and what differs from its defaults, on one line."""
    document = CommentedMap(rule=rule.rule)
    for field in fields(rule):
        value = getattr(rule, field.name)
        if field.name != "rule" and (field.default is MISSING or value != field.default):
            document[field.name] = _plain(value)
    document.fa.set_flow_style()
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _load(path: Path) -> CommentedMap:
    try:
        document = _yaml().load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError([Mistake(str(path), 0, "no such classification file")]) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigurationError([Mistake(str(path), mark.line + 1 if mark else 0, "not YAML")]) from None
    if not isinstance(document, CommentedMap):
        raise ConfigurationError([Mistake(str(path), 0, "not a classification")])
    return document


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 160
    return yaml


def _replace(path: Path, body: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o777)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise ConfigurationError([Mistake(str(path), 0, f"cannot be written ({type(error).__name__})")]) from None
