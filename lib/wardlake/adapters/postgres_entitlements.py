"""Entitlements in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString

from wardlake.adapters.postgres_database import connection
from wardlake.model.entitlements import Ended, Entitlement, WarehouseRole
from wardlake.ports.registry import RegistryUnavailable

REPLACED = "granted anew"

_REPLACE: LiteralString = """
    UPDATE wardlake.entitlements SET ended_by = %(granted_by)s, ended_at = %(granted_at)s, end_reason = %(replaced)s
    WHERE source = %(source)s AND user_name = %(user)s AND role = %(role)s AND coalesce(practice, '') = %(practice)s
        AND ended_at IS NULL"""
_GRANT: LiteralString = """
    INSERT INTO wardlake.entitlements (source, user_name, practice, role, begins, until, granted_by, granted_at, reason)
    VALUES (%(source)s, %(user)s, nullif(%(practice)s, ''), %(role)s, %(begins)s, %(until)s, %(granted_by)s, %(granted_at)s,
        %(reason)s)"""
_END: LiteralString = """
    UPDATE wardlake.entitlements SET ended_by = %(by)s, ended_at = %(at)s, end_reason = %(reason)s
    WHERE source = %(source)s AND user_name = %(user)s AND coalesce(practice, '') = ANY (%(practices)s) AND role = ANY (%(roles)s)
        AND ended_at IS NULL"""
_FIND: LiteralString = """
    SELECT source, user_name, coalesce(practice, ''), role, begins, until, granted_by, granted_at, reason,
        ended_by, ended_at, end_reason
    FROM wardlake.entitlements
    WHERE (%(source)s = '' OR source = %(source)s) AND (%(user)s = '' OR user_name = %(user)s)
        AND (%(practice)s = '' OR practice = %(practice)s) AND (%(ended)s OR ended_at IS NULL)
    ORDER BY number"""


class PostgresEntitlements:
    """The port `Entitlements` over the schema of `infra/postgres`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def grant(self, entitlements: Sequence[Entitlement]) -> None:
        with connection(self._dsn, RegistryUnavailable) as opened:
            for each in entitlements:
                given = {
                    "source": each.source,
                    "user": each.user,
                    "practice": each.practice,
                    "role": each.role.value,
                    "begins": each.begins,
                    "until": each.until,
                    "granted_by": each.granted_by,
                    "granted_at": each.granted_at,
                    "reason": each.reason,
                    "replaced": REPLACED,
                }
                opened.execute(_REPLACE, given)
                opened.execute(_GRANT, given)

    def end(self, source: str, user: str, practices: Collection[str], roles: Collection[WarehouseRole], how: Ended) -> int:
        given = {
            "source": source,
            "user": user,
            "practices": sorted(practices),
            "roles": sorted(role.value for role in roles),
            "by": how.by,
            "at": how.at,
            "reason": how.reason,
        }
        with connection(self._dsn, RegistryUnavailable) as opened:
            return opened.execute(_END, given).rowcount

    def find(self, *, source: str = "", user: str = "", practice: str = "", ended: bool = False) -> list[Entitlement]:
        given = {"source": source, "user": user, "practice": practice, "ended": ended}
        with connection(self._dsn, RegistryUnavailable) as opened:
            return [_entitlement(*row) for row in opened.execute(_FIND, given).fetchall()]


def _entitlement(source: str, user: str, practice: str, role: str, begins: datetime, until: datetime, *rest: Any) -> Entitlement:
    """A row of `_FIND`."""
    granted_by, granted_at, reason, *ended = rest
    return Entitlement(
        source=source,
        user=user,
        practice=practice,
        role=WarehouseRole(role),
        begins=begins,
        until=until,
        granted_by=granted_by,
        granted_at=granted_at,
        reason=reason,
        ended=None if ended[1] is None else Ended(by=ended[0], at=ended[1], reason=ended[2]),
    )
