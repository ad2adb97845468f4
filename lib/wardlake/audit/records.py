"""Records: events sealed into the chain, and their canonical form in both sinks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wardlake.audit.canonical import canonical_json
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.ports.audit_sink import AuditEntry

FIRST = 1
GENESIS = "0" * 64
PREFIX = "audit/records/"


class BrokenRecord(Exception):
    """What lies in the archive is not a record of this chain."""


def archive_key(sequence: int) -> str:
    """Sorts as the sequence does."""
    return f"{PREFIX}{sequence:012d}.json"


def seal_event(event: AuditEvent, *, sequence: int, previous: str) -> AuditRecord:
    """The event's record, which follows the record with the hash `previous`."""
    digest = hashlib.sha256(canonical_json(_content(sequence, event, previous))).hexdigest()
    return AuditRecord(sequence=sequence, event=event, previous=previous, hash=digest)


def encode_record(record: AuditRecord) -> bytes:
    content = _content(record.sequence, record.event, record.previous)
    return canonical_json({**content, "hash": record.hash})


def decode_record(body: bytes) -> AuditRecord:
    """The record that these bytes are; raises `BrokenRecord` unless they are canonical and the hash is theirs."""
    try:
        document = json.loads(body)
        event = AuditEvent(**{**document["event"], "kind": AuditKind(document["event"]["kind"])})
        record = seal_event(event, sequence=document["sequence"], previous=document["previous"])
        intact = record.hash == document["hash"] and encode_record(record) == body
    except (ValueError, TypeError, KeyError):
        raise BrokenRecord("not a record") from None
    if not intact:
        raise BrokenRecord("the record does not match its hash")
    return record


def entry_of(record: AuditRecord) -> AuditEntry:
    """The record as the second sink holds it."""
    return AuditEntry(
        sequence=record.sequence,
        previous=record.previous,
        hash=record.hash,
        body=encode_record(record).decode("ascii"),
    )


def follows(record: AuditRecord, before: AuditRecord | AuditEntry | None) -> bool:
    """Whether `record` is the next of the chain after `before`."""
    if before is None:
        return record.sequence == FIRST and record.previous == GENESIS
    return record.sequence == before.sequence + 1 and record.previous == before.hash


def _content(sequence: int, event: AuditEvent, previous: str) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "previous": previous,
        "event": {
            "kind": str(event.kind),
            "actor": event.actor,
            "at": event.at,
            "zone": event.zone,
            "run_id": event.run_id,
            "dataset_id": event.dataset_id,
            "details": _plain(event.details),
        },
    }


def _plain(value: Any) -> Any:
    """Mappings and tuples as JSON has them."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return {key: _plain(inner) for key, inner in dict(value).items()}
