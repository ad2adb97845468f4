"""The file of groups: one line a group, its users by name. Nothing that it holds can be taken for another line or name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from wardlake.model.entitlements import user_name_problem
from wardlake.model.errors import ContractBroken

_GROUP = re.compile(r"[a-z0-9_]+")


def write_groups(groups: Mapping[str, tuple[str, ...]]) -> bytes:
    """The file, from each user's groups; raises `ContractBroken` for a user's name that cannot stand in it."""
    unfit = [user for user in groups if user_name_problem(user)]
    if unfit:
        raise ContractBroken("Users have names that cannot stand in the warehouse's file of groups.", which=_shown(unfit))
    users: dict[str, list[str]] = defaultdict(list)
    for user, names in groups.items():
        for name in names:
            users[name].append(user)
    return "".join(f"{name}:{','.join(sorted(users[name]))}\n" for name in sorted(users)).encode("ascii")


def _shown(names: list[str]) -> list[str]:
    """Names as they can be printed on one line."""
    return [ascii(name) for name in names]


def read_groups(text: bytes) -> dict[str, tuple[str, ...]]:
    """Each user's groups. Lines that `write_groups` does not write are left out: nobody is in such a group."""
    groups: dict[str, list[str]] = defaultdict(list)
    for line in text.decode("utf-8", "replace").splitlines():
        name, _, users = line.partition(":")
        if _GROUP.fullmatch(name):
            for user in users.split(","):
                if not user_name_problem(user):
                    groups[user].append(name)
    return {user: tuple(sorted(set(names))) for user, names in groups.items()}


def keep_common(before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Each user's groups that stand in both: it closes what was revoked and opens nothing."""
    kept = {user: tuple(name for name in names if name in after.get(user, ())) for user, names in before.items()}
    return {user: names for user, names in kept.items() if names}
