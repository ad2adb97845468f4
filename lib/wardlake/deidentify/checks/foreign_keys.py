"""Foreign keys under de-identification: both ends treated alike, and an order in which parents come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wardlake.deidentify.checks.profiles import Complaint
from wardlake.model.sources import Reference, SourceSpec, TableSpec
from wardlake.model.treatments import (
    Classification,
    Decision,
    FormatToken,
    Generalise,
    Token,
    Verdict,
)


def check_references(source: SourceSpec, classification: Classification) -> list[Complaint]:
    """Every declared key whose two ends would not join as they did, as (table, column, message).

    Both columns of each pair must be safe, or have the same rule with the same domain and parameters, one that keeps
    different values different; or the key is given up on the child's side by blocking or emptying it.
    """
    return [
        (table.name, column, message)
        for table, reference in source.references()
        for column, target in zip(reference.columns, reference.to, strict=False)
        for message in _check_pair(source, classification, table, reference, column=column, target=target)
    ]


def order_tables(source: SourceSpec) -> list[list[str]]:
    """Tables in groups: every table comes after those it refers to; tables that refer to each other share a group.

    Pure and stable: strongly connected components by Tarjan's algorithm (1972), in the source's own order where free.
    """
    parents = {
        name: sorted({r.table for r in table.references if r.table in source.tables and r.table != name})
        for name, table in source.tables.items()
    }
    position = {name: place for place, name in enumerate(source.tables)}
    return [sorted(group, key=position.__getitem__) for group in _components(parents)]


def table_levels(source: SourceSpec) -> list[list[str]]:
    """Tables that may be worked on at once: a level's parents are all in the levels before it, or in a circle with it."""
    level: dict[str, int] = {}
    for group in order_tables(source):
        parents = {r.table for name in group for r in source.tables[name].references} - set(group)
        level |= dict.fromkeys(group, 1 + max((level[parent] for parent in parents if parent in level), default=-1))
    return [[name for name, place in level.items() if place == number] for number in range(max(level.values(), default=-1) + 1)]


def _check_pair(
    source: SourceSpec, classification: Classification, table: TableSpec, reference: Reference, *, column: str, target: str
) -> Iterator[str]:
    named = f"reference to {reference.table}.{target}"
    if reference.table not in source.tables:
        yield f"{named}: source {source.name} has no table {reference.table}"
        return
    if len(reference.columns) != len(reference.to):
        yield f"{named}: {len(reference.columns)} columns refer to {len(reference.to)}"
        return
    child, parent = _decision(classification, table.name, column), _decision(classification, reference.table, target)
    if child is None or parent is None:
        return  # unclassified columns are the gate's to halt on
    if child.verdict is Verdict.BLOCKED or _is_emptied(child):
        return
    if parent.verdict is Verdict.BLOCKED or _is_emptied(parent):
        yield f"{named}: the parent's column is not in the output, so this one could join nothing"
    elif child.verdict is not parent.verdict or child.rule != parent.rule:
        yield f"{named}: both ends must have the same decision, here {_told(child)} and there {_told(parent)}"
    elif child.rule is not None and not isinstance(child.rule, Token | FormatToken | Generalise):
        yield f"{named}: rule {child.rule.rule} does not keep keys apart; use token"
    elif isinstance(child.rule, Generalise) and len(set(child.rule.to.values())) < len(child.rule.to):
        yield f"{named}: rule generalise makes different keys equal; use token"


def _decision(classification: Classification, table: str, column: str) -> Decision | None:
    return classification.tables.get(table, {}).get(column)


def _is_emptied(decision: Decision) -> bool:
    return decision.rule is not None and decision.rule.rule in ("drop", "null")


def _told(decision: Decision) -> str:
    rule = decision.rule
    match rule:
        case None:
            return decision.verdict.value
        case Token():
            prefix = f" with prefix {rule.prefix}" if rule.prefix else ""
            return f"token in domain {rule.domain}{prefix}"
        case FormatToken():
            return f"format_token in domain {rule.domain}"
        case _:
            return rule.rule


@dataclass(slots=True)
class _Walk:
    """Tarjan's walk: when each name was first seen, the earliest it can reach, and what is still open."""

    seen: dict[str, int] = field(default_factory=dict)
    reach: dict[str, int] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)

    def enter(self, name: str) -> None:
        self.seen[name] = self.reach[name] = len(self.seen)
        self.open.append(name)

    def leave(self, name: str) -> None:
        if self.reach[name] == self.seen[name]:
            at = self.open.index(name)
            self.groups.append(self.open[at:])
            del self.open[at:]


def _components(parents: Mapping[str, list[str]]) -> list[list[str]]:
    """Strongly connected components, each after all that it points to."""
    walk = _Walk()
    for name in parents:
        if name not in walk.seen:
            _visit(name, parents, walk)
    return walk.groups


def _visit(name: str, parents: Mapping[str, list[str]], walk: _Walk) -> None:
    walk.enter(name)
    for parent in parents[name]:
        if parent not in walk.seen:
            _visit(parent, parents, walk)
            walk.reach[name] = min(walk.reach[name], walk.reach[parent])
        elif parent in walk.open:
            walk.reach[name] = min(walk.reach[name], walk.seen[parent])
    walk.leave(name)
