"""The audited way back: which person a token stands for, asked by one person, approved by another, answered once.

    requested -> approved -> revealed, and from each to nowhere once expired

Each step claims the request by compare-and-swap, is then recorded, and only then happens; where it cannot be recorded, the
claim is given back and nothing happens. A claim whose process died lapses. The identifier is the return value of `reveal` and
stands nowhere else. Time limits are the caller's; both are counted from the step before.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identity import Identity, Role
from wardlake.ports.clock import Clock
from wardlake.ports.registry import Registry
from wardlake.tokens.reveal import SealedIdentifier

COLLECTION = "reidentification"
Record = Callable[[AuditEvent], object]
Locate = Callable[[str, str, str], SealedIdentifier]  # purpose, domain, token; raises where there is no one answer
Unseal = Callable[[SealedIdentifier], str]
_ASKING = frozenset({Role.COMPLIANCE, Role.STEWARD})
_APPROVING = frozenset({Role.COMPLIANCE})
_CLAIMS = {"approving": "requested", "revealing": "approved"}  # what a request is again once the claim lapsed
_CLAIM_LAPSES = timedelta(minutes=5)
_ENDED = "The request is not open, or its time is over."
_SHOWN = ("asked_by", "purpose", "domain", "reason", "since", "state")  # never the token: it goes to nobody but who asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where requests are kept and recorded, and how long each step stays open."""

    registry: Registry
    record: Record
    clock: Clock
    approve_within: timedelta
    reveal_within: timedelta


def request(desk: Desk, caller: Identity, *, token: str, purpose: str, domain: str, reason: str) -> str:
    """Ask who a token stands for; returns the request's id.

    Raises `NotAllowed` for a caller who is neither compliance nor steward, `ConfigurationError` without a reason.
    """
    _check_role(desk, caller, _ASKING, "request", purpose)
    if not reason.strip() or not token.strip():
        raise ConfigurationError(what="A re-identification needs a token and a reason.")
    key = secrets.token_hex(16)  # a shorter one may be all digits, which the audit takes for somebody's number
    document = {
        "state": "requesting",
        "purpose": purpose,
        "domain": domain,
        "token": token.strip(),
        "asked_by": caller.subject,
        "asked_with": caller.credential,
        "since": desk.clock.now().isoformat(),
    }
    desk.registry.insert(COLLECTION, key, document)
    details = {**_about(key, document), "reason_sha256": hashlib.sha256(reason.encode()).hexdigest()}
    _record_or_undo(desk, AuditKind.REIDENTIFICATION_REQUESTED, caller, details, lambda: desk.registry.delete(COLLECTION, key))
    _move(desk, key, document, {**document, "state": "requested", "reason": reason.strip()})
    return key


def open_requests(desk: Desk, caller: Identity) -> list[dict[str, str]]:
    """Requests that wait for approval or for their answer, oldest first: what a second person judges, never a token.

    `since` is when the state began. Raises `NotAllowed` for a caller who is not compliance.
    """
    _check_role(desk, caller, _APPROVING, "list", "")
    limits = {"requested": desk.approve_within, "approved": desk.reveal_within}
    found = [
        _shown(key, document)
        for key, document in ((key, _settled(desk, each)) for key, each in desk.registry.find(COLLECTION))
        if document["state"] in limits and _is_in_time(desk, document, limits[document["state"]])
    ]
    return sorted(found, key=lambda each: (each["since"], each["request"]))


def approve(desk: Desk, caller: Identity, key: str) -> dict[str, str]:
    """Approve another person's request; returns what was approved, `since` being when it was asked.

    Raises `NotAllowed` for a caller who is not compliance, who used no second factor, or whose credential asked.
    """
    found, document = _open(desk, key, "requested", desk.approve_within)
    _check_role(desk, caller, _APPROVING, "approve", str(document["purpose"]))
    _check_second_factor(caller)
    if caller.credential == document["asked_with"] or caller.subject == document["asked_by"]:
        raise NotAllowed("The person who asked cannot approve.", next_step="ask a second person of compliance")
    claimed = _claim(desk, key, found, {**document, "state": "approving"})
    _record_or_undo(
        desk,
        AuditKind.REIDENTIFICATION_APPROVED,
        caller,
        _about(key, document),
        lambda: _move(desk, key, claimed, document),
    )
    approved = {"state": "approved", "approved_by": caller.subject, "since": desk.clock.now().isoformat()}
    _move(desk, key, claimed, {**document, **approved})
    return _shown(key, {**document, "state": "approved"})


def reveal(desk: Desk, caller: Identity, key: str, *, locate: Locate, unseal: Unseal) -> str:
    """The identifier, once, to the person who asked.

    `locate` finds the mapping's row for the token, purpose and domain that were approved; where it cannot, nothing is recorded.
    `unseal` decrypts the row, once that is recorded; the answer is spent only then, so a refusal by the vault leaves it to be
    had. Raises `NotAllowed` for anyone else, a second time, and when time is over.
    """
    found, document = _open(desk, key, "approved", desk.reveal_within)
    _check_role(desk, caller, _ASKING, "reveal", str(document["purpose"]))
    _check_second_factor(caller)
    if caller.credential != document["asked_with"]:
        raise NotAllowed("Only the person who asked can have the answer.", which=[key])
    sealed = locate(str(document["purpose"]), str(document["domain"]), str(document["token"]))
    claimed = _claim(desk, key, found, {**document, "state": "revealing"})
    _record_or_undo(
        desk,
        AuditKind.REIDENTIFICATION_REVEALED,
        caller,
        {**_about(key, document), **_origin(sealed), "approved_by": document["approved_by"]},
        lambda: _move(desk, key, claimed, document),
    )
    try:
        identifier = unseal(sealed)
    except BaseException:
        _move(desk, key, claimed, document)
        raise
    _move(desk, key, claimed, {**document, "state": "revealed", "since": desk.clock.now().isoformat()})
    return identifier


def _open(desk: Desk, key: str, state: str, within: timedelta) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A request as it stands in the registry, and as it is once a lapsed claim is given back."""
    found = desk.registry.get(COLLECTION, key)
    document = _settled(desk, found) if found is not None else None
    if found is None or document is None or document["state"] != state or not _is_in_time(desk, document, within):
        raise NotAllowed(_ENDED, which=[key], next_step="ask again: wardlake reidentify request")
    return found, document


def _claim(desk: Desk, key: str, found: Mapping[str, Any], claimed: Mapping[str, Any]) -> Mapping[str, Any]:
    return _move(desk, key, found, {**claimed, "claimed_at": desk.clock.now().isoformat()})


def _settled(desk: Desk, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request whose claim lapsed is what it was before: nothing was told, since the claim ends before the answer does."""
    before = _CLAIMS.get(str(document["state"]))
    if before is None or desk.clock.now() < datetime.fromisoformat(str(document["claimed_at"])) + _CLAIM_LAPSES:
        return document
    return {**{name: value for name, value in document.items() if name != "claimed_at"}, "state": before}


def _is_in_time(desk: Desk, document: Mapping[str, Any], within: timedelta) -> bool:
    return desk.clock.now() <= datetime.fromisoformat(str(document["since"])) + within


def _shown(key: str, document: Mapping[str, Any]) -> dict[str, str]:
    """What people other than the asker see of a request."""
    return {"request": key, **{name: str(document[name]) for name in _SHOWN}}


def _move(desk: Desk, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Compare and swap; of two people at once, one is refused."""
    if not desk.registry.replace(COLLECTION, key, before, after):
        raise NotAllowed(_ENDED, which=[key])
    return after


def _record_or_undo(
    desk: Desk, kind: AuditKind, caller: Identity, details: Mapping[str, Any], undo: Callable[[], object]
) -> None:
    try:
        desk.record(AuditEvent(kind=kind, actor=caller.subject, at=desk.clock.now().isoformat(), details=details))
    except BaseException:
        undo()
        raise


def _about(key: str, document: Mapping[str, Any]) -> dict[str, str]:
    """What the audit says of a request: the token as a hash, since a record holds no value of the data."""
    return {
        "request": key,
        "purpose": str(document["purpose"]),
        "domain": str(document["domain"]),
        "token_sha256": hashlib.sha256(str(document["token"]).encode()).hexdigest(),
    }


def _origin(sealed: SealedIdentifier) -> dict[str, str | int | None]:
    """Which of the mapping's rows is opened."""
    origin = sealed.origin
    return {"key_version": origin.key_version, "kind": origin.kind, "token_mode": str(origin.mode)}


def _check_role(desk: Desk, caller: Identity, allowed: frozenset[Role], step: str, purpose: str) -> None:
    """Refused attempts are recorded too."""
    if caller.roles & allowed:
        return
    details = {"step": step, "purpose": purpose}
    at = desk.clock.now().isoformat()
    desk.record(AuditEvent(kind=AuditKind.REIDENTIFICATION_REFUSED, actor=caller.subject, at=at, details=details))
    raise NotAllowed(
        f"Your role does not permit to {step} re-identifications.", next_step="ask compliance: they have the way back"
    )


def _check_second_factor(caller: Identity) -> None:
    if not caller.second_factor:
        raise NotAllowed("This step needs your second factor.", next_step="give its code")
