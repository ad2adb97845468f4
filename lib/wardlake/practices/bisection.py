"""Finding who of a group is at fault, when the group as a whole fails. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from wardlake.model.errors import WardlakeError

Member = TypeVar("Member")


def bisect(
    members: Sequence[Member], attempt: Callable[[Sequence[Member]], None], blameless: tuple[type[WardlakeError], ...]
) -> Iterator[tuple[Member, WardlakeError]]:
    """Attempt the group; where it fails, its halves, down to the members that fail alone: these are yielded, with their error.

    For one bad member of n it takes at most 1 + 2 log2(n) attempts more. Errors of `blameless` types are nobody's fault: they
    are raised. What succeeded before stays done.
    """
    if not members:
        return
    try:
        attempt(members)
    except blameless:
        raise
    except WardlakeError as problem:
        if len(members) == 1:
            yield members[0], problem
            return
        middle = len(members) // 2
        yield from bisect(members[:middle], attempt, blameless)
        yield from bisect(members[middle:], attempt, blameless)
