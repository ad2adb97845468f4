"""Who may see what in the warehouse: roles of analysts, and entitlements of a user to a practice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


class WarehouseRole(StrEnum):
    """What a user of the warehouse sees of a practice. An administrator keeps the warehouse going and sees no practice's rows."""

    MANAGER = "manager"
    CLINICIAN = "clinician"
    BILLING = "billing"
    ADMINISTRATOR = "administrator"


def user_name_problem(user: str) -> str:
    """Why a name cannot stand in the warehouse's files of groups, where commas and colons part names; empty where it can."""
    if USER_NAME.fullmatch(user):
        return ""
    return "a user's name has 1 to 128 letters, digits and . _ @ + - of ASCII, and begins with a letter or a digit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an entitlement came to its end before its time."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """One user's right to one practice of a source, in one role, from `begins` until just before `until`.

    An administrator's names no practice: it is empty.
    """

    source: str
    user: str
    practice: str
    role: WarehouseRole
    begins: datetime
    until: datetime
    granted_by: str
    granted_at: datetime
    reason: str
    ended: Ended | None = None

    def holds(self, at: datetime) -> bool:
        return self.ended is None and self.begins <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who sees a mart: its column that names the practice, and by role the columns that are hidden (read as null).

    A role that is not named does not see the mart.
    """

    practice: str
    hidden: Mapping[WarehouseRole, frozenset[str]]
