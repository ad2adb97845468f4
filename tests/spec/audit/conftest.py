"""A trail over embedded adapters, and events to put into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.sqlite_audit_sink import SqliteAuditSink
from wardlake.audit.trail import AuditTrail, with_record
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable

SIX_YEARS = timedelta(days=6 * 365 + 2)


@dataclass
class SetClock:
    """A clock that tests move."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 31, 2, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at


@dataclass
class Archive:
    """One trail with its parts."""

    trail: AuditTrail
    objects: DirectoryObjects
    sink: SqliteAuditSink
    clock: SetClock
    folder: Path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    clock = SetClock()
    objects, sink = DirectoryObjects(tmp_path / "objects", clock=clock), SqliteAuditSink(tmp_path / "audit.db")
    return Archive(AuditTrail(objects, sink, clock, retention=SIX_YEARS), objects, sink, clock, tmp_path)


def make_event(**changes: Any) -> AuditEvent:
    fields: dict[str, Any] = {
        "kind": AuditKind.DATASET_PUBLISHED,
        "actor": "os:ward",
        "at": "2026-01-31T02:00:00+00:00",
        "zone": "dev",
        "run_id": "dev-20260131T020000Z-3f9a1c",
        "dataset_id": "dev-synthea-20260131T020000Z-3f9a1c",
        "details": {"source": "synthea", "rows_in": {"patients": 243}, "rows_out": {"patients": 243}},
    }
    return AuditEvent(**(fields | changes))


def acted(trail: AuditTrail, event: AuditEvent) -> bool:
    """Whether the action ran though the record could not be written."""
    happened: list[bool] = []
    with pytest.raises(AuditUnavailable):
        with_record(trail, event, lambda _: happened.append(True))
    return bool(happened)


@pytest.fixture
def event() -> Callable[..., AuditEvent]:
    return make_event
