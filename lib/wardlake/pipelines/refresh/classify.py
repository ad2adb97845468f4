"""The step that classifies: evidence on every column of the snapshot, held against the decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from wardlake.audit.names import short_place
from wardlake.classify.evidence import build_evidence
from wardlake.classify.gate import Contradiction, Gap, GateResult, check_decisions
from wardlake.classify.review import describe_evidence, load_approvals, request_reviews
from wardlake.detect.json_keys import JsonKeys
from wardlake.detect.scan import scan_table
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.plan import Outcome
from wardlake.model.snapshots import TableSnapshot
from wardlake.model.treatments import IdentifierKind
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import page
from wardlake.runs.tables_at_once import for_each

AT_ONCE = 2
HALTS = "classification-halts"  # the evidence on the columns that halted a run, by run


def classify(job: RefreshJob, _: Mapping[str, Outcome]) -> Outcome:
    """Halt, with nothing written to dev, unless every column has a decision that no evidence speaks against."""
    evidence = gather_evidence(job)
    result = check_decisions(evidence, job.classification, load_approvals(job.registry, job.dataset), name=job.dataset)
    if not result.passed:
        halt(job, result)
    request_reviews(job.registry, source=job.dataset, run_id=job.run_id, evidence=[], at=job.clock.now().isoformat())
    return {
        "columns": len(evidence),
        "unknown": list(result.unknown),
        "evidence": [describe_evidence(row) for row in evidence],
        "note": f"{len(evidence)} columns decided",
    }


def gather_evidence(job: RefreshJob) -> list[ColumnEvidence]:
    """Evidence on every column path of the raw tables, from their names and from all their content."""

    def of_table(table: TableSnapshot) -> list[ColumnEvidence]:
        counts = scan_table(
            job.tables.spark,
            job.tables.data_files(table.path, table.version),
            job.tables.read(table.path, table.version).schema,
            job.matchers(),
            with_shapes=True,
            sample_rows=job.source.sample_evidence_rows,
            expected_rows=None if job.source.sample_evidence_rows else table.hashes.row_count,
            storage=job.storage,
            json_keys=json_keys(job, table.name),
        )
        return build_evidence(table.name, counts, job.knowledge.evidence)

    return [row for rows in for_each(job.manifest().tables, of_table, at_once=AT_ONCE) for row in rows]


def json_keys(job: RefreshJob, table: str) -> JsonKeys:
    """When keys of a table's JSON objects are data; what somebody decided on is a field."""
    return JsonKeys(most=job.knowledge.evidence.most_json_keys, declared=tuple(job.classification.tables.get(table, {})))


def halt(job: RefreshJob, result: GateResult) -> None:
    """Ask for reviews, record, page, and raise `UnclassifiedColumns` naming every column."""
    at = job.clock.now().isoformat()
    columns = undecided(result)
    job.trail.append(
        AuditEvent(
            kind=AuditKind.CLASSIFICATION_HALTED,
            actor=job.actor.subject,
            at=at,
            zone="dev",
            run_id=job.run_id,
            details={"source": job.source.name, "columns": [short_place(each.table, each.path) for each in columns]},
        )
    )
    evidence = [each.evidence for each in columns]
    job.registry.put(
        HALTS, job.run_id, {"evidence": [describe_evidence(row) for row in evidence], "unknown": list(result.unknown)}
    )
    request_reviews(job.registry, source=job.dataset, run_id=job.run_id, evidence=evidence, at=at)
    halted = UnclassifiedColumns(
        f"{len(columns)} columns of {job.source.name} have no decision, or evidence against the one they have.",
        which=result.lines(),
        next_step=(
            f"wardlake classify review --source {job.dataset} --column TABLE.COLUMN "
            "--as safe|sensitive|blocked --reason TEXT; then run the refresh again: it goes on where it halted"
        ),
    )
    page(job, halted, columns=[f"{each.table}.{each.path}" for each in columns], runbook="docs/runbooks/unclassified-columns.md")
    raise halted


def undecided(result: GateResult) -> list[Gap | Contradiction]:
    """Every column that halts a run."""
    return [*result.gaps, *result.contradictions]


def unclassified(result: GateResult) -> list[dict[str, Any]]:
    """What `classify check` answers: each column that needs a decision, with its evidence."""
    return [
        {"table": each.table, "column": each.path, "evidence": describe_evidence(each.evidence)} for each in undecided(result)
    ]


def evidence_of(outcome: Outcome) -> tuple[ColumnEvidence, ...]:
    """The evidence that the step left, as it was; none where the step did not run."""
    return tuple(read_evidence(each) for each in cast(list[Mapping[str, Any]], outcome.get("evidence", [])))


def read_evidence(document: Mapping[str, Any]) -> ColumnEvidence:
    """One column's evidence from its plain form (`describe_evidence`)."""
    known = {field.name for field in fields(ColumnEvidence)}
    plain = {name: value for name, value in document.items() if name in known}
    return ColumnEvidence(
        **{
            **plain,
            "content": {IdentifierKind(kind): rate for kind, rate in document["content"].items()},
            "hits": {IdentifierKind(kind): hits for kind, hits in document["hits"].items()},
            "names": tuple(IdentifierKind(kind) for kind in document["names"]),
            "shapes": tuple((shape, share) for shape, share in document["shapes"]),
        }
    )
