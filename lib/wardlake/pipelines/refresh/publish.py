"""The step that publishes: the audit record first, then the one pointer that readers follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wardlake.audit.archive import query_records, standing_publications
from wardlake.audit.names import short_name
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.plan import Outcome
from wardlake.model.snapshots import DatasetTable, TableHashes
from wardlake.model.treatments import Decision, Verdict
from wardlake.model.zones import Zone
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.unseen import PUBLISHING, note_seen, refuse_unseen
from wardlake.publish.staging import Placed, Publication, find_placed, publish_dataset


def publish(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Let readers see the dataset, once its record lies in both sinks; raises `AuditUnavailable` and publishes nothing else."""
    sealed = outcomes["seal"]
    name, at = str(sealed["dataset_id"]), publication_time(job)
    publication = Publication(
        zone=Zone.DEV,
        source=job.dataset,
        dataset_id=name,
        run_id=job.run_id,
        published_at=at,
        tables=tuple(_table(job, each) for each in cast(list[Mapping[str, Any]], sealed["tables"])),
        keep_previous=max(job.retention.published_versions - 1, 0),
    )
    placed = find_placed(job.tables, job.layout, Zone.DEV, job.dataset, name)
    event = publication_event(job, outcomes, at, placed)

    records: list[AuditRecord] = []
    publish_dataset(job.tables, job.layout, publication, record=lambda: records.append(record_once(job, event)))
    written = records[-1] if records else record_once(job, event)  # published already by a try that was killed
    note_seen(job.registry, job.run_id, name)
    return {
        "dataset_id": name,
        "path": job.layout.dataset(Zone.DEV, job.dataset, name),
        "audit_sequence": written.sequence,
        "audit_hash": written.hash,
        "commitments": {table.name: table.commitment for table in publication.tables}
        | dict(placed.commitments if placed else {}),
        "note": name,
    }


def publication_time(job: RefreshJob) -> str:
    """When the run began to publish: the same again if it was killed and goes on."""
    job.registry.insert(PUBLISHING, job.run_id, {"at": job.clock.now().isoformat()})
    begun = job.registry.get(PUBLISHING, job.run_id)
    return str(begun["at"]) if begun else ""


def record_once(job: RefreshJob, event: AuditEvent) -> AuditRecord:
    """The record of the run's dataset: the one that is there, or a new one.

    A run killed after recording does not record twice; one whose output changed since does, and says that nobody saw the other.
    """
    begun = job.registry.get(PUBLISHING, job.run_id) or {}
    if begun.get("recording"):
        refuse_unseen(job, job.run_id, actor=job.actor.subject, but=event.dataset_id)
        for record in standing_publications(query_records(job.audit_objects, run_id=job.run_id)):
            if record.event.dataset_id == event.dataset_id:
                return record
    job.registry.put(PUBLISHING, job.run_id, {**begun, "recording": True})
    return job.trail.append(event)


def publication_event(job: RefreshJob, outcomes: Mapping[str, Outcome], at: str, placed: Placed | None) -> AuditEvent:
    """The one record of the run: rule ids, counts, hashes, recall. No value of the data, no bare hash.

    Where the dataset lies in the zone already (`placed`: the same rows, published before), readers keep those files, so the
    commitments are theirs, and so is the run that they name.
    """
    return AuditEvent(
        kind=AuditKind.DATASET_PUBLISHED,
        actor=job.actor.subject,
        at=at,
        zone=Zone.DEV.value,
        run_id=job.run_id,
        dataset_id=str(outcomes["seal"]["dataset_id"]),
        details={
            "source": job.source.name,
            "dataset": job.dataset,
            "schema_version": job.source.schema_version,
            "snapshot_id": outcomes["snapshot"]["snapshot_id"],
            "profile": job.classification.profile.value,
            "agreement": job.classification.agreement,
            "sample": job.fraction,
            "rule_set": job.rule_set,
            "rules": rules_applied(job),
            "code_version": job.code_version,
            "archive": outcomes["seal"]["archive"],
            "token_mode": outcomes["deidentify"]["token_mode"],
            "key_versions": outcomes["deidentify"]["key_versions"],
            "files_of_run": placed.run_id if placed else job.run_id,
            "tables": [_table_summary(table, placed) for table in cast(list[Mapping[str, Any]], outcomes["seal"]["tables"])],
            "became_null": _by_table(cast(Mapping[str, int], outcomes["deidentify"].get("became_null", {}))),
            "scan": _scan_summary(outcomes["scan"]),
            "references": _reference_summary(outcomes["references"]),
            "contracts": {
                side: {key: outcomes[f"{side}-contracts"][key] for key in ("suite", "success", "expectations")}
                for side in ("source", "output")
            },
        },
    )


def rules_applied(job: RefreshJob) -> dict[str, dict[str, str]]:
    """Table to column path to what was done with it; a name that no record takes as its hash."""
    return {
        short_name(table): {short_name(path): rule_id(decision) for path, decision in decisions.items()}
        for table, decisions in job.classification.tables.items()
    }


def rule_id(decision: Decision) -> str:
    """`safe`, `blocked`, or the name of the rule."""
    if decision.verdict is Verdict.SENSITIVE and decision.rule is not None:
        return decision.rule.rule
    return decision.verdict.value


def _table_summary(table: Mapping[str, Any], placed: Placed | None) -> dict[str, Any]:
    commitment = placed.commitments[table["name"]] if placed else table["commitment"]
    counts = {key: table[key] for key in ("rows_in", "rows_out")}
    return {"name": short_name(table["name"]), **counts, "commitment": commitment}


def _by_table(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Counts by `table.column` as table to column to count."""
    tables: dict[str, dict[str, int]] = {}
    for where, count in counts.items():
        table, _, column = where.partition(".")
        tables.setdefault(short_name(table), {})[short_name(column)] = count
    return tables


def _scan_summary(scan: Outcome) -> dict[str, Any]:
    kept = ("kind", "planted", "found", "lower_bound", "floor", "passed")
    return {
        "passed": scan["passed"],
        "findings": len(cast(list[Any], scan["findings"])),
        "notices": len(cast(list[Any], scan["notices"])),
        "cells": scan["cells_scanned"],
        "policy": scan["policy_version"],
        "recall": [{key: each[key] for key in kept} for each in cast(list[Mapping[str, Any]], scan["recall"])],
        "known_recall": [{key: each[key] for key in kept} for each in cast(list[Mapping[str, Any]], scan["known_recall"])],
    }


def _reference_summary(references: Outcome) -> dict[str, int]:
    proofs = cast(list[Mapping[str, Any]], references["references"])
    return {"proven": len(proofs), "orphans": sum(1 for proof in proofs if proof["source"]["orphan_rows"])}


def _table(job: RefreshJob, document: Mapping[str, Any]) -> DatasetTable:
    return DatasetTable(
        name=document["name"],
        path=job.layout.staged_table(job.run_id, document["name"]),
        version=document["version"],
        rows_in=document["rows_in"],
        rows_out=document["rows_out"],
        hashes=TableHashes(**document["hashes"]),
        commitment=document["commitment"],
    )
