"""What a column holds where its decision does not say: a kind from its name, else from its content.

A column that is blocked, emptied or made coarser needs no `kind` to be treated, and its values are identifiers all the same: they
are looked for in the output as those of any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wardlake.model.evidence import ColumnEvidence
from wardlake.model.identifiers import ColumnPath
from wardlake.model.treatments import (
    Classification,
    Decision,
    EmbeddedTokens,
    FreeText,
    IdentifierKind,
    Surrogate,
    Verdict,
)
from wardlake.publish.residue.known_values.policy import KnownValuePolicy, known_kind
from wardlake.publish.residue.verdict import decision_for

NO_IDENTIFIER, CATEGORY, UNREADABLE = "no identifier by name or content", "few values, each in many cells", "cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownColumns:
    """Columns whose kind was inferred, and those that are not safe and not searched for, each with the reason."""

    inferred: Mapping[ColumnPath, IdentifierKind] = field(default_factory=dict)
    left_out: Mapping[ColumnPath, str] = field(default_factory=dict)


def infer_kinds(classification: Classification, evidence: Iterable[ColumnEvidence], policy: KnownValuePolicy) -> KnownColumns:
    """Every column path that is not `safe` and whose decision does not say what it holds, with its kind where there is one.

    The kind is the first that the name speaks for, else the one that most cells hold, if at least `policy.inferred.rate` do. A
    column of at most `categories` values that stand in `category_cells` cells each and more is no identifier of anybody.
    """
    inferred: dict[ColumnPath, IdentifierKind] = {}
    left_out: dict[ColumnPath, str] = {}
    for row in evidence:
        decision = decision_for(row.path, classification.tables.get(row.table, {}))
        if decision is None or not _is_silent(decision):
            continue
        where = ColumnPath(row.table, row.path)
        kind = kind_of_column(row, policy)
        if not row.scanned:
            left_out[where] = UNREADABLE
        elif kind is None:
            left_out[where] = NO_IDENTIFIER
        elif is_category(row, policy):
            left_out[where] = CATEGORY
        else:
            inferred[where] = kind
    return KnownColumns(inferred=inferred, left_out=left_out)


def kind_of_column(row: ColumnEvidence, policy: KnownValuePolicy) -> IdentifierKind | None:
    """What a column holds by its name, else by its content; a code made to be unique comes last, since most things are."""
    by_name = _first(row.names, policy)
    spoken = [kind for kind, rate in row.content.items() if rate >= policy.inferred.rate]
    return by_name or _first(sorted(spoken, key=lambda kind: -row.content[kind]), policy)


def is_category(row: ColumnEvidence, policy: KnownValuePolicy) -> bool:
    """Whether a column holds a few values over and over: looked for, they would be met everywhere."""
    cells, values = row.rows - row.nulls, row.distinct_estimate
    return values <= policy.inferred.categories and cells >= policy.inferred.category_cells * values


def _first(kinds: Sequence[IdentifierKind], policy: KnownValuePolicy) -> IdentifierKind | None:
    wanted = {*policy.kinds, IdentifierKind.ZIP}  # a ZIP counts beside a birth date
    known = [kind for kind in kinds if kind in wanted]
    return next((kind for kind in known if kind is not IdentifierKind.UNIQUE_CODE), known[0] if known else None)


def _is_silent(decision: Decision) -> bool:
    """Not safe, and neither a kind nor a rule that says what the column holds: texts hold many things, a surrogate's is known."""
    if decision.verdict is Verdict.SAFE or isinstance(decision.rule, FreeText | EmbeddedTokens | Surrogate):
        return False
    return decision.kind is None and known_kind(decision) is None
