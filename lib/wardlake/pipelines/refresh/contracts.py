"""The steps that hold source and output to their contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pyspark.sql import DataFrame

from wardlake.model.errors import ContractBroken
from wardlake.model.plan import Outcome
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import quarantine
from wardlake.pipelines.refresh.references import staged_frames
from wardlake.ports.contracts import ContractResult, Suite
from wardlake.publish.contracts import load_suite, release_suite, require_contracts


def source_contracts(job: RefreshJob, _: Mapping[str, Outcome]) -> Outcome:
    """Hold the raw tables to `expectations/SOURCE/source.yaml`."""
    suite = _suite(job, "source")
    return _no_suite(job, "source") if suite is None else _document(_check(job, suite, job.raw_frames(), enforce=True))


def output_contracts(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Hold the staged tables to `expectations/SOURCE/output.yaml`, narrowed to what the decisions release."""
    suite = _suite(job, "output")
    if suite is None:
        return _no_suite(job, "output")
    staged = staged_frames(job, outcomes)
    result = _check(job, release_suite(suite, {name: rows.columns for name, rows in staged.items()}), staged, enforce=False)
    try:
        require_contracts(result)
    except ContractBroken as broken:
        quarantine(job, broken, _document(result))
        raise
    return _document(result)


def _suite(job: RefreshJob, side: str) -> Suite | None:
    path = job.expectations / job.source.name / f"{side}.yaml"
    return load_suite(path) if path.is_file() else None


def _check(job: RefreshJob, suite: Suite, frames: Mapping[str, DataFrame], *, enforce: bool) -> ContractResult:
    docs = job.reports / job.run_id / "contracts" / suite.name.rpartition("/")[2]
    docs.mkdir(parents=True, exist_ok=True)
    result = job.contracts.check(suite, frames, docs=docs)
    if enforce:
        require_contracts(result)
    return result


def _document(result: ContractResult) -> dict[str, Any]:
    failed = len(result.failures)
    return {
        "suite": result.suite,
        "success": result.success,
        "expectations": len(result.results),
        "results": [asdict(each) for each in result.results],
        "note": f"{failed} expectations fail" if failed else f"{len(result.results)} expectations hold",
    }


def _no_suite(job: RefreshJob, side: str) -> dict[str, Any]:
    return {
        "suite": "",
        "success": True,
        "expectations": 0,
        "results": [],
        "note": f"no suite: write expectations/{job.source.name}/{side}.yaml",
    }
