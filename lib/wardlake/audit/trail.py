"""The trail: nothing happens before its record lies in both sinks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from wardlake.audit.names import with_short_keys
from wardlake.audit.records import (
    FIRST,
    GENESIS,
    BrokenRecord,
    archive_key,
    decode_record,
    encode_record,
    entry_of,
    follows,
    seal_event,
)
from wardlake.audit.scan import check_event
from wardlake.model.audit import AuditEvent, AuditRecord
from wardlake.model.errors import AuditUnavailable
from wardlake.ports.audit_sink import AuditEntry, AuditSink, SinkConflict, SinkUnavailable
from wardlake.ports.clock import Clock
from wardlake.ports.objects import Lock, ObjectExists, ObjectMissing, Objects, StoreUnavailable

Result = TypeVar("Result")
ATTEMPTS = 200
_VERIFY = "wardlake audit verify"
_AGAIN = "wardlake doctor, then give the same command again"


class AuditTrail:
    """Appends to the object archive first, where a conditional put decides who has the next sequence, then to the sink.

    `retention` is how long each record is locked in the archive (164.316(b)(2): six years), `storage_class` the store's
    word for what keeps it: one that is read at once, since every record needs the one before.
    """

    def __init__(self, objects: Objects, sink: AuditSink, clock: Clock, *, retention: timedelta, storage_class: str = "") -> None:
        self._objects = objects
        self._sink = sink
        self._clock = clock
        self._retention = retention
        self._storage_class = storage_class

    def append(self, event: AuditEvent) -> AuditRecord:
        """Write the event; raises `AuditUnavailable` when it is not in both sinks, and then the caller does not act.

        A record that an earlier append left in the archive alone reaches the sink first. Raises `AuditRefused` for an
        event that may hold a value of the data.
        """
        event = with_short_keys(event)
        check_event(event)
        try:
            for attempt in range(ATTEMPTS):
                record = self._try_append(event)
                if record is not None:
                    return record
                time.sleep(random.uniform(0, 0.005 * min(attempt + 1, 20)))  # noqa: S311  # only spreads writers
        except StoreUnavailable as error:
            raise AuditUnavailable(f"The audit archive does not take the record: {error}.", next_step=_AGAIN) from None
        except SinkUnavailable as error:
            raise AuditUnavailable(f"The audit table does not take the record: {error}.", next_step=_AGAIN) from None
        except SinkConflict:
            raise AuditUnavailable("The audit's two sinks disagree.", next_step=_VERIFY) from None
        raise AuditUnavailable("Too many writers at once.", next_step="Run again.")

    def reconcile(self) -> AuditEntry | None:
        """Bring into the sink what only the archive holds; returns the chain's head."""
        head = self._sink.head()
        if head is not None:
            self._check_archived(head)
        while (record := self._archived(head)) is not None:
            head = entry_of(record)
            self._sink.append(head)
        return head

    def _try_append(self, event: AuditEvent) -> AuditRecord | None:
        """The record, or None where another writer took the sequence."""
        head = self.reconcile()
        sequence, previous = (head.sequence + 1, head.hash) if head else (FIRST, GENESIS)
        record = seal_event(event, sequence=sequence, previous=previous)
        lock = Lock(until=self._clock.now() + self._retention)
        try:
            self._objects.put(
                archive_key(sequence), encode_record(record), lock=lock, storage_class=self._storage_class, create_only=True
            )
        except ObjectExists:
            return None
        self._sink.append(entry_of(record))
        return record

    def _archived(self, head: AuditEntry | None) -> AuditRecord | None:
        """The archive's record after `head`, if it has one."""
        try:
            record = decode_record(self._objects.get(archive_key(head.sequence + 1 if head else FIRST)))
        except ObjectMissing:
            return None
        except BrokenRecord:
            raise AuditUnavailable("The audit archive is damaged.", next_step=_VERIFY) from None
        if not follows(record, head):
            raise AuditUnavailable("The audit's two sinks disagree.", next_step=_VERIFY)
        return record

    def _check_archived(self, head: AuditEntry) -> None:
        """The sink never knows more than the archive: else records were removed there."""
        try:
            same = self._objects.get(archive_key(head.sequence)) == head.body.encode("ascii")
        except ObjectMissing:
            same = False
        if not same:
            raise AuditUnavailable("The audit archive lacks a record that the audit table has.", next_step=_VERIFY)


def with_record(trail: AuditTrail, event: AuditEvent, action: Callable[[AuditRecord], Result]) -> Result:
    """Write the record, then act; without the record the action is not called. The action gets the record."""
    return action(trail.append(event))
