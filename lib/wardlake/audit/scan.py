"""The scan that every audit event passes before it is written: rule ids, counts and hashes, never a value of the data.

Small and strict on purpose. It cannot know every identifier; it refuses shapes that identifiers have, and anything long
enough to be prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable

MAX_TEXT = 200
MAX_WORDS = 12
MAX_DEPTH = 8
MAX_LEAVES = 20_000
MAX_INTEGER = 10**15  # counts; JSON readers keep integers exact up to 2**53

_KEY = re.compile(r"\w[^\x00-\x1f]{0,199}")  # fields, tables and columns, in any language
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_EDGE, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"

IDENTIFIER_SHAPES: Mapping[str, re.Pattern[str]] = {
    "a social security number": re.compile(rf"{_EDGE}\d{{3}}[- ]\d{{2}}[- ]\d{{4}}{_END}"),
    "an e-mail address": re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+"),
    "a phone number": re.compile(
        r"\+\d[\d ().-]{6,}\d|\(\d{3}\) ?\d{3}[- .]\d{4}" + rf"|{_EDGE}\d{{3}}[- .]\d{{3}}[- .]\d{{4}}{_END}"
    ),
    "a number of an identifier's length": re.compile(rf"{_EDGE}(?:\d{{9,11}}|\d{{13,19}}){_END}"),
    "a card number": re.compile(rf"{_EDGE}(?:\d{{4}}[- ]){{3}}\d{{4}}{_END}"),
    "a UUID": _UUID,
    "an IP address": re.compile(rf"{_EDGE}(?:\d{{1,3}}\.){{3}}\d{{1,3}}{_END}"),
    "a day written by people": re.compile(rf"{_EDGE}\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}{_END}"),
    "a bare date": re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?![T\d])"),
    "a street address": re.compile(r"\d+ (?:[A-Z]\w+ )+(?:St|Street|Ave|Avenue|Rd|Road|Dr|Drive|Ln|Lane|Blvd|Way|Ct)\b"),
}


class AuditRefused(AuditUnavailable):
    """The event may hold a value of the data, so it is not written and the action does not happen."""


def check_event(event: AuditEvent) -> None:
    """Return if the event may be written; raise `AuditRefused` with the places that speak against it, never the values."""
    wrong = [*_wrong_header(event), *_wrong_details(event.details)]
    if wrong:
        raise AuditRefused(
            "The audit event is refused: it may hold a value of the data.",
            which=wrong,
            next_step="Record rule ids, counts and hashes.",
        )


def name_problem(name: str) -> str:
    """Why a record would not take this name of a table, column or path, as a key or as text; empty where it would."""
    return _key_problem(name) or _text_problem(name)


def run_name_problem(run_id: str) -> str:
    """Why a record would not take this name of a run; empty where it would."""
    if not _NAME.fullmatch(run_id):
        return "is not a name"
    return next((f"looks like {shape}" for shape, pattern in IDENTIFIER_SHAPES.items() if pattern.search(run_id)), "")


def actor_problem(subject: str) -> str:
    """Why a record would not take this actor; empty where it would. Accounts of vaults are UUIDs, and an actor is no patient."""
    return run_name_problem(_UUID.sub("account", subject))


def _wrong_header(event: AuditEvent) -> Iterator[str]:
    if str(event.kind) not in {kind.value for kind in AuditKind}:
        yield "kind: not a kind of record"
    if not _is_utc(event.at):
        yield "at: not an ISO 8601 time in UTC"
    problems = {"actor": actor_problem(event.actor)}
    for field in ("zone", "run_id", "dataset_id"):
        problems[field] = run_name_problem(getattr(event, field)) if getattr(event, field) else ""
    yield from (f"{field}: {problem}" for field, problem in problems.items() if problem)


def _is_utc(text: str) -> bool:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return False
    return at.utcoffset() == timedelta(0)


def _wrong_details(details: Mapping[str, Any]) -> Iterator[str]:
    for number, (path, value) in enumerate(_leaves(details, "details", 0)):
        if number >= MAX_LEAVES:
            yield f"details: more than {MAX_LEAVES} entries"
            return
        problem = _problem(value)
        if problem:
            yield f"{path}: {problem}"


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Every leaf with its path. A key that is refused is not in the path: it may be the value that must not show."""
    if depth > MAX_DEPTH:
        yield path, _Refused("nested too deeply")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if _key_problem(key):
                yield f"{path}.(a key)", _Refused(_key_problem(key))
            else:
                yield from _leaves(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{position}]", depth + 1)
    else:
        yield path, value


class _Refused(str):
    """Why a part of the event is refused, in place of that part."""

    __slots__ = ()


def _key_problem(key: Any) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return "not the name of a field, a table or a column"
    return _shape_problem(key)


def _problem(value: Any) -> str:
    match value:
        case _Refused():
            return str(value)
        case None | bool():
            return ""
        case int():
            return "" if abs(value) < MAX_INTEGER else "too large for a count"
        case float():
            return "" if value == value and abs(value) < MAX_INTEGER else "not a finite number"  # noqa: PLR0124
        case str():
            return _text_problem(value)
        case _:
            return "not plain JSON"


def _text_problem(text: str) -> str:
    if len(text) > MAX_TEXT:
        return f"longer than {MAX_TEXT} characters"
    if len(text.split()) > MAX_WORDS:
        return f"reads as prose: more than {MAX_WORDS} words"
    if not text.isprintable():
        return "holds control characters"
    return _shape_problem(text)


def _shape_problem(text: str) -> str:
    if _HASH.fullmatch(text) or _is_utc(text):
        return ""
    for shape, pattern in IDENTIFIER_SHAPES.items():
        if pattern.search(text):
            return f"looks like {shape}"
    return ""
