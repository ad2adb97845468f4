"""Names of tables, columns and JSON paths in audit events: whole where they fit, else a hash of the whole.

Sources name columns as they like: by sentences, by days, by codes as long as an identifier. A record must not be refused for it.
The hash tells two names apart, and lets whoever knows the name find it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wardlake.audit.scan import name_problem
from wardlake.model.audit import AuditEvent

MAX_NAME = 200
MAX_NAME_WORDS = 12
_HASH_DIGITS = 32


def short_name(name: str) -> str:
    """The name, or 32 hex digits of its SHA-256 where a record does not take it, after its beginning where that is only long."""
    if not name_problem(name):
        return name
    cut = _cut(name)
    return f"name~{_digest(name)}" if name_problem(cut) else cut


def short_place(table: str, path: str) -> str:
    """`table.column` as a record takes it: what can be told of the two is told."""
    return short_name(f"{short_name(table)}.{short_name(path)}")


def with_short_keys(event: AuditEvent) -> AuditEvent:
    """The event with every key of its details short enough for a record."""
    return replace(event, details=_shortened(event.details))


def _shortened(value: Any) -> Any:
    """Only long keys change: what else may not stand in a record is the scan's to refuse."""
    if isinstance(value, Mapping):
        return {_short_key(key): _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(inner) for inner in value]
    return value


def _short_key(key: Any) -> Any:
    return _cut(key) if isinstance(key, str) and len(key) > MAX_NAME else key


def _cut(name: str) -> str:
    """As much of a long name as leaves room for its hash, and that; a name that is not too long as it is."""
    if len(name) <= MAX_NAME and len(name.split()) <= MAX_NAME_WORDS:
        return name
    beginning = name[: MAX_NAME - _HASH_DIGITS - 1]
    if len(beginning.split()) >= MAX_NAME_WORDS:
        beginning = " ".join(beginning.split()[: MAX_NAME_WORDS - 1])
    return f"{beginning.rstrip()}~{_digest(name)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
