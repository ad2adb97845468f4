"""Review: a person decides what a column is; a second one where the evidence speaks against it. Recorded before it counts.

`source` is everywhere the name of the classification, so that two profiles of one source are reviewed apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wardlake.audit.names import short_place
from wardlake.classify.gate import Approval, evidence_against, hash_decision
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import ContractBroken, NotAllowed
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.identifiers import ColumnPath
from wardlake.model.identity import Identity, Role
from wardlake.model.treatments import Decision, IdentifierKind, Verdict
from wardlake.ports.registry import Registry

REQUESTS, REVIEWS = "classification_requests", "classification_reviews"
DECIDED, WAITING, APPROVED = "decided", "waiting", "approved"

Record = Callable[[AuditEvent], object]
Write = Callable[[Decision], object]

_REVIEWERS = frozenset({Role.STEWARD, Role.COMPLIANCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One person's decision on a column. `state` is `decided`, or `waiting` for a second person, or `approved` by one."""

    source: str
    column: ColumnPath
    decision_hash: str
    kinds: tuple[str, ...]
    state: str


def request_review(registry: Registry, *, source: str, run_id: str, evidence: ColumnEvidence, at: str) -> None:
    """Ask for a decision on a column, with what is known of it: rates and masked shapes."""
    document = {"source": source, "run_id": run_id, "at": at, "evidence": describe_evidence(evidence)}
    registry.put(REQUESTS, _key(source, evidence.table, evidence.path), document)


def open_requests(registry: Registry, source: str = "") -> list[Mapping[str, Any]]:
    """Requests of a source, or of all, that nobody has answered, in column order."""
    return [document for _, document in registry.find(REQUESTS, f"{source}/" if source else "")]


def waiting_reviews(registry: Registry, source: str = "") -> list[Mapping[str, Any]]:
    """Reviews of a source, or of all, that wait for a second person; a later review of the same column replaces an earlier."""
    newest: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for document in sorted((each for _, each in registry.find(REVIEWS, f"{source}/" if source else "")), key=_time_of):
        newest[(document["source"], document["table"], document["path"])] = document
    return [document for document in newest.values() if document["state"] == WAITING]


def _time_of(document: Mapping[str, Any]) -> str:
    return str(document["at"])


def review(
    registry: Registry,
    *,
    identity: Identity,
    source: str,
    column: ColumnPath,
    decision: Decision,
    at: str,
    record: Record,
    evidence: ColumnEvidence | None = None,
    write: Write = lambda _: None,
) -> Review:
    """Record a steward's or compliance officer's decision; `record` is called before anything is stored.

    `write` is given a decision that needs nobody else, before the request is answered: a killed review is given again.

    What speaks against `safe` is taken from `evidence`, else from the open request. Raises `NotAllowed` for other roles,
    `ContractBroken` without a reason, or where `safe` is said of a column that nobody has looked into.
    """
    _require_reviewer(identity)
    if not decision.reason.strip():
        raise ContractBroken("A review needs a reason.", which=[str(column)], next_step="say why with --reason")
    kinds = _kinds_against(registry, source, column, decision, evidence)
    state = WAITING if kinds else DECIDED
    outcome = Review(source=source, column=column, decision_hash=hash_decision(decision), kinds=kinds, state=state)
    record(_event(AuditKind.CLASSIFICATION_REVIEWED, identity, outcome, at, decision=decision))
    if state == DECIDED:
        write(decision)
    registry.put(REVIEWS, _review_key(outcome), _document(outcome, identity, decision, at))
    registry.delete(REQUESTS, _key(source, column.table, column.path))
    return outcome


def approve(
    registry: Registry,
    *,
    identity: Identity,
    source: str,
    column: ColumnPath,
    at: str,
    record: Record,
    check: Callable[[Decision], object] = lambda _: None,
    write: Write = lambda _: None,
) -> Decision:
    """A second person confirms the waiting review of a column; returns the decision that now stands.

    `check` may refuse that decision, then `record` is called, then `write`, then the state changes: a killed approval is given
    again. Raises `NotAllowed` for the reviewer's
    own credential or name, for other roles, and without a second factor in production; `ContractBroken` where no review waits.
    """
    _require_reviewer(identity)
    if identity.production and not identity.second_factor:
        raise NotAllowed("An approval needs a second factor.", which=[str(column)], next_step="give --code")
    key, waiting = _waiting_review(registry, source, column)
    if waiting["reviewer"] == identity.credential or waiting["reviewer_subject"] == identity.subject:
        raise NotAllowed(
            "The second person must be another one than the reviewer.",
            which=[str(column)],
            next_step="ask a colleague with a credential of their own",
        )
    decision = _decision_of(waiting)
    check(decision)
    confirmed = {**waiting, "state": APPROVED, "approver": identity.credential, "approved_at": at}
    outcome = _review_of(confirmed)
    record(_event(AuditKind.CLASSIFICATION_APPROVED, identity, outcome, at))
    write(decision)
    if not registry.replace(REVIEWS, key, waiting, confirmed):
        raise ContractBroken("The review changed meanwhile.", which=[str(column)], next_step="look at it again")
    registry.delete(REQUESTS, _key(source, column.table, column.path))  # a run that halted meanwhile asked again
    return decision


def load_approvals(registry: Registry, source: str) -> list[Approval]:
    """Every approval of a source, as the gate takes them."""
    reviews = (document for _, document in registry.find(REVIEWS, f"{source}/"))
    return [_approval_of(document) for document in reviews if document["state"] == APPROVED]


def describe_evidence(evidence: ColumnEvidence) -> dict[str, Any]:
    """Evidence as plain JSON data: names, counts, rates, masked shapes."""
    return {
        "table": evidence.table,
        "path": evidence.path,
        "type": evidence.type,
        "rows": evidence.rows,
        "nulls": evidence.nulls,
        "distinct_estimate": evidence.distinct_estimate,
        "content": {kind.value: round(rate, 6) for kind, rate in evidence.content.items()},
        "hits": {kind.value: hits for kind, hits in evidence.hits.items()},
        "names": [kind.value for kind in evidence.names],
        "denied_name": evidence.denied_name,
        "allowed_name": evidence.allowed_name,
        "shapes": [[shape, round(share, 4)] for shape, share in evidence.shapes],
        "sampled": evidence.sampled,
        "scanned": evidence.scanned,
        "json_cells": evidence.json_cells,
        "against_safe": list(evidence_against(evidence)),
    }


def _require_reviewer(identity: Identity) -> None:
    if not identity.roles & _REVIEWERS:
        raise NotAllowed(
            "Reviewing a column takes the role steward or compliance.", which=[identity.subject], next_step="ask a steward"
        )


def _kinds_against(
    registry: Registry, source: str, column: ColumnPath, decision: Decision, evidence: ColumnEvidence | None
) -> tuple[str, ...]:
    if decision.verdict is not Verdict.SAFE:
        return ()
    if evidence is not None:
        return evidence_against(evidence)
    request = registry.get(REQUESTS, _key(source, column.table, column.path))
    if request is None:
        raise ContractBroken(
            "No evidence on this column is at hand, so it cannot be called safe.",
            which=[str(column)],
            next_step=f"wardlake classify check --source {source}",
        )
    return tuple(request["evidence"]["against_safe"])


def _waiting_review(registry: Registry, source: str, column: ColumnPath) -> tuple[str, Mapping[str, Any]]:
    prefix = f"{_key(source, column.table, column.path)}@"
    waiting = [(key, document) for key, document in registry.find(REVIEWS, prefix) if document["state"] == WAITING]
    if not waiting:
        raise ContractBroken("No review of this column waits for a second person.", which=[str(column)])
    return max(waiting, key=lambda item: str(item[1]["at"]))


def _document(outcome: Review, identity: Identity, decision: Decision, at: str) -> dict[str, Any]:
    return {
        "source": outcome.source,
        "table": outcome.column.table,
        "path": outcome.column.path,
        "decision_hash": outcome.decision_hash,
        "verdict": decision.verdict.value,
        "kind": decision.kind.value if decision.kind else "",
        "kinds": list(outcome.kinds),
        "state": outcome.state,
        "reason": decision.reason,
        "reviewer": identity.credential,
        "reviewer_subject": identity.subject,
        "at": at,
    }


def _review_of(document: Mapping[str, Any]) -> Review:
    return Review(
        source=document["source"],
        column=ColumnPath(document["table"], document["path"]),
        decision_hash=document["decision_hash"],
        kinds=tuple(document["kinds"]),
        state=document["state"],
    )


def _decision_of(document: Mapping[str, Any]) -> Decision:
    """The decision that waits; only a `safe` one does, so it has no rule."""
    kind = IdentifierKind(document["kind"]) if document["kind"] else None
    return Decision(verdict=Verdict(document["verdict"]), kind=kind, reason=document["reason"])


def _approval_of(document: Mapping[str, Any]) -> Approval:
    return Approval(
        source=document["source"],
        table=document["table"],
        path=document["path"],
        decision_hash=document["decision_hash"],
        kinds=frozenset(document["kinds"]),
        reviewer=document["reviewer"],
        approver=document["approver"],
    )


def _event(kind: AuditKind, identity: Identity, outcome: Review, at: str, *, decision: Decision | None = None) -> AuditEvent:
    details: dict[str, Any] = {
        "source": outcome.source,
        "column": short_place(outcome.column.table, outcome.column.path),
        "decision_hash": outcome.decision_hash,
        "against_safe": list(outcome.kinds),
        "state": outcome.state,
    }
    if decision is not None:
        rule = asdict(decision.rule) if decision.rule is not None else None
        details |= {"verdict": decision.verdict.value, "rule": rule["rule"] if rule else None}
        details["reason_sha256"] = hashlib.sha256(decision.reason.encode()).hexdigest()  # words stand in the reviewed file
    return AuditEvent(kind=kind, actor=identity.subject, at=at, details=details)


def _key(source: str, table: str, path: str) -> str:
    return f"{source}/{table}.{path}"


def _review_key(outcome: Review) -> str:
    return f"{_key(outcome.source, outcome.column.table, outcome.column.path)}@{outcome.decision_hash[:16]}"


def request_reviews(registry: Registry, *, source: str, run_id: str, evidence: Iterable[ColumnEvidence], at: str) -> None:
    """One request per column that the gate stopped at; those of columns that it no longer stops at are withdrawn."""
    rows = list(evidence)
    stopped = {_key(source, row.table, row.path) for row in rows}
    for key, _ in registry.find(REQUESTS, f"{source}/"):
        if key not in stopped:
            registry.delete(REQUESTS, key)
    for row in rows:
        request_review(registry, source=source, run_id=run_id, evidence=row, at=at)
