"""Evidence about columns and findings about output: rates and masked shapes, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wardlake.model.treatments import IdentifierKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEvidence:
    """What is known of one column path of a table, without any value of it.

    Rates are shares of the non-null cells scanned (0 to 1). `shapes` are the commonest masked shapes (letters `a`, digits `9`,
    punctuation kept, at most 24 characters) with their share, only those that at least `min_shape_rows` cells have.
    """

    table: str
    path: str
    type: str
    rows: int
    nulls: int
    distinct_estimate: int
    content: Mapping[IdentifierKind, float] = field(default_factory=dict)
    hits: Mapping[IdentifierKind, int] = field(default_factory=dict)
    names: tuple[IdentifierKind, ...] = ()  # what the column's name speaks for
    denied_name: bool = False  # the name is on the deny list
    allowed_name: bool = False
    shapes: tuple[tuple[str, float], ...] = ()
    sampled: bool = False
    scanned: bool = True  # false where the type cannot be looked into, such as binary
    json_cells: int = 0  # cells that hold a JSON document: what is in them stands at the JSON paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Identifiers found in an output column: how many cells, of which kind, by which detector. No value."""

    table: str
    column: str
    kind: IdentifierKind
    detector: str  # `pattern`, `dictionary`, `known-value`, `linkage`
    cells: int
    severity: str = "finding"  # `finding` stops the run, `notice` is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecall:
    """How many planted identifiers of one kind the scan found, with the one-sided 95 % Clopper-Pearson lower bound."""

    kind: IdentifierKind
    planted: int
    found: int
    lower_bound: float
    floor: float
    enforced: bool = True

    @property
    def passed(self) -> bool:
        return not self.enforced or self.lower_bound >= self.floor
