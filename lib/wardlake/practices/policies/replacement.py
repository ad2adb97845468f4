"""One version of the files in place of another, a file at a time, so that no moment between is more open than both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardlake.practices.policies.groups import keep_common, read_groups, write_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """`closing`: the groups that go first, or None where nobody loses one; `closed` and `opened`: users who lose or gain one."""

    closing: bytes | None
    closed: tuple[str, ...]
    opened: tuple[str, ...]


def plan_replacement(before: bytes, after: Mapping[str, tuple[str, ...]]) -> Replacement:
    """First whoever loses a group leaves it, then the rules change, then whoever gains one comes into it.

    A group's name follows from what it reaches, so rules of one version with groups of another let nobody see more.
    """
    known = read_groups(before)
    common = keep_common(known, after)
    closed = tuple(sorted(user for user in known if common.get(user, ()) != known[user]))
    opened = tuple(sorted(user for user in after if common.get(user, ()) != after[user]))
    is_ours = write_groups(known) == before
    return Replacement(closing=None if is_ours and not closed else write_groups(common), closed=closed, opened=opened)
