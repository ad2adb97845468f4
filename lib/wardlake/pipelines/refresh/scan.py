"""The step that scans: patterns and known values over the staged output, canaries over the scan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, cast

from wardlake.detect.limits import speaking_hits
from wardlake.detect.text_names import TextNameMatcher
from wardlake.model.errors import IdentifiersFound
from wardlake.model.identifiers import ColumnPath
from wardlake.model.plan import Outcome
from wardlake.pipelines.refresh.classify import evidence_of
from wardlake.pipelines.refresh.job import RESIDUE, RefreshJob, secret
from wardlake.pipelines.refresh.quarantine import quarantine
from wardlake.publish.references.measure import reference_name
from wardlake.publish.residue.known_values.collection import collect_known_values, foreign_columns
from wardlake.publish.residue.known_values.index import KnownValues, load_known_values
from wardlake.publish.residue.known_values.kinds import KnownColumns, infer_kinds
from wardlake.publish.residue.scan import ResidueReport, ScanMeans, scan_residue
from wardlake.tokens.keyring import KeyRing


def scan(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Scan the staged tables; a finding, or a scan that is too blind, quarantines the dataset and stops the run."""
    staged = cast(Mapping[str, Any], outcomes["deidentify"]["tables"])
    columns = infer_kinds(job.classification, evidence_of(outcomes["classify"]), job.knowledge.residue.known_values)
    report = scan_residue(
        job.tables,
        {name: job.layout.staged_table(job.run_id, name) for name in staged},
        job.classification,
        known_values(job, job.ring(outcomes), columns, skipped_columns(job, outcomes)),
        means=scan_means(job),
        run_id=job.run_id,
        expected_rows={name: int(table["rows_out"]) for name, table in staged.items()},
    )
    told = {**residue_document(report), "known_columns": known_columns_document(columns)}
    try:
        report.require_clean()
    except IdentifiersFound as found:
        quarantine(job, found, told, columns=[f"{finding.table}.{finding.column}" for finding in report.findings])
        raise
    return told


def scan_means(job: RefreshJob) -> ScanMeans:
    """The detectors of the gate, its own way of weighing their hits, and the policy."""
    limits = job.knowledge.evidence.content
    return ScanMeans(
        matchers=job.matchers(),
        sift=lambda counts: speaking_hits(counts, limits),
        policy=job.knowledge.residue,
        storage=job.storage,
        text_names=TextNameMatcher(job.knowledge.name_words),
        most_json_keys=job.knowledge.evidence.most_json_keys,
    )


def orphaned_columns(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> set[ColumnPath]:
    """Columns of references that name keys which no parent has: their values stand nowhere else."""
    proofs = cast(list[Mapping[str, Any]], outcomes["references"]["references"])
    orphaned = {proof["reference"] for proof in proofs if proof["source"]["orphan_rows"]}
    return {
        ColumnPath(table.name, column)
        for table, reference in job.source.references()
        if reference_name(table.name, reference.columns, reference.table, reference.to) in orphaned
        for column in reference.columns
    }


def skipped_columns(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> frozenset[ColumnPath]:
    """Columns whose values all stand in the key they refer to.

    None in a sample: orphans were counted among its rows, and the source's other rows may have some too.
    """
    if job.sampled:
        return frozenset()
    return foreign_columns(job.source, with_orphans=orphaned_columns(job, outcomes))


def known_values(job: RefreshJob, ring: KeyRing, columns: KnownColumns, skip: Collection[ColumnPath]) -> KnownValues:
    """Keyed hashes of the source's identifiers, kept restricted so that the dataset can be verified years later."""
    policy = job.knowledge.residue
    path, key = job.layout.known_values(job.run_id), secret(ring, RESIDUE)
    job.tables.replace(
        path,
        collect_known_values(
            job.raw_frames(),  # all of the source, also where only a sample of it is released
            job.classification,
            policy=policy.known_values,
            key=key,
            birth_words=policy.birth_words,
            skip=skip,
            inferred=columns.inferred,
        ),
    )
    return load_known_values(job.tables.read(path), key=key, policy=policy.known_values)


def known_columns_document(columns: KnownColumns) -> dict[str, Any]:
    """Which columns were searched for though their decision names no kind, and which were not and why: names only."""
    return {
        "inferred": {str(where): kind.value for where, kind in columns.inferred.items()},
        "left_out": {str(where): why for where, why in columns.left_out.items()},
    }


def residue_document(report: ResidueReport) -> dict[str, Any]:
    """The report as plain JSON data: columns, kinds, counts, rates."""
    return {
        "passed": report.passed,
        "findings": [_plain(asdict(finding)) for finding in report.findings],
        "notices": [_plain(asdict(notice)) for notice in report.notices],
        "recall": [_plain({**asdict(recall), "passed": recall.passed}) for recall in report.recall],
        "known_recall": [_plain({**asdict(recall), "passed": recall.passed}) for recall in report.known_recall],
        "unscanned": list(report.unscanned),
        "cells_scanned": report.cells_scanned,
        "known_values": dict(report.known_values),
        "policy_version": report.policy_version,
        "note": f"{report.cells_scanned:,} cells, {len(report.findings)} findings, {len(report.notices)} notices",
    }


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: getattr(value, "value", value) for key, value in document.items()}
