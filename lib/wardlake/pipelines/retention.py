"""`wardlake retention apply`: what is past its time is found, recorded, and then removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from wardlake.audit.names import short_name
from wardlake.audit.retention import remove_expired
from wardlake.audit.trail import with_record
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.errors import NotAllowed, RunLocked
from wardlake.model.identity import Identity, Role
from wardlake.model.zones import LakeLayout, Zone
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.expired import find_expired
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.standing import Removal, What, known_sources
from wardlake.pipelines.unseen import note_all_seen, refuse_unseen
from wardlake.publish.archive import Copy, erase_archived_copy
from wardlake.publish.pointer import read_pointer, write_pointer
from wardlake.publish.staging import MANIFEST
from wardlake.runs.engine import load_run, lock_name, save_run
from wardlake.runs.states import RunState
from wardlake.settings.environment import Retention
from wardlake.snapshot.manifest import read_manifest
from wardlake.snapshot.retention import expire_snapshot, remove_leftover, taking_lock

LOCK = "retention"


def apply_retention(ports: PortsInHand, retention: Retention, *, dry_run: bool) -> dict[str, Any]:
    """Remove what is over, recorded first; a dry run only says what that is. Audit records are left to compliance.

    No refresh of any source runs meanwhile: raises `RunLocked` where one does. Raises `AuditUnavailable` where the record cannot
    be written, and then removes nothing. A killed application is finished by the next.
    """
    actor = ports.identity.caller()
    if not actor.roles & {Role.PIPELINE, Role.COMPLIANCE}:
        raise NotAllowed("Applying retention takes the role pipeline, or compliance for the audit.", which=[actor.subject])
    with every_source_locked(ports) as sources:
        expired = find_expired(ports, retention, sources, lambda source, run: at_work(ports, source, run))
        mine = [removal for removal in expired.removals if role_for(removal) in actor.roles]
        sequence = 0
        if mine and not dry_run:
            event = retention_event(mine, actor, ports.clock.now().isoformat())
            record = with_record(ports.trail, event, lambda written: remove(ports, mine, written))
            sequence = record.sequence
    return {
        "applied": not dry_run,
        "over": [document(removal) for removal in mine],
        "held": [document(removal) for removal in expired.held],
        "left": [document(removal) for removal in expired.removals if removal not in mine],
        "audit_sequence": sequence or None,
    }


def role_for(removal: Removal) -> Role:
    """Who may remove it: the pipeline its own, and no audit record."""
    return Role.COMPLIANCE if removal.what is What.AUDIT else Role.PIPELINE


@contextmanager
def every_source_locked(ports: PortsInHand) -> Iterator[list[str]]:
    """The sources, each under the lock that its refresh takes; raises `RunLocked` at the first that is at work."""
    with ExitStack() as locks:
        locks.enter_context(ports.registry.lock(LOCK))
        sources = known_sources(ports)
        for source in sources:
            locks.enter_context(ports.registry.lock(lock_name(PLAN, source)))
        yield sources


def at_work(ports: PortsInHand, source: str, run_id: str) -> bool:
    """Whether a snapshot is being taken under this name outside of a refresh."""
    try:
        with ports.registry.lock(taking_lock(source, run_id)):
            return False
    except RunLocked:
        return True


def retention_event(removals: Sequence[Removal], actor: Identity, at: str) -> AuditEvent:
    """What is about to go, by name."""
    kinds = {removal.what for removal in removals}
    named = {
        what.value: [short_name(removal.full_name) for removal in removals if removal.what is what]
        for what in What
        if what in kinds
    }
    return AuditEvent(kind=AuditKind.RETENTION_APPLIED, actor=actor.subject, at=at, details={"removed": named})


def remove(ports: PortsInHand, removals: Sequence[Removal], written: AuditRecord) -> AuditRecord:
    """Remove each of them, in the vocabulary's order; answers the record that says so."""
    trim_pointers(ports, removals)
    for what in What:
        for removal in removals:
            if removal.what is what:
                remove_one(ports, removal, written)
    return written


def remove_one(ports: PortsInHand, removal: Removal, written: AuditRecord) -> None:
    tables, layout, name = ports.tables, ports.layout, removal.name
    match removal.what:
        case What.RUN:
            give_up(ports, name, written.event.actor)
        case What.SNAPSHOT:
            manifest = read_manifest(tables, layout, removal.of, name)
            if manifest is not None:
                expire_snapshot(manifest, tables=tables, layout=layout)
        case What.RAW_LEFTOVER:
            remove_leftover(removal.of, name, tables=tables, layout=layout)
        case What.RAW_FILES:
            remove_strays(ports, removal.of, *name.split("/", 1))
        case What.STAGING | What.QUARANTINED | What.KNOWN_VALUES:
            tables.delete_folder(folder_of(layout, removal))
        case What.DATASET:
            folder = layout.dataset(Zone.DEV, removal.of, name)
            tables.delete_folder(f"{folder}/{MANIFEST}")  # first: a folder half removed must not look whole
            tables.delete_folder(folder)
        case What.ARCHIVED:
            erase_archived_copy(ports.objects, Copy(*name.split("/", 1)))
        case What.AUDIT:
            said = replace(written.event, at=ports.clock.now().isoformat(), details={})
            remove_expired(ports.trail, ports.audit_objects, ports.clock, event=said)
        case _:
            raise ValueError(f"nothing removes {removal.what}")


def folder_of(layout: LakeLayout, removal: Removal) -> str:
    match removal.what:
        case What.STAGING:
            return f"{layout.zone(Zone.STAGING)}/{removal.name}"
        case What.QUARANTINED:
            return layout.quarantined_dataset(removal.name)
        case What.KNOWN_VALUES:
            return layout.known_values(removal.name)
    raise ValueError(f"{removal.what} is no folder of its own")


def give_up(ports: PortsInHand, run_id: str, actor: str) -> None:
    """An unfinished run that nobody goes on with is over, and so is a dataset that it recorded and nobody saw."""
    run = load_run(ports.registry, run_id)
    if run is not None:
        note_all_seen(ports, run.source)
        refuse_unseen(ports, run_id, actor=actor)
        save_run(ports.registry, run.ended(RunState.REFUSED, exit_code=run.exit_code, step=run.halted_at))


def remove_strays(ports: PortsInHand, source: str, run_id: str, table: str) -> None:
    manifest = read_manifest(ports.tables, ports.layout, source, run_id)
    if manifest is not None:
        kept = manifest.table(table)
        ports.tables.vacuum(kept.path, keep_versions=(kept.version,))


def trim_pointers(ports: PortsInHand, removals: Sequence[Removal]) -> None:
    """Let no pointer name a dataset that is about to go."""
    for name in sorted({removal.of for removal in removals if removal.what is What.DATASET}):
        pointer = read_pointer(ports.tables, ports.layout, Zone.DEV, name)
        going = {removal.name for removal in removals if (removal.what, removal.of) == (What.DATASET, name)}
        if pointer is not None and going & set(pointer.previous):
            trimmed = replace(pointer, previous=tuple(one for one in pointer.previous if one not in going))
            write_pointer(ports.tables, ports.layout, Zone.DEV, name, trimmed)


def document(removal: Removal) -> dict[str, str]:
    return {
        "what": removal.what.value,
        "zone": removal.zone.value,
        "of": removal.of,
        "name": removal.name,
        "because": removal.because,
    }


def describe(done: Mapping[str, Any]) -> str:
    """What the command says to people."""
    if not done["over"] and not done["held"] and not done["left"]:
        return "nothing is past its time"
    verb = "removed" if done["applied"] else "would remove"
    lines = [f"{verb}  {_line(each)}" for each in done["over"]]
    lines += [f"held: stays  {_line(each)}" for each in done["held"]]
    lines += [f"left to another role  {_line(each)}" for each in done["left"]]
    return "\n".join(lines)


def _line(each: Mapping[str, str]) -> str:
    name = f"{each['of']}/{each['name']}" if each["of"] else each["name"]
    return f"{each['what']:<20} {name}  ({each['because']})"
