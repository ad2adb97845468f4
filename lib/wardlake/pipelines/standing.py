"""What lies in the lake, and what of it stays whatever its age: runs that can go on, holds, what readers see."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wardlake.audit.archive import read_records, standing_publications
from wardlake.audit.retention import held_records
from wardlake.model.audit import AuditKind, AuditRecord
from wardlake.model.zones import Zone
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.publish.pointer import Pointer
from wardlake.runs.engine import RUNS
from wardlake.runs.states import Run, RunState, from_document

QUARANTINE = "quarantine"


class What(StrEnum):
    """What can be past its time, in the order in which it is removed."""

    RUN = "run"
    SNAPSHOT = "snapshot"
    RAW_LEFTOVER = "raw-leftover"
    RAW_FILES = "raw-files"
    STAGING = "staging"
    QUARANTINED = "quarantined-dataset"
    DATASET = "dataset"
    ARCHIVED = "archived-dataset"
    KNOWN_VALUES = "known-values"
    AUDIT = "audit-records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that is over. `of` is its source or dataset, empty where it has none; `name` is a run, dataset or table."""

    what: What
    zone: Zone
    name: str
    because: str
    of: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.of}/{self.name}" if self.of else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """What lies in the lake by name, listed before the registry is asked: a run stands in the registry before it writes."""

    sources: tuple[str, ...]
    staging: tuple[str, ...]
    quarantined: tuple[str, ...]
    known_values: tuple[str, ...]
    datasets: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stays whatever its age, and which runs are over.

    `given_up` are unfinished runs that nobody went on with, `unpublished` all that ended without a dataset, those included;
    `sealed` are datasets of runs that can go on, `refused` says when a run's dataset was quarantined.
    """

    live: frozenset[str]
    given_up: tuple[Run, ...]
    unpublished: frozenset[str]
    sealed: frozenset[str]
    refused: Mapping[str, datetime]
    held_runs: frozenset[str]
    held_datasets: frozenset[str]

    def holds(self, removal: Removal) -> bool:
        """Whether a legal hold on its run or dataset keeps it."""
        names = {removal.name, *removal.name.split("/")}
        return bool(names & (self.held_runs | self.held_datasets))


def known_sources(ports: PortsInHand) -> list[str]:
    """Every source that has something in the lake or in the registry, also one that the configuration no longer names."""
    of_runs = (str(document["source"]) for _, document in ports.registry.find(RUNS))
    raw, snapshots = ports.layout.zone(Zone.RAW), ports.layout.snapshots("").rstrip("/")
    return sorted({*of_runs, *ports.tables.list_folder(raw), *ports.tables.list_folder(snapshots)})


def look(ports: PortsInHand, sources: Collection[str]) -> Lying:
    """What lies in the zones."""
    tables, layout = ports.tables, ports.layout
    staging = tables.list_folder(layout.zone(Zone.STAGING))
    names = tables.list_folder(layout.zone(Zone.DEV))
    datasets = {name: tuple(tables.list_folder(layout.dataset(Zone.DEV, name, "").rstrip("/"))) for name in names}
    return Lying(
        sources=tuple(sources),
        staging=tuple(name for name in staging if name != QUARANTINE),
        quarantined=tuple(tables.list_folder(layout.quarantined_dataset("").rstrip("/"))),
        known_values=tuple(tables.list_folder(layout.known_values("").rstrip("/"))),
        datasets={name: below for name, below in datasets.items() if below},
    )


def find_standing(ports: PortsInHand, begun_before: datetime) -> Standing:
    """Runs that can go on, those that nobody went on with for as long as a snapshot is kept, and legal holds."""
    records = list(read_records(ports.audit_objects))
    held = held_records(ports.audit_objects, records)
    held_runs = frozenset(record.event.run_id for record in held) - {""}
    runs = [from_document(document) for _, document in ports.registry.find(RUNS)]
    unfinished = [run for run in runs if run.state in (RunState.RUNNING, RunState.HALTED)]
    given_up = tuple(
        run for run in unfinished if datetime.fromisoformat(run.started_at) <= begun_before and run.run_id not in held_runs
    )
    live = [run for run in unfinished if run not in given_up]
    over = {run.run_id for run in runs if run.state is RunState.REFUSED or run in given_up}
    return Standing(
        unpublished=frozenset(over - {record.event.run_id for record in standing_publications(records)}),
        refused=_times(records, AuditKind.DATASET_QUARANTINED),
        live=frozenset(run.run_id for run in live),
        given_up=given_up,
        sealed=frozenset(str(run.steps["seal"].outcome["dataset_id"]) for run in live if "seal" in run.steps),
        held_runs=held_runs,
        held_datasets=frozenset(record.event.dataset_id for record in held) - {""},
    )


def kept_in_zone(pointer: Pointer | None, versions: int) -> frozenset[str]:
    """The dataset that readers see, and the older ones that the environment keeps for whoever opened them."""
    return frozenset({pointer.dataset_id, *pointer.previous[: max(versions - 1, 0)]}) if pointer else frozenset()


def _times(records: Collection[AuditRecord], kind: AuditKind) -> dict[str, datetime]:
    """When each run has its newest record of a kind."""
    return {r.event.run_id: datetime.fromisoformat(r.event.at) for r in records if r.event.kind is kind}
