"""The audit's second sink: an append-only table beside the object archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class SinkUnavailable(Exception):
    """The sink does not answer or refuses."""


class SinkConflict(Exception):
    """The record does not continue the chain that the sink holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One record as stored: `body` is its canonical JSON, `previous` and `hash` link it into the chain."""

    sequence: int
    previous: str
    hash: str
    body: str


class AuditSink(Protocol):
    """Append-only: no method changes or removes a record, and the store itself refuses both.

    Every method raises `SinkUnavailable` when the store cannot be reached.
    """

    def append(self, entry: AuditEntry) -> None:
        """Add the next record; nothing happens when this very record is there already.

        Raises `SinkConflict` for a sequence that another record holds, for a gap, and for a `previous` that is not the
        hash of the record before.
        """
        ...

    def head(self) -> AuditEntry | None:
        """The newest record; None while there is none."""
        ...

    def records(self, after: int = 0) -> Iterator[AuditEntry]:
        """Records with a sequence above `after`, oldest first."""
        ...
