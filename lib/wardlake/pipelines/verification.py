"""`wardlake snapshot verify` and `wardlake dev verify`: what was recorded against what is there, also years later."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from wardlake.audit.archive import query_records
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.errors import VerificationFailed
from wardlake.model.zones import Zone
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.refresh.job import RESIDUE, RefreshJob, secret
from wardlake.pipelines.refresh.scan import residue_document, scan_means
from wardlake.publish.archive import restore_dataset
from wardlake.publish.residue import ResidueReport
from wardlake.publish.verify_dataset import read_known_values, verify_dataset
from wardlake.settings.load import Settings
from wardlake.snapshot.manifest import list_manifests
from wardlake.snapshot.verify import verify_snapshot


def verify_one_snapshot(settings: Settings, ports: PortsInHand, snapshot: str) -> dict[str, Any]:
    """Recompute a snapshot's hashes and commitments; raises `VerificationFailed` naming the tables that differ."""
    for source in settings.sources:
        for manifest in list_manifests(ports.tables, ports.layout, source):
            if snapshot in (manifest.snapshot_id, manifest.run_id):
                verify_snapshot(manifest, tables=ports.tables, layout=ports.layout, keys=ports.keys)
                return {"snapshot_id": manifest.snapshot_id, "source": source, "tables": len(manifest.tables), "ok": True}
    raise VerificationFailed("There is no such snapshot.", which=[snapshot])


def publication_of(ports: PortsInHand, dataset_id: str) -> AuditRecord:
    """The audit record of a dataset's publication; raises `VerificationFailed` where the archive has none."""
    records = query_records(ports.audit_objects, dataset_id=dataset_id)
    published = [record for record in records if record.event.kind is AuditKind.DATASET_PUBLISHED]
    if not published:
        raise VerificationFailed("The audit archive knows no such dataset.", which=[dataset_id])
    return published[-1]


def verify_published(job: RefreshJob, record: AuditRecord, verification_id: str) -> dict[str, Any]:
    """Scan a published dataset again: as it lies in its zone, else as the archive has it; recorded, then answered.

    `job` carries the classification and the run id of the run that made it.
    """
    dataset_id = record.event.dataset_id
    with tempfile.TemporaryDirectory(prefix="wardlake-restored-") as scratch:
        folder, whence = dataset_folder(job, dataset_id, Path(scratch))
        names = [str(table["name"]) for table in record.event.details["tables"]]
        rows = {str(table["name"]): int(table["rows_out"]) for table in record.event.details["tables"]}
        known = read_known_values(
            job.tables,
            job.layout,
            record.event.run_id,
            key=secret(job.ring(), RESIDUE),
            policy=job.knowledge.residue.known_values,
        )
        report = verify_dataset(
            job.tables,
            {name: f"{folder}/{name}" for name in names},
            job.classification,
            known,
            means=scan_means(job),
            verification_id=verification_id,
            expected_rows=rows,
        )
    job.trail.append(verification_event(job, dataset_id, report))
    if not report.passed:
        raise VerificationFailed(
            f"Dataset {dataset_id} no longer passes the scan.",
            which=[f"{f.table}.{f.column}: {f.kind.value}, {f.cells} cells" for f in report.findings],
            next_step="docs/runbooks/identifiers-found.md",
        )
    return {"dataset_id": dataset_id, "read_from": whence, "known_values": known is not None, **residue_document(report)}


def dataset_folder(job: RefreshJob, dataset_id: str, scratch: Path) -> tuple[str, str]:
    """Where the dataset's tables are to be read: the zone while it is there, else the archive, brought back."""
    published = job.layout.dataset(Zone.DEV, job.dataset, dataset_id)
    if job.tables.list_folder(published):
        return published, "zone"
    restore_dataset(job.objects, dataset_id, scratch)
    return str(scratch), "archive"


def verification_event(job: RefreshJob, dataset_id: str, report: ResidueReport) -> AuditEvent:
    """What the audit says of a look at a published dataset."""
    return AuditEvent(
        kind=AuditKind.DATASET_VERIFIED,
        actor=job.actor.subject,
        at=job.clock.now().isoformat(),
        zone=Zone.DEV.value,
        run_id=job.run_id,
        dataset_id=dataset_id,
        details={"passed": report.passed, "findings": len(report.findings), "cells": report.cells_scanned},
    )
