"""A refresh put together: its job, what each step does, what each step was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from wardlake.model.plan import Outcome
from wardlake.model.sources import SourceSpec
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.fingerprints import code_version, fingerprint
from wardlake.pipelines.refresh.classify import classify
from wardlake.pipelines.refresh.contracts import output_contracts, source_contracts
from wardlake.pipelines.refresh.deidentify import deidentify
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.publish import publish
from wardlake.pipelines.refresh.references import references
from wardlake.pipelines.refresh.report import report
from wardlake.pipelines.refresh.scan import scan
from wardlake.pipelines.refresh.seal import seal
from wardlake.pipelines.refresh.snapshot import snapshot
from wardlake.runs.engine import Work

STEPS: Mapping[str, Callable[[RefreshJob, Mapping[str, Outcome]], Outcome]] = {
    "snapshot": snapshot,
    "classify": classify,
    "source-contracts": source_contracts,
    "deidentify": deidentify,
    "references": references,
    "scan": scan,
    "output-contracts": output_contracts,
    "seal": seal,
    "publish": publish,
    "report": report,
}


def refresh_work(job: RefreshJob) -> Work:
    """The functions of the plan's steps over one job, and their fingerprints."""
    return Work(functions={name: partial(do, job) for name, do in STEPS.items()}, fingerprints=fingerprints(job))


def fingerprints(job: RefreshJob) -> dict[str, str]:
    """What each step depends on besides the steps before it.

    A snapshot stands while its source is described alike; a classification is checked again whenever a decision changed.
    """
    read = snapshot_fingerprint(job.source)
    decided = fingerprint(read, code_version(), job.rule_set, job.fraction, job.knowledge, suites(job))
    return {step.name: read if step.name == "snapshot" else decided for step in PLAN.steps}


def snapshot_fingerprint(source: SourceSpec) -> str:
    """What a snapshot is of; a new version of the code needs no new one."""
    return fingerprint(source)


def suites(job: RefreshJob) -> list[str]:
    """The contracts as they are written."""
    return [path.read_text("utf-8") for path in sorted((job.expectations / job.source.name).glob("*.yaml"))]
