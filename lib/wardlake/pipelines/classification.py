"""`wardlake classify`: what is undecided, and people's decisions on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from wardlake.classify.decisions import write_decision
from wardlake.classify.gate import check_decisions
from wardlake.classify.review import APPROVED, approve, load_approvals, open_requests, request_reviews, review, waiting_reviews
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.identifiers import ColumnPath, column_of, new_run_id
from wardlake.model.identity import Identity
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.sources import RetentionClass, SourceSpec
from wardlake.model.treatments import Decision
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.refresh.classify import gather_evidence, unclassified, undecided
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.snapshot import decided_columns
from wardlake.settings.check import complaints_about
from wardlake.settings.classification import ClassificationFile, Entry, decision_of
from wardlake.settings.load import Settings, with_classifications_read_again
from wardlake.settings.validation import adapter_for, validate
from wardlake.snapshot.create import create_snapshot
from wardlake.snapshot.manifest import list_manifests
from wardlake.snapshot.retention import taking_lock

DECIDING_SECONDS = 30.0  # how long a reviewer waits for another to be done


def check_source(job: RefreshJob) -> dict[str, Any]:
    """Scan a source as it stands now and answer what needs a decision; the snapshot taken for it is erased after."""
    passing = replace(job.source, retention=RetentionClass.OPERATIONAL, legal_basis="")  # also a study's: nothing stays
    with job.registry.lock(taking_lock(job.source.name, job.run_id)):
        evidence = look_at_source(job, passing)
    result = check_decisions(evidence, job.classification, load_approvals(job.registry, job.dataset), name=job.dataset)
    asked = [each.evidence for each in undecided(result)]
    request_reviews(job.registry, source=job.dataset, run_id=job.run_id, evidence=asked, at=job.clock.now().isoformat())
    return {
        "source": job.source.name,
        "columns": len(evidence),
        "unclassified": unclassified(result),
        "unknown": list(result.unknown),
        "lines": result.lines(),
    }


def look_at_source(job: RefreshJob, passing: SourceSpec) -> list[ColumnEvidence]:
    """Evidence on every column of the source as it stands now; nothing of it stays, whether it comes to an end or not."""
    try:
        create_snapshot(
            passing, reader=job.sources, tables=job.tables, layout=job.layout, run_id=job.run_id, keys=job.keys,
            objects=job.objects, clock=job.clock, decided=decided_columns(job.classification),
        )  # fmt: skip
        return gather_evidence(job)
    finally:
        erase_check(job)


def erase_check(job: RefreshJob) -> None:
    """Remove what a look at a source wrote, whether it came to a manifest or not; manifest and secret first."""
    job.tables.delete_folder(f"{job.layout.snapshots(job.source.name)}/{job.run_id}")
    job.tables.delete_folder(job.layout.raw_snapshot(job.source.name, job.run_id))


def new_check_id(ports: PortsInHand, kind: str) -> str:
    """A name for a look at a source that is no refresh."""
    return new_run_id(kind, ports.clock.now(), secrets.token_hex(3))


def parse_column(text: str) -> ColumnPath:
    """`patients.NOTES`, `events.payload$.mrn`; raises `ConfigurationError` for what is no column path."""
    table, dot, path = text.partition(".")
    try:
        return ColumnPath(table, path)
    except ValueError:
        raise ConfigurationError(
            what="That is no column path." if dot else "A column is written TABLE.COLUMN.",
            next_step="e.g. --column patients.NOTES",
        ) from None


def parse_decision(verdict: str, rule: dict[str, Any], kind: str, reason: str) -> Decision:
    """A decision from the command's flags, validated as the file's entries are."""
    entry: dict[str, Any] = {"sensitive": rule} if verdict == "sensitive" else {verdict: True}
    entry |= {"kind": kind} if kind else {}
    document = {"source": "s", "profile": "expert", "token_mode": "keyed", "tables": {"t": {"c": {**entry, "reason": reason}}}}
    value, mistakes = validate(adapter_for(ClassificationFile), document, "the command")
    if mistakes:
        raise ConfigurationError(mistakes)
    found: Entry = value.tables["t"]["c"]
    return decision_of(found)


def review_column(settings: Settings, ports: PortsInHand, name: str, column: ColumnPath, decision: Decision) -> dict[str, Any]:
    """Record a person's decision; it is written into `conf/classification/` at once unless a second person is needed.

    Raises `ConfigurationError`, and neither records nor writes, for a column that nobody knows, and where the classification
    would not hold with it.
    """
    caller = ports.identity.caller()
    with deciding(settings, ports, name) as current:
        path = classification_file(current, name)
        require_known(current, ports, name, column)
        require_consistent(current, name, column, decision)
        outcome = review(
            ports.registry,
            identity=caller,
            source=name,
            column=column,
            decision=decision,
            at=ports.clock.now().isoformat(),
            record=ports.trail.append,
            write=lambda decided: write_decision(path, column.table, column.path, decided),
        )
    return {"column": str(column), "state": outcome.state, "against": list(outcome.kinds), "file": str(path)}


def approve_column(settings: Settings, ports: PortsInHand, name: str, column: ColumnPath, code: str) -> dict[str, Any]:
    """A second person confirms a waiting review; the decision is then written."""
    caller: Identity = ports.identity.second_factor(code) if code else ports.identity.caller()
    with deciding(settings, ports, name) as current:
        path = classification_file(current, name)
        approve(
            ports.registry,
            identity=caller,
            source=name,
            column=column,
            at=ports.clock.now().isoformat(),
            record=ports.trail.append,
            check=lambda waiting: require_consistent(current, name, column, waiting),
            write=lambda confirmed: write_decision(path, column.table, column.path, confirmed),
        )
    return {"column": str(column), "state": APPROVED, "file": str(path)}


@contextmanager
def deciding(settings: Settings, ports: PortsInHand, name: str) -> Iterator[Settings]:
    """The decisions as they are now, nobody else writing to them: what two people decide at once is held together."""
    with ports.registry.lock(f"classification/{name}", wait_seconds=DECIDING_SECONDS):
        yield with_classifications_read_again(settings)


def require_known(settings: Settings, ports: PortsInHand, name: str, column: ColumnPath) -> None:
    """Raise `ConfigurationError` for a column that the newest snapshot lacks and nobody was asked about.

    A decision on it would stop the next refresh. What is inside a column may be absent from time to time, so the column as a
    whole is looked for. Where the source has no snapshot, any column is taken.
    """
    source = settings.classification(name).source
    if (column.table, column.column) in named_columns(settings, ports, name):
        return
    manifests = list_manifests(ports.tables, ports.layout, source)  # last: this is what needs Spark
    if manifests and (column.table, column.column) not in columns_of(manifests[-1]):
        under = "" if name == source else f" --classification {name}"
        raise ConfigurationError(
            what=f"Nobody knows {column}: not the decisions, no open request, not snapshot {manifests[-1].run_id}. "
            "Nothing was written.",
            next_step=f"correct the name; if the column is new at the source: wardlake classify check --source {source}{under}",
        )


def named_columns(settings: Settings, ports: PortsInHand, name: str) -> set[tuple[str, str]]:
    """Table and column of all that is decided, asked about, or waits for a second person."""
    tables = settings.classification(name).tables
    decided = {(table, column_of(path)) for table, decisions in tables.items() for path in decisions}
    asked = [document["evidence"] for document in open_requests(ports.registry, name)]
    waiting = waiting_reviews(ports.registry, name)
    return decided | {(each["table"], column_of(each["path"])) for each in (*asked, *waiting)}


def columns_of(manifest: SnapshotManifest) -> set[tuple[str, str]]:
    """Table and column of all that a snapshot holds."""
    return {(table.name, field["name"]) for table in manifest.tables for field in json.loads(table.schema)["fields"]}


def require_consistent(settings: Settings, name: str, column: ColumnPath, decision: Decision) -> None:
    """Raise `ConfigurationError` where the classification with this decision breaks its profile, a key or a date shift."""
    now, path = settings.classification(name), classification_file(settings, name)
    columns: Mapping[str, Decision] = {**now.tables.get(column.table, {}), column.path: decision}
    then = replace(now, tables={**now.tables, column.table: columns})
    complaints = complaints_about(settings, then)
    if complaints:
        mistakes = [
            Mistake(str(path), 0, f"{table}.{place}: {message}" if table else message) for table, place, message in complaints
        ]
        raise ConfigurationError(
            mistakes,
            what=f"{column} cannot be decided so: the classification would not hold. Nothing was written.",
            next_step="decide it otherwise; both ends of a key are changed together in the file itself",
        )


def classification_file(settings: Settings, name: str) -> Path:
    """The file that holds a source's decisions."""
    if name not in settings.classifications:
        raise ConfigurationError(
            what=f"There is no conf/classification/{name}.yaml.", next_step="write one that names source, profile and token_mode"
        )
    return settings.classifications[name].path
