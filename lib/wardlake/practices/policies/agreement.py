"""Whether the warehouse's tables and the rules are about the same things: where not, nothing more is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from wardlake.model.entitlements import Access

FOREIGN = "is registered, and no mart of ours"
UNREADABLE = "is registered, and the warehouse cannot read it"


def find_disagreements(
    source: str, access: Mapping[str, Access], built: Collection[str], registered: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Each mart or table of a source that stands against the rules, with why; names only.

    `built`: what lies in the zone of marts. `registered`: the columns of each of the warehouse's tables, whose names it has in
    small letters.
    """
    known = {name.lower(): each for name, each in access.items()}
    return sorted(
        [
            *(f"{source}.{name}: lies in the zone of marts without a policy" for name in built if name not in access),
            *(f"{source}.{name}: {why}" for name, columns in registered.items() for why in _of_table(known.get(name), columns)),
        ]
    )


def _of_table(access: Access | None, columns: Collection[str]) -> Iterator[str]:
    if access is None:
        yield FOREIGN
    elif not columns:
        yield UNREADABLE
    else:
        wanted = {access.practice}.union(*access.hidden.values())
        there = {name.lower() for name in columns}
        yield from (f"has no column {name}, which its policy is about" for name in sorted(wanted) if name.lower() not in there)


def to_register(access: Mapping[str, Access], built: Collection[str], registered: Collection[str]) -> list[str]:
    """Marts that have a policy and lie in the zone, and that the warehouse does not know."""
    return sorted(name for name in set(built) & access.keys() if name.lower() not in registered)
