"""What people do to practices is recorded before it happens: who, which source, how many practices, and a hash of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import NotAllowed
from wardlake.model.identity import Identity, Role
from wardlake.pipelines.practices.opening import Practices

_MAY = frozenset({Role.PIPELINE, Role.STEWARD})


def require_may_act(practices: Practices) -> Identity:
    """The caller; raises `NotAllowed` for who is neither pipeline nor steward."""
    actor = practices.ports.identity.caller()
    if not actor.roles & _MAY:
        raise NotAllowed("Practices are let in and released by the pipeline or a steward.", next_step="ask one of them")
    return actor


def record_act(practices: Practices, kind: AuditKind, names: Collection[str], **more: str | int) -> None:
    """Record an act on practices; `more` are counts and hashes beside theirs.

    Raises as `require_may_act` does, and `AuditUnavailable` where it cannot be recorded."""
    actor = require_may_act(practices)
    listed = "\n".join(sorted(names))
    details = {
        "source": practices.spec.name,
        "practices": len(set(names)),
        "practices_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        **more,
    }
    now = practices.ports.clock.now().isoformat()
    practices.ports.trail.append(AuditEvent(kind=kind, actor=actor.subject, at=now, details=details))
