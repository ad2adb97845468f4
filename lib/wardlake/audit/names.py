"""Names of tables, columns and JSON paths in audit events: whole where they fit, else their beginning and a hash of the whole.

Sources name columns as long as they like, and a record must not be refused for it. The hash tells two names apart that begin
alike, and lets whoever knows the name find it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wardlake.model.audit import AuditEvent

MAX_NAME = 200
MAX_NAME_WORDS = 12
_HASH_DIGITS = 32


def short_name(name: str) -> str:
    """The name, or its beginning and 32 hex digits of its SHA-256 where it is longer than a record takes."""
    if len(name) <= MAX_NAME and len(name.split()) <= MAX_NAME_WORDS:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    beginning = name[: MAX_NAME - _HASH_DIGITS - 1]
    if len(beginning.split()) >= MAX_NAME_WORDS:
        beginning = " ".join(beginning.split()[: MAX_NAME_WORDS - 1])
    return f"{beginning.rstrip()}~{digest}"


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
    return short_name(key) if isinstance(key, str) and len(key) > MAX_NAME else key
