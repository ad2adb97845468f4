"""`wardlake snapshot verify` and `wardlake dev verify`: what was recorded against what is there, also years later."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wardlake.audit.archive import query_records, standing_publications
from wardlake.audit.names import short_name
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.errors import VerificationFailed
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.zones import Zone
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.refresh.job import PURPOSE, RESIDUE, RefreshJob, secret
from wardlake.pipelines.refresh.scan import residue_document, scan_means
from wardlake.pipelines.standing import known_sources
from wardlake.publish.archive import Copy, restore_dataset
from wardlake.publish.residue.scan import ResidueReport
from wardlake.publish.staging import MANIFEST
from wardlake.publish.verify_dataset import read_known_values, verify_dataset
from wardlake.snapshot.archive import find_archived, restore_snapshot
from wardlake.snapshot.manifest import list_manifests
from wardlake.snapshot.verify import verify_restored, verify_snapshot
from wardlake.tokens.keyring import open_ring


def verify_one_snapshot(ports: PortsInHand, snapshot: str) -> dict[str, Any]:
    """Recompute a snapshot's hashes and commitments; raises `VerificationFailed` naming the tables that differ.

    Of any source that the lake knows, and where the lake has it no more, from the archive of studies.
    """
    for source in known_sources(ports):
        for manifest in list_manifests(ports.tables, ports.layout, source):
            if snapshot in (manifest.snapshot_id, manifest.run_id):
                verify_snapshot(manifest, tables=ports.tables, layout=ports.layout, keys=ports.keys)
                return _verified(manifest, "lake")
    archived = find_archived(ports.objects, snapshot)
    if archived is None:
        raise VerificationFailed("There is no such snapshot.", which=[snapshot])
    with tempfile.TemporaryDirectory(prefix="wardlake-restored-") as scratch:
        restore_snapshot(ports.objects, archived, Path(scratch))
        verify_restored(archived, scratch, tables=ports.tables, keys=ports.keys)
    return _verified(archived, "archive")


def _verified(manifest: SnapshotManifest, whence: str) -> dict[str, Any]:
    said = {"snapshot_id": manifest.snapshot_id, "source": manifest.source, "tables": len(manifest.tables)}
    return {**said, "read_from": whence, "ok": True}


def publication_of(ports: PortsInHand, dataset_id: str) -> AuditRecord:
    """The audit record of a dataset's publication; raises `VerificationFailed` where the archive has none."""
    records = query_records(ports.audit_objects, dataset_id=dataset_id)
    published = standing_publications(records)
    if not published:
        raise VerificationFailed("The audit archive knows no such dataset.", which=[dataset_id])
    return published[-1]


def verify_published(job: RefreshJob, record: AuditRecord, verification_id: str) -> dict[str, Any]:
    """Scan a published dataset again: as it lies in its zone, else as the archive has it; recorded, then answered.

    `job` carries the classification and the run id of the run that made it.
    """
    dataset_id = record.event.dataset_id
    with tempfile.TemporaryDirectory(prefix="wardlake-restored-") as scratch:
        folder, whence = dataset_folder(job, record, Path(scratch))
        rows = recorded_rows(job, record, folder)
        known = read_known_values(
            job.tables,
            job.layout,
            record.event.run_id,
            key=residue_key(job, record),
            policy=job.knowledge.residue.known_values,
        )
        report = verify_dataset(
            job.tables,
            {name: f"{folder}/{name}" for name in rows},
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
    return {"dataset_id": dataset_id, "read_from": whence, "known_values_kept": known is not None, **residue_document(report)}


def recorded_rows(job: RefreshJob, record: AuditRecord, folder: str) -> dict[str, int]:
    """Each table that was published, with its rows: by its folder's name, which the record may hold as a hash only."""
    folders = {short_name(name): name for name in job.tables.list_folder(folder)}
    tables = record.event.details["tables"]
    return {folders.get(str(table["name"]), str(table["name"])): int(table["rows_out"]) for table in tables}


def residue_key(job: RefreshJob, record: AuditRecord) -> bytes:
    """The key that the run hashed its known values with: its version at that time, however often it was rotated since."""
    version = int(record.event.details["key_versions"][RESIDUE])
    return secret(open_ring(job.keys, PURPOSE, [RESIDUE], versions={RESIDUE: version}), RESIDUE)


def dataset_folder(job: RefreshJob, record: AuditRecord, scratch: Path) -> tuple[str, str]:
    """Where the dataset's tables are to be read: the zone while it is there whole, else the archive, brought back.

    Raises `VerificationFailed` where the archive is not what the record says was archived.
    """
    dataset_id = record.event.dataset_id
    published = job.layout.dataset(Zone.DEV, job.dataset, dataset_id)
    if MANIFEST in job.tables.list_folder(published):
        return published, "zone"
    restored = restore_dataset(job.objects, Copy(dataset_id, record.event.run_id), scratch)
    if restored.sha256 != record.event.details["archive"]:
        raise VerificationFailed(
            "The archived dataset is not the one that was published: its manifest was changed.",
            which=[dataset_id],
            next_step="compare its versions in the object store",
        )
    return str(scratch), "archive"


def describe_verification(found: Mapping[str, Any]) -> str:
    """What `dev verify` says to people."""
    said = f"ok: {found['cells_scanned']:,} cells scanned, read from the {found['read_from']}"
    if found["known_values_kept"]:
        return said
    return f"{said}\nthe run's known values are no longer kept: only patterns and canaries were looked for"


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
