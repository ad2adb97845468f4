"""Entitlements: who may see which practice in the warehouse, and who could."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from wardlake.model.entitlements import Ended, Entitlement, WarehouseRole


class Entitlements(Protocol):
    """Entitlements of all sources; none is ever removed.

    Every method raises `RegistryUnavailable` where the store does not answer or refuses.
    """

    def grant(self, entitlements: Sequence[Entitlement]) -> None:
        """Keep them, all or none. One that is open for the same user, practice and role ends, replaced."""
        ...

    def end(self, source: str, user: str, practices: Collection[str], roles: Collection[WarehouseRole], how: Ended) -> int:
        """End a user's open entitlements to these practices in these roles, of administrators too where `practices` holds an
        empty name; returns how many."""
        ...

    def find(self, *, source: str = "", user: str = "", practice: str = "", ended: bool = False) -> list[Entitlement]:
        """Open entitlements, with `ended` also those that have ended, oldest first; empty: any source, user or practice."""
        ...
