"""`wardlake classify requests`: which columns wait for a person, what is known of them, and what that person does next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wardlake.classify.review import open_requests, waiting_reviews
from wardlake.pipelines.ports_in_hand import PortsInHand

OPEN, WAITING = "open", "waiting"
_REVIEW = "--as safe|sensitive|blocked --reason TEXT"


def list_requests(ports: PortsInHand, source: str = "") -> dict[str, Any]:
    """Every column that waits for a decision or for a second person, of one classification or of all; rates and shapes only.

    A run that halts while a review waits asks again: that is listed where it has evidence that the reviewer did not see.
    """
    waiting = [_waiting(document) for document in waiting_reviews(ports.registry, source)]
    seen = {(each["source"], each["column"]): set(each["evidence"]["against_safe"]) for each in waiting}
    asked = [each for each in map(_open, open_requests(ports.registry, source)) if not _is_seen(each, seen)]
    return {"requests": sorted([*asked, *waiting], key=lambda each: (each["source"], each["column"]))}


def describe_requests(found: Mapping[str, Any]) -> str:
    """What the command says to people."""
    return "\n".join(line for each in found["requests"] for line in _lines(each)) or "no column waits for a decision"


def _is_seen(asked: Mapping[str, Any], seen: Mapping[tuple[str, str], set[str]]) -> bool:
    """Whether a waiting review knew all that speaks against the column."""
    known = seen.get((asked["source"], asked["column"]))
    return known is not None and set(asked["evidence"]["against_safe"]) <= known


def _open(document: Mapping[str, Any]) -> dict[str, Any]:
    evidence = document["evidence"]
    column = f"{evidence['table']}.{evidence['path']}"
    return {
        "source": document["source"],
        "column": column,
        "state": OPEN,
        "since": document["at"],
        "run_id": document["run_id"],
        "evidence": evidence,
        "decided_by": None,
        "next": f"wardlake classify review --source {document['source']} --column '{column}' {_REVIEW}",
    }


def _waiting(document: Mapping[str, Any]) -> dict[str, Any]:
    column = f"{document['table']}.{document['path']}"
    return {
        "source": document["source"],
        "column": column,
        "state": WAITING,
        "since": document["at"],
        "verdict": document["verdict"],
        "reason": document["reason"],
        "evidence": {"against_safe": document["kinds"]},
        "decided_by": document["reviewer_subject"],
        "next": f"another person: wardlake classify approve --source {document['source']} --column '{column}'",
    }


def _lines(each: Mapping[str, Any]) -> Iterator[str]:
    since = f"since {each['since'][:16]}"
    if each["state"] == OPEN:
        yield f"{each['source']}  {each['column']}: undecided {since}, run {each['run_id']}"
    else:
        yield f"{each['source']}  {each['column']}: called {each['verdict']} by {each['decided_by']} {since}: {each['reason']}"
    yield f"    {'; '.join(_evidence(each['evidence'])) or 'nothing speaks against it'}"
    yield f"    next: {each['next']}"


def _evidence(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Rates and masked shapes in words."""
    if "content" not in evidence:
        yield f"against it: {', '.join(evidence['against_safe'])}"
        return
    cells = evidence["rows"] - evidence["nulls"]
    yield f"{evidence['type']}, {evidence['rows']:,} rows, {evidence['nulls']:,} null"
    yield f"about {evidence['distinct_estimate']:,} distinct"
    for kind, rate in evidence["content"].items():
        yield f"{kind} in {rate:.2%} of {cells:,} cells"
    for kind in evidence["names"]:
        yield f"named like {kind}"
    for shape, share in evidence["shapes"]:
        yield f"shaped `{shape}` {share:.0%}"
    if not evidence["scanned"]:
        yield "its content cannot be looked into"
