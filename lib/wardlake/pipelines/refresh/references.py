"""The step that proves the references: keys of the output join as those of the source do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from pyspark.sql import DataFrame

from wardlake.model.errors import BrokenReferences
from wardlake.model.plan import Outcome
from wardlake.pipelines.refresh.deidentify import source_frames
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import quarantine
from wardlake.publish.references import ReferenceMeasure, measure_references
from wardlake.publish.references_proof import require_references


def references(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Measure every declared key in the source and in the output, and compare."""
    before = measure_references(source_frames(job, job.ring()), job.source)
    after = measure_references(staged_frames(job, outcomes), job.source)
    try:
        require_references(before, after)
    except BrokenReferences as broken:
        quarantine(job, broken, {"references": proofs(before, after)})
        raise
    return {"references": proofs(before, after), "note": f"{len(after)} keys join as in the source"}


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
