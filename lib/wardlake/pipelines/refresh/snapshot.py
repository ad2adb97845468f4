"""The step that takes the snapshot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.identifiers import column_of
from wardlake.model.identity import Identity
from wardlake.model.plan import Outcome
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.treatments import Classification
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.snapshot.create import create_snapshot
from wardlake.snapshot.manifest import public_summary

DAYS_A_YEAR = 365.25


def snapshot(job: RefreshJob, _: Mapping[str, Outcome]) -> Outcome:
    """Copy the source into raw tables; repeating it for a run that has its manifest changes nothing."""
    manifest = create_snapshot(
        job.source,
        reader=job.sources,
        tables=job.tables,
        layout=job.layout,
        run_id=job.run_id,
        keys=job.keys,
        objects=job.objects,
        clock=job.clock,
        study_retention=timedelta(days=job.retention.study_years * DAYS_A_YEAR),
        decided=decided_columns(job.classification),
    )
    job.trail.append(snapshot_event(manifest, job.actor, job.clock.now().isoformat()))
    said = remarks(manifest)
    unread = said["undeclared_tables"]
    note = f"{sum(t.hashes.row_count for t in manifest.tables):,} rows"
    if unread:
        note += f"; at the source and not declared, so not read: {', '.join(unread)}"
    return {**snapshot_document(manifest), **said, "note": note}


def decided_columns(classification: Classification) -> dict[str, tuple[str, ...]]:
    """The columns of each table that somebody decided on, whole or by what lies inside."""
    return {
        table: tuple(dict.fromkeys(column_of(path) for path in decisions)) for table, decisions in classification.tables.items()
    }


def remarks(manifest: SnapshotManifest) -> dict[str, list[str]]:
    """What a person should know of the source: tables nobody declared, tables without rows, odd values that were kept."""
    names = ("undeclared_tables", "empty_tables", "warnings")
    return {name: list(json.loads(manifest.extra.get(name, "[]"))) for name in names}


def snapshot_event(manifest: SnapshotManifest, actor: Identity, at: str) -> AuditEvent:
    """What the audit says of a snapshot: commitments, never a bare hash."""
    return AuditEvent(
        kind=AuditKind.SNAPSHOT_CREATED,
        actor=actor.subject,
        at=at,
        zone="raw",
        run_id=manifest.run_id,
        details={
            "source": manifest.source,
            "snapshot_id": manifest.snapshot_id,
            "schema_version": manifest.schema_version,
            "retention": manifest.retention,
            "tables": len(manifest.tables),
        },
    )


def snapshot_document(manifest: SnapshotManifest) -> dict[str, Any]:
    """What a snapshot's answer holds: counts and commitments."""
    return {
        **public_summary(manifest),
        "tables": [
            {"name": table.name, "rows": table.hashes.row_count, "commitment": table.commitment} for table in manifest.tables
        ],
    }
