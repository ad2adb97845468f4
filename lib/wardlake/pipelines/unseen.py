"""Publications that were recorded and that no reader ever saw: their run died before the pointer, and is over or made other rows.

A record of its own says so, since none can be taken back.
"""

from __future__ import annotations

from typing import Protocol

from wardlake.audit.archive import query_records, standing_publications
from wardlake.audit.trail import AuditTrail
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.clock import Clock
from wardlake.ports.objects import Objects
from wardlake.ports.registry import Registry
from wardlake.ports.tables import Tables
from wardlake.publish.pointer import read_pointer
from wardlake.runs.engine import RUNS
from wardlake.runs.states import RunState, from_document

PUBLISHING = "publications"  # by run: since when it publishes, whether it began to record, and the datasets that readers saw


class Desk(Protocol):
    """What it takes to tell: a job and a command's ports have it."""

    @property
    def layout(self) -> LakeLayout: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def audit_objects(self) -> Objects: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def trail(self) -> AuditTrail: ...
    @property
    def tables(self) -> Tables: ...


def note_seen(registry: Registry, run_id: str, dataset_id: str) -> None:
    """Remember that readers saw the dataset of a run that publishes; nothing for a run that does not."""
    begun = registry.get(PUBLISHING, run_id)
    if begun is not None and dataset_id not in begun.get("seen", []):
        registry.put(PUBLISHING, run_id, {**begun, "seen": [*begun.get("seen", []), dataset_id]})


def note_all_seen(desk: Desk, source: str) -> None:
    """Remember it of unfinished runs of a source that died just after the pointer, before another run moves it.

    To be called under the source's lock before anything is published or given up.
    """
    for run in (from_document(document) for _, document in desk.registry.find(RUNS)):
        if run.source == source and run.state in (RunState.RUNNING, RunState.HALTED):
            dataset = str(run.arguments.get("dataset", run.source))
            pointer = read_pointer(desk.tables, desk.layout, Zone.DEV, dataset)
            if pointer is not None and pointer.run_id == run.run_id:
                note_seen(desk.registry, run.run_id, pointer.dataset_id)


def unseen_publications(desk: Desk, run_id: str) -> list[AuditRecord]:
    """The records of a run's datasets that no reader saw."""
    begun = desk.registry.get(PUBLISHING, run_id) or {}
    if not begun.get("recording"):
        return []
    recorded = standing_publications(query_records(desk.audit_objects, run_id=run_id))
    return [record for record in recorded if record.event.dataset_id not in begun.get("seen", [])]


def refuse_unseen(desk: Desk, run_id: str, *, actor: str, but: str = "") -> None:
    """Record of each dataset that the run recorded, and that no reader saw, that it was refused; `but` one it is publishing now.

    Raises `AuditUnavailable` where the record cannot be written.
    """
    for record in unseen_publications(desk, run_id):
        published = record.event
        if published.dataset_id == but:
            continue
        event = AuditEvent(
            kind=AuditKind.RUN_REFUSED,
            actor=actor,
            at=desk.clock.now().isoformat(),
            zone=published.zone,
            run_id=run_id,
            dataset_id=published.dataset_id,
            details={"seen": False, "publication": record.sequence},
        )
        desk.trail.append(event)
