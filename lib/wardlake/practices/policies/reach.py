"""What each user of the warehouse may reach: one group for each distinct reach, whoever has it."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wardlake.model.entitlements import Entitlement, WarehouseRole

ADMINISTRATORS = "wardlake_administrators"
REGISTRAR = "wardlake_registrar"
REACHES = "wardlake_reach_"  # and 32 hex digits
_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Practices of one source by role, both sorted. No practice stands in two of the same role, no role without one."""

    source: str
    practices: tuple[tuple[WarehouseRole, tuple[str, ...]], ...]

    @property
    def group(self) -> str:
        """A name that follows from what is reached: whatever rules and groups are read together, it never stands for more."""
        content = json.dumps([self.source, [[role.value, names] for role, names in self.practices]])
        return f"{REACHES}{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"

    def of(self, roles: Collection[WarehouseRole]) -> tuple[str, ...]:
        """The practices that are reached in any of these roles, sorted."""
        return tuple(sorted({name for role, names in self.practices if role in roles for name in names}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Reaches by the name of their group, the groups of each user, and those who see no practice's rows.

    `registrar`: the user who registers marts.
    """

    registrar: str
    reaches: Mapping[str, Reach] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def compile_policy(entitlements: Iterable[Entitlement], *, registrar: str, at: datetime) -> Policy:
    """Who may reach what at that moment.

    An administrator, and the registrar, is in no other group, whatever else was granted: nobody keeps the warehouse going and
    sees rows.
    """
    held = [each for each in entitlements if each.holds(at)]
    apart = {each.user for each in held if each.role is WarehouseRole.ADMINISTRATOR} | {registrar}
    found: dict[tuple[str, str], dict[WarehouseRole, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in held:
        if each.user not in apart:
            found[each.user, each.source][each.role].add(each.practice)
    reaches: dict[str, Reach] = {}
    groups: dict[str, list[str]] = defaultdict(list)
    for (user, source), by_role in sorted(found.items()):
        reach = Reach(source=source, practices=tuple(sorted((role, tuple(sorted(names))) for role, names in by_role.items())))
        reaches[reach.group] = reach
        groups[user].append(reach.group)
    groups |= {user: [ADMINISTRATORS] for user in apart - {registrar}} | {registrar: [REGISTRAR]}
    return Policy(
        registrar=registrar,
        reaches=dict(sorted(reaches.items())),
        groups={user: tuple(sorted(names)) for user, names in sorted(groups.items())},
    )
