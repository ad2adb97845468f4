"""The gate: every column path has a decision, and no content speaks against a decision of `safe`. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from wardlake.model.evidence import ColumnEvidence
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Verdict

# What a decision on a struct, array or map does to all that lies inside it; on a JSON text column every rule that replaces
# the whole text does.
_REMOVES = frozenset({"drop", "null"})
_KEEPS_A_PART = frozenset({"embedded_tokens"})

Decisions = Mapping[str, Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Two people's word that a `safe` decision stands although evidence speaks against it.

    It covers one decision on one column path of a classification, and the kinds of evidence that both saw.
    """

    source: str  # the classification's name, by default its source's: two profiles of one source are approved apart
    table: str
    path: str
    decision_hash: str
    kinds: frozenset[str]
    reviewer: str  # credential
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A column path without a decision."""

    table: str
    path: str
    evidence: ColumnEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A column path called safe whose name or content says otherwise. `against` are kinds, `name`, or `not-scanned`."""

    table: str
    path: str
    against: tuple[str, ...]
    evidence: ColumnEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What the gate found.

    `unknown` are decisions (`table.path`) on what is not there: reported, no halt. They are on nested fields and JSON paths,
    which may be absent; a snapshot without a column that was decided on is refused.
    """

    gaps: tuple[Gap, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.gaps and not self.contradictions

    def lines(self) -> list[str]:
        """One line per finding, for errors and pages: names, kinds and rates."""
        gaps = [f"{g.table}.{g.path}: no decision{_describe(g.evidence)}" for g in self.gaps]
        against = [
            f"{c.table}.{c.path}: called safe, against it: {', '.join(c.against)}{_describe(c.evidence)}"
            for c in self.contradictions
        ]
        return [*gaps, *against]


def check_decisions(
    evidence: Sequence[ColumnEvidence], classification: Classification, approvals: Sequence[Approval] = (), *, name: str = ""
) -> GateResult:
    """Hold all columns of a source against its classification.

    `evidence` has a row for every column path of every table. A decision on a container covers what lies inside only where
    it removes or replaces the whole; `safe` never does, so that a new field inside halts the run. `name` is the
    classification's, which approvals are given under; empty: its source's.
    """
    named = name or classification.source
    gaps, contradictions = [], []
    for row in evidence:
        decisions = classification.tables.get(row.table, {})
        decision = find_decision(row.path, decisions)
        if decision is None:
            if not _is_taken_apart(row, decisions):
                gaps.append(Gap(table=row.table, path=row.path, evidence=row))
        elif decision.verdict is Verdict.SAFE:
            against = evidence_against(row)
            if against and not _is_approved(row, decision, against, named, approvals):
                contradictions.append(Contradiction(table=row.table, path=row.path, against=against, evidence=row))
    return GateResult(gaps=tuple(gaps), contradictions=tuple(contradictions), unknown=tuple(_unknown(evidence, classification)))


def find_decision(path: str, decisions: Decisions) -> Decision | None:
    """The decision on a path: its own, or that of a container which removes or replaces all inside."""
    if path in decisions:
        return decisions[path]
    for container in _containers(path):
        decision = decisions.get(container)
        if decision is not None and _covers(container, path, decision):
            return decision
    return None


def evidence_against(row: ColumnEvidence) -> tuple[str, ...]:
    """What speaks against calling a column safe: kinds in its content or name, or that it could not be looked into."""
    kinds = {kind.value for kind in row.content} | {kind.value for kind in row.names}
    ordered = [kind.value for kind in IdentifierKind if kind.value in kinds]
    return tuple(ordered if row.scanned else [*ordered, "not-scanned"])


def hash_decision(decision: Decision) -> str:
    """A decision's identity: verdict, rule and kind; the reason may be reworded."""
    rule = asdict(decision.rule) if decision.rule is not None else None
    plain = {"verdict": decision.verdict, "rule": rule, "kind": decision.kind}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _is_approved(
    row: ColumnEvidence, decision: Decision, against: tuple[str, ...], name: str, approvals: Sequence[Approval]
) -> bool:
    return any(
        (a.source, a.table, a.path) == (name, row.table, row.path)
        and a.decision_hash == hash_decision(decision)
        and a.kinds.issuperset(against)
        and a.reviewer != a.approver
        for a in approvals
    )


def _is_taken_apart(row: ColumnEvidence, decisions: Decisions) -> bool:
    """A JSON text column that holds documents only, and whose paths are decided one by one."""
    only_documents = row.json_cells == row.rows - row.nulls
    return only_documents and any(path.startswith(f"{row.path}$") for path in decisions)


def _covers(container: str, path: str, decision: Decision) -> bool:
    match decision.verdict:
        case Verdict.BLOCKED:
            return True
        case Verdict.SAFE:
            return False
        case Verdict.SENSITIVE:
            rule = decision.rule.rule if decision.rule is not None else ""
            if path.startswith(f"{container}$") and "$" not in container:
                return rule not in _KEEPS_A_PART
            return rule in _REMOVES
    raise ValueError(f"unknown verdict {decision.verdict}")


def _containers(path: str) -> Iterator[str]:
    """Every container of a path, innermost first: `a.b[].c$.d` gives `a.b[].c`, `a.b[]`, `a.b`, `a`."""
    for end in range(len(path) - 1, 0, -1):
        if path[end] in ".[$":
            yield path[:end]


def _unknown(evidence: Sequence[ColumnEvidence], classification: Classification) -> Iterator[str]:
    known: dict[str, set[str]] = {}
    for row in evidence:
        known.setdefault(row.table, set()).update([row.path, *_containers(row.path)])
    for table, decisions in classification.tables.items():
        for path in decisions:
            if path not in known.get(table, set()):
                yield f"{table}.{path}"


def _describe(evidence: ColumnEvidence) -> str:
    rates = [f"{kind.value} in {rate:.2%} of {evidence.rows - evidence.nulls} cells" for kind, rate in evidence.content.items()]
    names = [f"named like {kind.value}" for kind in evidence.names]
    parts = [*rates, *names, *([] if evidence.scanned else [f"type {evidence.type} cannot be looked into"])]
    return f" ({'; '.join(parts)})" if parts else ""
