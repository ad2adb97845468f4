"""The step that proves the references: keys of the output join as those of the source do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any, cast

from pyspark.sql import DataFrame

from wardlake.model.errors import BrokenReferences
from wardlake.model.plan import Outcome
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, Null
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import quarantine
from wardlake.publish.references.measure import ReferenceMeasure, measure_references, reference_name
from wardlake.publish.references.proof import compare_references, require_references


def references(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Measure every declared key in the source and in the output, and compare."""
    staged = staged_frames(job, outcomes)
    kept, given_up = split_references(job.source, job.classification, {name: rows.columns for name, rows in staged.items()})
    before = measured_before(kept, outcomes)
    after = measure_references(staged, kept)
    try:
        require_references(before, after)
    except BrokenReferences as broken:
        quarantine(
            job,
            broken,
            {"references": proofs(before, after)},
            columns=[each.reference for each in compare_references(before, after)],
        )
        raise
    return {"references": proofs(before, after), "given_up": given_up, "note": f"{len(after)} keys join as in the source"}


def measured_before(kept: SourceSpec, outcomes: Mapping[str, Outcome]) -> list[ReferenceMeasure]:
    """The measures of the source's side of these references, taken when the rows were de-identified."""
    names = {reference_name(table.name, r.columns, r.table, r.to) for table, r in kept.references()}
    told = cast(list[dict[str, Any]], outcomes["deidentify"]["source_references"])
    measures = [ReferenceMeasure(**{**each, "columns": tuple(each["columns"]), "to": tuple(each["to"])}) for each in told]
    return [measure for measure in measures if measure.name in names]


def split_references(
    source: SourceSpec, classification: Classification, columns: Mapping[str, Collection[str]]
) -> tuple[SourceSpec, list[str]]:
    """The source with the references that the output still has, and the names of those given up on the child's side.

    A decision that blocks, drops or nulls a foreign key gives the reference up; it is told, not proven.
    """
    given_up: list[str] = []
    tables = {}
    for table in source.tables.values():
        decisions = classification.tables.get(table.name, {})
        emptied = {path for path, decision in decisions.items() if isinstance(decision.rule, Null)}
        kept = [r for r in table.references if all(c in columns[table.name] and c not in emptied for c in r.columns)]
        given_up += [reference_name(table.name, r.columns, r.table, r.to) for r in table.references if r not in kept]
        tables[table.name] = replace(table, references=tuple(kept))
    return replace(source, tables=tables), given_up


def staged_frames(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> dict[str, DataFrame]:
    """The staged tables at the versions that the run wrote."""
    staged = cast(Mapping[str, Any], outcomes["deidentify"]["tables"])
    return {name: job.tables.read(job.layout.staged_table(job.run_id, name), int(t["version"])) for name, t in staged.items()}


def proofs(before: list[ReferenceMeasure], after: list[ReferenceMeasure]) -> list[dict[str, Any]]:
    """Both measures of each key side by side: counts only."""
    outputs = {measure.name: measure for measure in after}
    return [
        {
            "reference": measure.name,
            "orphan_rate_source": measure.orphan_rate,
            "orphan_rate_output": outputs[measure.name].orphan_rate if measure.name in outputs else None,
            "source": _counts(measure),
            "output": _counts(outputs[measure.name]) if measure.name in outputs else {},
        }
        for measure in before
    ]


def _counts(measure: ReferenceMeasure) -> dict[str, int]:
    return {name: value for name, value in asdict(measure).items() if isinstance(value, int)}
