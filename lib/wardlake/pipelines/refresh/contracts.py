"""The steps that hold source and output to their contracts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from pyspark.sql import DataFrame

from wardlake.deidentify.tables import released_columns
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.plan import Outcome
from wardlake.pipelines.refresh.deidentify import reference_data
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import quarantine
from wardlake.pipelines.refresh.references import staged_frames
from wardlake.ports.contracts import ContractResult, Suite
from wardlake.publish.contracts import load_suite, release_suite, require_contracts


def source_contracts(job: RefreshJob, _: Mapping[str, Outcome]) -> Outcome:
    """Hold the raw tables to `expectations/SOURCE/source.yaml`."""
    suite = _suite(job, "source")
    if suite is None:
        return _no_suite()
    frames, undescribed = described(suite, job.raw_frames())
    return {**_document(_check(job, suite, frames, enforce=True)), "undescribed": undescribed}


def output_contracts(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Hold the staged tables to `expectations/SOURCE/output.yaml`, narrowed to what the decisions release.

    What a table must hold follows from the source's columns and the decisions, never from what was staged: a column that is
    there although nobody released it breaks the contract, and so does one that was released and is missing.
    """
    suite = _suite(job, "output")
    if suite is None:
        return _no_suite()
    references = reference_data(job)
    released = {
        name: released_columns(
            rows.schema, table=job.source.tables[name], decisions=job.classification.tables.get(name, {}), references=references
        )
        for name, rows in job.raw_frames().items()
    }
    held, undescribed = split_described(suite, released)
    staged = {name: _without(rows, name, undescribed) for name, rows in staged_frames(job, outcomes).items()}
    staged = {name: rows for name, rows in staged.items() if name in held or rows.columns}
    result = _check(job, release_suite(suite, held), staged, enforce=False)
    told = {**_document(result), "undescribed": undescribed}
    try:
        require_contracts(result)
    except ContractBroken as broken:
        quarantine(job, broken, told, columns=[f"{f.table}.{f.column}" if f.column else f.table for f in result.failures])
        raise
    return told


def split_described(suite: Suite, released: Mapping[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """The released columns that the suite describes, and those it says nothing of: what they are is the gate's to judge."""
    known = {name: table.columns for name, table in suite.tables.items()}
    held = {name: [column for column in columns if column in known.get(name, {})] for name, columns in released.items()}
    held = {name: columns for name, columns in held.items() if columns}
    rest = [f"{name}.{column}" for name, columns in released.items() for column in columns if column not in known.get(name, {})]
    return held, rest


def _without(rows: DataFrame, table: str, columns: Collection[str]) -> DataFrame:
    return rows.drop(*(name for name in rows.columns if f"{table}.{name}" in columns))


def described(suite: Suite, frames: Mapping[str, DataFrame]) -> tuple[dict[str, DataFrame], list[str]]:
    """The tables without columns that the suite says nothing of, and those columns: what they are is the gate's to judge."""
    known = {name: table.columns for name, table in suite.tables.items()}
    narrowed = {n: rows.select(*[c for c in rows.columns if c in known.get(n, {})]) for n, rows in frames.items() if n in known}
    rest = [f"{name}.{column}" for name, rows in frames.items() for column in rows.columns if column not in known.get(name, {})]
    return narrowed, rest


def _suite(job: RefreshJob, side: str) -> Suite | None:
    """The suite, or None where the source is declared to have no contracts; raises `ConfigurationError` where it is missing."""
    if not job.source.contracts:
        return None
    path = job.expectations / job.source.name / f"{side}.yaml"
    if not path.is_file():
        raise ConfigurationError(
            what=f"Source {job.source.name} has no contracts: {path.name} is missing under expectations/{job.source.name}.",
            next_step=f"write it, or say `contracts: false` in conf/sources/{job.source.name}.yaml",
        )
    return load_suite(path)


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


def _no_suite() -> dict[str, Any]:
    return {
        "suite": "",
        "success": True,
        "expectations": 0,
        "results": [],
        "note": "the source is declared to have no contracts",
    }
