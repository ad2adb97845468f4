"""Legal hold, and what is past its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from wardlake.audit.archive import read_records
from wardlake.audit.records import archive_key
from wardlake.audit.trail import AuditTrail, with_record
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.errors import AuditUnavailable
from wardlake.ports.clock import Clock
from wardlake.ports.objects import Objects, StoreUnavailable

Result = TypeVar("Result")


def set_hold(
    trail: AuditTrail, objects: Objects, records: Sequence[AuditRecord], *, held: bool, event: AuditEvent
) -> AuditRecord:
    """Hold these records past their lock, or lift the hold; the event's record comes first.

    Its kind is set here, and its details gain `sequences`.
    """
    sequences = [record.sequence for record in records]
    kind = AuditKind.HOLD_SET if held else AuditKind.HOLD_LIFTED
    said = replace(event, kind=kind, details={**event.details, "sequences": sequences})

    def apply(written: AuditRecord) -> AuditRecord:
        for sequence in sequences:
            objects.set_hold(archive_key(sequence), held)
        return written

    return _guarded(lambda: with_record(trail, said, apply))


def remove_expired(trail: AuditTrail, objects: Objects, clock: Clock, *, event: AuditEvent) -> int:
    """Remove the oldest records whose lock has ended and that nobody holds; returns how many.

    Stops at the first that must stay, so the rest remains one chain. The event's record comes first and says where the
    chain now begins; with nothing to remove nothing is written.
    """

    def apply() -> int:
        expired, kept = _split(objects, clock)
        if not expired or kept is None:
            return 0
        begins = {"audit_first_kept": kept.sequence, "audit_previous": kept.previous}
        said = replace(event, kind=AuditKind.RETENTION_APPLIED, details={**event.details, **begins})
        return with_record(trail, said, lambda _: _delete(objects, expired))

    return _guarded(apply)


def count_expired(objects: Objects, clock: Clock) -> int:
    """How many records `remove_expired` would remove."""
    return _guarded(lambda: len(_split(objects, clock)[0]))


def held_records(objects: Objects, records: Sequence[AuditRecord]) -> list[AuditRecord]:
    """Those of these records that are under a legal hold."""
    return _guarded(lambda: [record for record in records if objects.info(archive_key(record.sequence)).hold])


def _delete(objects: Objects, records: Sequence[AuditRecord]) -> int:
    for record in records:
        objects.delete(archive_key(record.sequence))
    return len(records)


def _split(objects: Objects, clock: Clock) -> tuple[list[AuditRecord], AuditRecord | None]:
    """Records to remove, and the first that stays."""
    expired: list[AuditRecord] = []
    for record in read_records(objects):
        info = objects.info(archive_key(record.sequence))
        if info.hold or info.locked_until is None or info.locked_until > clock.now():
            return expired, record
        expired.append(record)
    return expired[:-1], expired[-1] if expired else None


def _guarded(action: Callable[[], Result]) -> Result:
    try:
        return action()
    except StoreUnavailable as error:
        raise AuditUnavailable(f"The audit archive refuses: {error}.") from None
