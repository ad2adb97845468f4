"""Whether the output's keys join as the source's do: pure comparison of two measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardlake.model.errors import BrokenReferences
from wardlake.publish.references.measure import ReferenceMeasure

# Everything a key's replacement must keep. Null keys, orphans and the three numbers of the join's cardinality are the
# promise; the rest says where a difference comes from.
_KEPT = (
    "child_rows",
    "null_keys",
    "orphan_rows",
    "distinct_keys",
    "matched_parents",
    "parent_rows",
    "distinct_parents",
    "rows_per_parent_min",
    "rows_per_parent_max",
    "rows_per_parent_squares",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenReference:
    """One foreign key that does not join as it did: what was counted in the source and in the output, where they differ."""

    reference: str
    source: Mapping[str, int]
    output: Mapping[str, int]

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {self.source.get(name, 0)} became {self.output.get(name, 0)}" for name in self.output)
        return f"{self.reference}: {counts}" if counts else f"{self.reference}: not measured on both sides"


def compare_references(source: Sequence[ReferenceMeasure], output: Sequence[ReferenceMeasure]) -> list[BrokenReference]:
    """Every reference whose counts differ, or that was measured on one side only; empty where the output holds.

    For a sampled refresh, `source` is measured on the sampled source.
    """
    before, after = {m.name: m for m in source}, {m.name: m for m in output}
    broken = []
    for name in [*before, *(after.keys() - before.keys())]:
        if name not in before or name not in after:
            broken.append(BrokenReference(reference=name, source={}, output={}))
            continue
        differing = [count for count in _KEPT if getattr(before[name], count) != getattr(after[name], count)]
        if differing:
            broken.append(
                BrokenReference(
                    reference=name,
                    source={count: getattr(before[name], count) for count in differing},
                    output={count: getattr(after[name], count) for count in differing},
                )
            )
    return broken


def require_references(source: Sequence[ReferenceMeasure], output: Sequence[ReferenceMeasure]) -> None:
    """Raise `BrokenReferences`, naming each key and its counts, unless the output joins as the source does."""
    broken = compare_references(source, output)
    if broken:
        raise BrokenReferences(
            f"{len(broken)} of {len(source)} references of the output do not join as those of the source do.",
            which=[str(one) for one in broken],
            next_step="Give both ends of each key the same token domain and rule in conf/classification/, then run again.",
        )
