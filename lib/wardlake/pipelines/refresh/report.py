"""The step that writes the report, and the report of a run that a gate stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from wardlake.model.errors import UnclassifiedColumns, WardlakeError
from wardlake.model.evidence import CanaryRecall, ColumnEvidence, Finding
from wardlake.model.plan import Outcome
from wardlake.model.treatments import IdentifierKind
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.refresh.begin import REFUSALS
from wardlake.pipelines.refresh.classify import HALTS, evidence_of
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.ports.contracts import ContractResult, ExpectationResult
from wardlake.publish.report.content import (
    Attention,
    Halt,
    ReferenceRow,
    RunOutcome,
    RunReport,
    Searched,
    StepTiming,
    TableRow,
    Told,
    decision_rows,
    render_report_json,
)
from wardlake.publish.report.page import render_report
from wardlake.runs.engine import load_run
from wardlake.runs.states import Run

T = TypeVar("T")


def report(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Write the report of a run that published."""
    path = write_report(job, build_report(job, outcomes, load_run(job.registry, job.run_id), None))
    return {"report": str(path), "note": str(path)}


def write_halted_report(job: RefreshJob, run: Run | None, halted: WardlakeError) -> Path:
    """Write the report of a run that stopped: what was found so far, why it stopped, what to do next."""
    outcomes: dict[str, Outcome] = {name: step.outcome for name, step in run.steps.items()} if run else {}
    refused = job.registry.get(REFUSALS, job.run_id)
    if run and refused:
        outcomes.setdefault(run.halted_at, refused)
    if isinstance(halted, UnclassifiedColumns):
        outcomes.setdefault("classify", job.registry.get(HALTS, job.run_id) or {})
    return write_report(job, build_report(job, outcomes, run, halted))


def write_report(job: RefreshJob, content: RunReport) -> Path:
    """The page and its twin for machines; returns the page."""
    folder = job.reports / job.run_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(render_report_json(content), "utf-8")
    page = folder / "report.html"
    page.write_text(render_report(content), "utf-8")
    return page


def build_report(job: RefreshJob, outcomes: Mapping[str, Outcome], run: Run | None, halted: WardlakeError | None) -> RunReport:
    """All that is known of the run, by what its steps left."""
    said: dict[str, Mapping[str, Any]] = {step.name: outcomes.get(step.name, {}) for step in PLAN.steps}
    published, sealed, scan = said["publish"], said["seal"], said["scan"]
    evidence = evidence_of(said["classify"])
    return RunReport(
        outcome=_outcome(job, halted),
        exit_code=halted.exit_code if halted else 0,
        run_id=job.run_id,
        source=job.source.name,
        zone="dev",
        profile=job.classification.profile.value,
        actor=job.actor.subject,
        started_at=job.started_at,
        finished_at=job.clock.now().isoformat(),
        code_version=job.code_version,
        production=job.actor.production,
        schema_version=job.source.schema_version,
        snapshot_id=said["snapshot"].get("snapshot_id", ""),
        dataset_id=published.get("dataset_id", sealed.get("dataset_id", "")),
        dataset_path=published.get("path", ""),
        sample=f"{job.fraction:.3%}" if job.sampled else "",
        token_mode=job.classification.token_mode.value,
        key_versions=said["deidentify"].get("key_versions", {}),
        rule_set_hash=job.rule_set,
        audit_sequence=published.get("audit_sequence", 0),
        audit_hash=published.get("audit_hash", ""),
        archive_hash=sealed.get("archive", ""),
        halt=_halt(run, halted),
        decisions=decision_rows(job.classification),
        tables=_tables(said["deidentify"], sealed, published),
        evidence=evidence,
        asked=tuple(f"{row.table}.{row.path}" for row in evidence) if _waits(run, halted) else (),
        findings=tuple(_kinded(Finding, each) for each in [*scan.get("findings", []), *scan.get("notices", [])]),
        recalls=tuple(_kinded(CanaryRecall, each) for each in scan.get("recall", [])),
        known_recalls=tuple(_kinded(CanaryRecall, each) for each in scan.get("known_recall", [])),
        searched=searched(scan, evidence),
        attention=attention(said),
        references=tuple(_reference(each) for each in said["references"].get("references", [])),
        contracts=tuple(_contracts(said[side]) for side in ("source-contracts", "output-contracts") if said[side].get("suite")),
        data_docs="contracts/source/index.html" if said["source-contracts"].get("suite") else "",
        steps=_timings(run),
    )


def attention(said: Mapping[str, Mapping[str, Any]]) -> Attention:
    """What the steps remarked beside their verdicts."""
    snapshot, lost = said["snapshot"], said["deidentify"].get("became_null", {})
    return Attention(
        undeclared_tables=tuple(snapshot.get("undeclared_tables", ())),
        empty_tables=tuple(snapshot.get("empty_tables", ())),
        warnings=tuple(snapshot.get("warnings", ())),
        unknown_decisions=tuple(said["classify"].get("unknown", ())),
        became_null=tuple(Told(where=where, what=f"{count:,}") for where, count in sorted(lost.items())),
        given_up=tuple(said["references"].get("given_up", ())),
        undescribed=undescribed_columns(said),
    )


def undescribed_columns(said: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Columns of the source or of the output that its contract does not describe, each with the side that it is missing on."""
    return tuple(
        f"{column} ({side})" for side in ("source", "output") for column in said[f"{side}-contracts"].get("undescribed", ())
    )


def searched(scan: Mapping[str, Any], evidence: Sequence[ColumnEvidence]) -> Searched:
    """How far the scan looked, and where it could not."""
    columns = scan.get("known_columns", {})
    types = {f"{row.table}.{row.path}": row.type for row in evidence}
    blind = {*scan.get("unscanned", ()), *(f"{row.table}.{row.path}" for row in evidence if not row.scanned)}
    return Searched(
        cells=scan.get("cells_scanned", 0),
        known_values=scan.get("known_values", {}),
        inferred=_told(columns.get("inferred", {})),
        left_out=_told(columns.get("left_out", {})),
        unscanned=_told({where: f"type {types.get(where, 'unknown')} cannot be looked into" for where in blind}),
    )


def _told(said: Mapping[str, str]) -> tuple[Told, ...]:
    return tuple(Told(where=where, what=what) for where, what in sorted(said.items()))


def _outcome(job: RefreshJob, halted: WardlakeError | None) -> RunOutcome:
    if halted is None:
        return RunOutcome.PUBLISHED
    if job.registry.get(REFUSALS, job.run_id) is not None:
        return RunOutcome.QUARANTINED
    return RunOutcome.HALTED if halted.exit_code == 10 else RunOutcome.FAILED  # noqa: PLR2004


def _waits(run: Run | None, halted: WardlakeError | None) -> bool:
    """Whether the columns that the gate told of wait for decisions; later steps halt for columns that have one."""
    return isinstance(halted, UnclassifiedColumns) and (run is None or run.halted_at in ("", "classify"))


def _halt(run: Run | None, halted: WardlakeError | None) -> Halt | None:
    if halted is None:
        return None
    return Halt(step=run.halted_at if run else "", what=halted.what, which=halted.which, next_command=halted.next_step)


def _tables(staged: Mapping[str, Any], sealed: Mapping[str, Any], published: Mapping[str, Any]) -> tuple[TableRow, ...]:
    """Each table's counts; the commitment is to the files that readers see, before publication to those that were staged."""
    commitments = {table["name"]: table["commitment"] for table in sealed.get("tables", [])}
    commitments |= published.get("commitments", {})
    return tuple(
        TableRow(name=name, rows_in=table["rows_in"], rows_out=table["rows_out"], commitment=commitments.get(name, ""))
        for name, table in sorted(staged.get("tables", {}).items())
    )


def _kinded(kind: type[T], document: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    plain = {name: value for name, value in document.items() if name in known}
    return kind(**{**plain, "kind": IdentifierKind(document["kind"])})


def _reference(proof: Mapping[str, Any]) -> ReferenceRow:
    source, output = proof["source"], proof["output"]
    return ReferenceRow(
        reference=proof["reference"],
        source_orphan_rate=proof["orphan_rate_source"],
        output_orphan_rate=proof["orphan_rate_output"] or 0.0,
        source_matched=source["matched_parents"],
        output_matched=output.get("matched_parents", 0),
        source_max=source["rows_per_parent_max"],
        output_max=output.get("rows_per_parent_max", 0),
        held=source == output,
    )


def _contracts(document: Mapping[str, Any]) -> ContractResult:
    results: Sequence[Mapping[str, Any]] = document["results"]
    return ContractResult(suite=document["suite"], results=tuple(ExpectationResult(**each) for each in results))


def _timings(run: Run | None) -> tuple[StepTiming, ...]:
    done = run.steps if run else {}
    return tuple(
        StepTiming(
            name=step.name,
            title=step.title,
            seconds=done[step.name].wall_seconds if step.name in done else 0.0,
            cpu_seconds=done[step.name].cpu_seconds if step.name in done else 0.0,
            state="done" if step.name in done else "failed" if run and run.halted_at == step.name else "not run",
        )
        for step in PLAN.steps
        if step.name != "report"
    )
