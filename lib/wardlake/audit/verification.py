"""Is the chain whole? Needs the object archive alone; a head known elsewhere also shows what was cut off at the end."""

from __future__ import annotations

from dataclasses import dataclass

from wardlake.audit.records import FIRST, PREFIX, BrokenRecord, archive_key, decode_record, follows
from wardlake.model.audit import AuditKind, AuditRecord
from wardlake.model.errors import AuditUnavailable
from wardlake.ports.audit_sink import AuditEntry
from wardlake.ports.objects import Objects, StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """`records` are those found; `first_bad` is the sequence where the chain first fails, 0 where it is whole."""

    records: int
    ok: bool
    first_bad: int = 0


def verify_archive(objects: Objects, *, head: AuditEntry | None = None) -> VerificationResult:
    """Recompute every hash and link. `head` is the newest record as the second sink, or paper, has it.

    A chain may begin after its first record only where a record of its own says which ones were past their time.
    Raises `AuditUnavailable` when the archive cannot be read.
    """
    try:
        keys = [found.key for found in objects.list(PREFIX)]
        records, bad = _intact(objects, keys)
    except StoreUnavailable as error:
        raise AuditUnavailable(f"The audit archive cannot be read: {error}.") from None
    bad = bad or _bad_beginning(records) or _bad_end(records, head)
    return VerificationResult(records=len(keys), ok=not bad, first_bad=bad)


def _intact(objects: Objects, keys: list[str]) -> tuple[list[AuditRecord], int]:
    """The records up to the first that is damaged or does not follow, and that one's sequence."""
    records: list[AuditRecord] = []
    for key in keys:
        expected = records[-1].sequence + 1 if records else 0
        try:
            record = decode_record(objects.get(key))
        except BrokenRecord:
            return records, expected or _sequence_of(key)
        linked = not records or follows(record, records[-1])
        if not linked or key != archive_key(record.sequence):
            return records, expected or _sequence_of(key)
        records.append(record)
    return records, 0


def _sequence_of(key: str) -> int:
    digits = key.removeprefix(PREFIX).removesuffix(".json")
    return max(FIRST, int(digits)) if digits.isdecimal() else FIRST


def _bad_beginning(records: list[AuditRecord]) -> int:
    if not records or follows(records[0], None):
        return 0
    first = records[0]
    for record in records:
        event = record.event
        if event.kind is AuditKind.RETENTION_APPLIED and event.details.get("audit_first_kept") == first.sequence:
            return 0 if event.details.get("audit_previous") == first.previous else FIRST
    return FIRST


def _bad_end(records: list[AuditRecord], head: AuditEntry | None) -> int:
    if head is None:
        return 0
    found = [record for record in records if record.sequence == head.sequence]
    if found and found[0].hash == head.hash:
        return 0
    return head.sequence if found or not records else records[-1].sequence + 1
