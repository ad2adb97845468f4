"""Audit events: what is written before anything happens. Rule ids, counts and hashes only, never a value of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AuditKind(StrEnum):
    """Every kind of record. A record of a kind that is not here cannot be written."""

    SNAPSHOT_CREATED = "snapshot.created"
    CLASSIFICATION_HALTED = "classification.halted"
    CLASSIFICATION_REVIEWED = "classification.reviewed"
    CLASSIFICATION_APPROVED = "classification.approved"
    DATASET_PUBLISHED = "dataset.published"
    DATASET_QUARANTINED = "dataset.quarantined"
    DATASET_VERIFIED = "dataset.verified"
    RUN_REFUSED = "run.refused"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    REIDENTIFICATION_REQUESTED = "reidentification.requested"
    REIDENTIFICATION_APPROVED = "reidentification.approved"
    REIDENTIFICATION_REVEALED = "reidentification.revealed"
    REIDENTIFICATION_REFUSED = "reidentification.refused"
    RETENTION_APPLIED = "retention.applied"
    PRACTICES_ONBOARDED = "practices.onboarded"
    PRACTICES_BEGUN_AGAIN = "practices.begun-again"
    PRACTICES_RELEASED = "practices.released"
    PRACTICES_MERGED = "practices.merged"
    PRACTICES_TIDIED = "practices.tidied"
    PRACTICES_PATIENT_ERASED = "practices.patient-erased"
    PRACTICES_FILE_RELEASED = "practices.file-released"
    ENTITLEMENT_GRANTED = "entitlement.granted"
    ENTITLEMENT_REVOKED = "entitlement.revoked"
    POLICIES_APPLIED = "policies.applied"
    POLICIES_CLOSED = "policies.closed"
    MARTS_REGISTERED = "marts.registered"
    HOLD_SET = "hold.set"
    HOLD_LIFTED = "hold.lifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """What is to be recorded. `details` is plain JSON data and passes the audit's own scan before it is written."""

    kind: AuditKind
    actor: str
    at: str  # ISO 8601, UTC
    zone: str = ""
    run_id: str = ""
    dataset_id: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An event in the chain. `hash` is SHA-256 over the canonical JSON of sequence, event and `previous`."""

    sequence: int
    event: AuditEvent
    previous: str
    hash: str
