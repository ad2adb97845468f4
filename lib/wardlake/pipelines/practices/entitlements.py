"""`wardlake warehouse grant`, `revoke` and `entitlements`: who may see which practice. Each change is recorded first."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wardlake.audit.names import short_name
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.entitlements import Ended, Entitlement, WarehouseRole, user_name_problem
from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identity import Identity, Role
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.settings.load import Settings

MAY_GRANT = frozenset({Role.STEWARD, Role.COMPLIANCE})
NEXT = "wardlake warehouse policies brings this into the warehouse; one that runs with --watch does so by itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: practices for a user in a role. An administrator has none."""

    user: str
    practices: tuple[str, ...]
    role: WarehouseRole
    until: datetime
    reason: str
    begins: datetime | None = None  # none: now


def grant(settings: Settings, ports: PortsInHand, source: str, wanted: Wanted) -> dict[str, Any]:
    """Raises `NotAllowed` for who may not grant or grants to themselves, `ConfigurationError` with all that stands against it."""
    caller = _require_may_grant(ports)
    if caller.is_called(wanted.user):
        raise NotAllowed("Nobody grants to themselves.", next_step="ask another steward")
    spec = settings.practices_of(source)
    now = ports.clock.now()
    begins = wanted.begins or now
    problems = [*_problems(ports, settings, spec.name, wanted, begins, now)]
    if problems:
        raise ConfigurationError(what=f"Nothing was granted: {'; '.join(problems)}.", next_step="wardlake warehouse grant --help")
    granted = [
        Entitlement(
            source=spec.name,
            user=wanted.user,
            practice=practice,
            role=wanted.role,
            begins=begins,
            until=wanted.until,
            granted_by=caller.subject,
            granted_at=now,
            reason=wanted.reason.strip(),
        )
        for practice in sorted(set(wanted.practices)) or [""]
    ]
    details = {
        **_about(spec.name, wanted.user, [wanted.role], [each.practice for each in granted], wanted.reason),
        "begins": begins.astimezone(UTC).isoformat(),
        "until": wanted.until.astimezone(UTC).isoformat(),
    }
    _record(ports, AuditKind.ENTITLEMENT_GRANTED, caller, now, details)
    ports.entitlements.grant(granted)
    return {"granted": [describe(each) for each in granted], "next": NEXT}


def _problems(
    ports: PortsInHand, settings: Settings, source: str, wanted: Wanted, begins: datetime, now: datetime
) -> Iterator[str]:
    """All that stands against a grant. Names of practices and users are shown as they were given, escaped."""
    if problem := user_name_problem(wanted.user):
        yield f"{wanted.user!a} cannot be a user of the warehouse: {problem}"
    warehouse = settings.environment.warehouse
    if warehouse is not None and wanted.user == warehouse.user:
        yield f"{wanted.user} registers marts, and sees no rows"
    if wanted.until <= max(begins, now):
        yield "--until is over already, or not after --from"
    if not wanted.reason.strip():
        yield "there is no reason"
    yield from _practice_problems(ports, source, wanted)
    for each in ports.entitlements.find(user=wanted.user):
        if each.until > now and (each.role is WarehouseRole.ADMINISTRATOR) is not (wanted.role is WarehouseRole.ADMINISTRATOR):
            yield "an administrator of the warehouse sees no practice, and this user would be both: revoke the other first"
            break


def _practice_problems(ports: PortsInHand, source: str, wanted: Wanted) -> Iterator[str]:
    if wanted.role is WarehouseRole.ADMINISTRATOR:
        if wanted.practices:
            yield "an administrator of the warehouse sees no practice: leave --practice out"
    elif not wanted.practices:
        yield "no --practice is given"
    else:
        known = {state.practice for state in ports.work_queue(source).states(wanted.practices) if state.onboarded}
        for name in sorted(set(wanted.practices)):
            if not name or name not in known:
                yield f"there is no practice {name!a} in {source}"


def revoke(
    settings: Settings,
    ports: PortsInHand,
    source: str,
    *,
    user: str,
    practices: Collection[str],
    role: WarehouseRole | None,
    reason: str,
) -> dict[str, Any]:
    """End a user's entitlements to these practices, or to all, in this role or in any.

    Raises `NotAllowed` for who may not, `ConfigurationError` where there is nothing to end: a name mistyped is told.
    """
    caller = _require_may_grant(ports)
    spec = settings.practices_of(source)
    if not reason.strip():
        raise ConfigurationError(what="Nothing was revoked: there is no reason.", next_step="--reason TEXT")
    held = [
        each
        for each in ports.entitlements.find(source=spec.name, user=user)
        if (not practices or each.practice in practices) and role in (None, each.role)
    ]
    missing = sorted(set(practices) - {each.practice for each in held})
    if missing or not held:
        what = f"{user!a} has no such entitlement{': ' if missing else ''}{', '.join(map(ascii, missing))}"
        raise ConfigurationError(what=f"Nothing was revoked: {what}.", next_step="wardlake warehouse entitlements")
    now = ports.clock.now()
    roles = sorted({each.role for each in held})
    names = sorted({each.practice for each in held})
    _record(ports, AuditKind.ENTITLEMENT_REVOKED, caller, now, _about(spec.name, user, roles, names, reason))
    count = ports.entitlements.end(spec.name, user, names, roles, Ended(by=caller.subject, at=now, reason=reason.strip()))
    return {"revoked": count, "user": user, "practices": names, "next": NEXT}


def list_entitlements(
    settings: Settings, ports: PortsInHand, source: str, *, user: str, practice: str, ended: bool
) -> dict[str, Any]:
    """Entitlements as documents; `holds`: whether one holds now."""
    _require_may_grant(ports, also=frozenset({Role.AUDITOR, Role.PIPELINE}))
    spec = settings.practices_of(source)
    found = ports.entitlements.find(source=spec.name, user=user, practice=practice, ended=ended)
    now = ports.clock.now()
    return {"source": spec.name, "entitlements": [{**describe(each), "holds": each.holds(now)} for each in found]}


def describe(each: Entitlement) -> dict[str, Any]:
    """An entitlement as a document."""
    return {
        "user": each.user,
        "practice": each.practice or None,
        "role": each.role.value,
        "from": _text(each.begins),
        "until": _text(each.until),
        "granted_by": each.granted_by,
        "granted_at": _text(each.granted_at),
        "reason": each.reason,
        "ended": {"by": each.ended.by, "at": _text(each.ended.at), "reason": each.ended.reason} if each.ended else None,
    }


def line(each: dict[str, Any]) -> str:
    """The same for people."""
    state = f"ended {each['ended']['at'][:16]} by {each['ended']['by']}" if each["ended"] else f"until {each['until'][:16]}"
    holds = "" if each.get("holds", True) or each["ended"] else "  (does not hold now)"
    return f"{each['user']:<24} {each['role']:<14} {each['practice'] or '-':<38} {state}  by {each['granted_by']}{holds}"


def _require_may_grant(ports: PortsInHand, also: frozenset[Role] = frozenset()) -> Identity:
    caller = ports.identity.caller()
    if not caller.roles & (MAY_GRANT | also):
        raise NotAllowed("Entitlements are a steward's or compliance's to give.", next_step="ask one of them")
    return caller


def _record(ports: PortsInHand, kind: AuditKind, caller: Identity, now: datetime, details: dict[str, Any]) -> None:
    at = now.astimezone(UTC).isoformat()
    ports.trail.append(AuditEvent(kind=kind, actor=caller.subject, at=at, zone="marts", details=details))


def _about(source: str, user: str, roles: Sequence[WarehouseRole], practices: Sequence[str], reason: str) -> dict[str, Any]:
    """Names that a record does not take, as e-mail addresses, stand there as hashes: who knows the name finds it."""
    return {
        "source": source,
        "user": short_name(user),
        "roles": [role.value for role in roles],
        "practices": [short_name(name) for name in practices if name],
        "reason_sha256": hashlib.sha256(reason.strip().encode()).hexdigest(),
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
