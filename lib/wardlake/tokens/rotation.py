"""Making and rotating keys: the only places where a key comes into being, each recorded first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import KeysUnavailable
from wardlake.ports.clock import Clock
from wardlake.ports.keys import Keys
from wardlake.tokens.keyring import key_name

Record = Callable[[AuditEvent], object]


def create(keys: Keys, purpose: str, domain: str, *, actor: str, clock: Clock, record: Record) -> int:
    """Make the first version of a domain's key; raises `NotAllowed` where there is one."""
    record(_event(AuditKind.KEY_CREATED, {"purpose": purpose, "domain": domain}, actor, clock))
    return keys.create(key_name(purpose, domain)).version


def rotate(keys: Keys, purpose: str, domain: str, *, actor: str, clock: Clock, record: Record) -> int:
    """Make a new version of a domain's key and return its number; raises `KeysUnavailable` where there is no key.

    The next run makes new tokens. Old ones still lead back: the mapping keeps the rows of every version.
    """
    name = key_name(purpose, domain)
    if not keys.versions(name):
        raise KeysUnavailable("There is no token key to rotate.", which=[name], next_step="check purpose and domain")
    record(_event(AuditKind.KEY_ROTATED, {"purpose": purpose, "domain": domain}, actor, clock))
    return keys.rotate(name).version


def ensure_wrapping_key(keys: Keys, name: str, *, actor: str, clock: Clock, record: Record) -> bool:
    """Make the wrapping key unless there is one, which the vault tells only by wrapping something; whether it was made.

    Raises `KeysUnavailable` where the vault does not answer; nothing is recorded then.
    """
    keys.reachable()
    try:
        keys.new_data_key(name)
    except KeysUnavailable:
        record(_event(AuditKind.KEY_CREATED, {"wrapping_key": name}, actor, clock))
        keys.create_wrapping_key(name)
        return True
    return False


def _event(kind: AuditKind, about: Mapping[str, str], actor: str, clock: Clock) -> AuditEvent:
    return AuditEvent(kind=kind, actor=actor, at=clock.now().isoformat(), details=about)
