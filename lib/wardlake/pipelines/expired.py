"""What is past its time: found by looking at the lake, the archive and the registry. Nothing is removed here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from wardlake.audit.retention import count_expired
from wardlake.model.sources import RetentionClass
from wardlake.model.zones import Zone
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.standing import Lying, Removal, Standing, What, find_standing, kept_in_zone, look
from wardlake.publish.archive import Copy, archived_copies, expired_copies, partial_copies
from wardlake.publish.pointer import read_pointer
from wardlake.runs.states import Run
from wardlake.settings.environment import Retention
from wardlake.snapshot.archive import is_archived
from wardlake.snapshot.manifest import list_manifests
from wardlake.snapshot.retention import find_leftovers


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """All that is over, and what would be were it not held."""

    removals: tuple[Removal, ...]
    held: tuple[Removal, ...]


def find_expired(
    ports: PortsInHand, retention: Retention, sources: Collection[str], at_work: Callable[[str, str], bool]
) -> Expired:
    """Everything past its time. The caller holds the locks of these sources, so that no refresh of theirs is at work.

    `at_work` says of a source and a run whether a snapshot is being taken under that name at this moment.
    """
    now = ports.clock.now()
    lying = look(ports, sources)
    standing = find_standing(ports, now - timedelta(days=retention.operational_snapshot_days))
    found = [
        *(_given_up(run) for run in standing.given_up),
        *(each for source in lying.sources for each in _raw(ports, retention, source, standing, now, at_work)),
        *(_staged(run) for run in lying.staging if run not in standing.live),
        *_quarantined(lying, standing, now - timedelta(days=retention.quarantine_days)),
        *_published(ports, lying, standing, retention.published_versions),
        *_archived(ports, lying, standing, retention.published_versions, now),
    ]
    found += [*_known_values(ports, lying, standing, found), *_audit(ports)]
    held = tuple(removal for removal in found if standing.holds(removal))
    return Expired(removals=tuple(removal for removal in found if removal not in held), held=held)


def _given_up(run: Run) -> Removal:
    return Removal(
        what=What.RUN, zone=Zone.STAGING, of=run.source, name=run.run_id, because="nobody went on with it in a snapshot's time"
    )


def _raw(
    ports: PortsInHand,
    retention: Retention,
    source: str,
    standing: Standing,
    now: datetime,
    at_work: Callable[[str, str], bool],
) -> Iterator[Removal]:
    """Operational snapshots past their time, unfinished ones, and files that no kept manifest names."""
    tables, layout = ports.tables, ports.layout
    over = f"older than {retention.operational_snapshot_days} days"
    for manifest in list_manifests(tables, layout, source):
        if RetentionClass(manifest.retention) is not RetentionClass.OPERATIONAL:
            continue
        taken = datetime.fromisoformat(manifest.taken_at)
        if taken + timedelta(days=retention.operational_snapshot_days) > now or manifest.run_id in standing.live:
            for table in manifest.tables:
                if has_strays(ports, table.path, table.version):
                    name = f"{manifest.run_id}/{table.name}"
                    yield Removal(
                        what=What.RAW_FILES, zone=Zone.RAW, of=source, name=name, because="files that no manifest names"
                    )
        else:
            yield Removal(what=What.SNAPSHOT, zone=Zone.RAW, of=source, name=manifest.run_id, because=over)
    for run in find_leftovers(source, running=standing.live, tables=tables, layout=layout):
        if not at_work(source, run) and not is_archived(ports.objects, source, run):
            yield Removal(what=What.RAW_LEFTOVER, zone=Zone.RAW, of=source, name=run, because="its snapshot was never finished")


def has_strays(ports: PortsInHand, path: str, version: int) -> bool:
    """Whether files lie beside a table version that it does not need."""
    live = {file.path.rsplit("/", 1)[1] for file in ports.tables.data_files(path, version)}
    return any(name not in live and not name.startswith(("_", ".")) for name in ports.tables.list_folder(path))


def _staged(run: str) -> Removal:
    return Removal(what=What.STAGING, zone=Zone.STAGING, name=run, because="no run goes on with it")


def _quarantined(lying: Lying, standing: Standing, before: datetime) -> Iterator[Removal]:
    """Refused datasets. One whose record is not found is left alone: nobody can say how old it is."""
    for run in lying.quarantined:
        if run in standing.refused and standing.refused[run] <= before:
            yield Removal(what=What.QUARANTINED, zone=Zone.STAGING, name=run, because="its time in quarantine is over")


def _published(ports: PortsInHand, lying: Lying, standing: Standing, versions: int) -> Iterator[Removal]:
    for name, datasets in lying.datasets.items():
        keep = kept_in_zone(read_pointer(ports.tables, ports.layout, Zone.DEV, name), versions) | standing.sealed
        for dataset in datasets:
            if dataset not in keep:
                because = f"not one of the {versions} newest versions"
                yield Removal(what=What.DATASET, zone=Zone.DEV, of=name, name=dataset, because=because)


def _archived(ports: PortsInHand, lying: Lying, standing: Standing, versions: int, now: datetime) -> Iterator[Removal]:
    """Copies in the archive, but for those of datasets that readers see."""
    seen: set[str] = set()
    for name in lying.datasets:
        seen |= kept_in_zone(read_pointer(ports.tables, ports.layout, Zone.DEV, name), versions)
    expired = set(expired_copies(ports.objects, now))
    whole = [
        copy for copy in archived_copies(ports.objects) if copy.run_id in standing.unpublished or copy.dataset_id not in seen
    ]
    over = [(copy, "its retention is over") for copy in whole if copy in expired]
    over += [(copy, "its run published nothing") for copy in whole if copy not in expired and copy.run_id in standing.unpublished]
    over += [(copy, "it was never whole") for copy in partial_copies(ports.objects)]
    for copy, because in over:
        if copy.run_id not in standing.live and not _is_locked(ports, copy):
            name = f"{copy.dataset_id}/{copy.run_id}"
            yield Removal(what=What.ARCHIVED, zone=Zone.DEV, name=name, because=because)


def _is_locked(ports: PortsInHand, copy: Copy) -> bool:
    """Whether the store itself holds an object of the copy."""
    infos = [ports.objects.info(found.key) for found in ports.objects.list(copy.prefix)]
    now = ports.clock.now()
    return any(info.hold or (info.locked_until is not None and info.locked_until > now) for info in infos)


def _known_values(ports: PortsInHand, lying: Lying, standing: Standing, found: Collection[Removal]) -> Iterator[Removal]:
    """Hashes of a source's identifiers: kept as long as a dataset that they could verify, or a refused one."""
    gone = {(removal.what, removal.name) for removal in found}
    copies = archived_copies(ports.objects)
    kept = {copy.run_id for copy in copies if (What.ARCHIVED, f"{copy.dataset_id}/{copy.run_id}") not in gone}
    kept |= {run for run in lying.quarantined if (What.QUARANTINED, run) not in gone} | standing.live
    for name in lying.datasets:
        pointer = read_pointer(ports.tables, ports.layout, Zone.DEV, name)
        kept |= {pointer.run_id} if pointer else set()
    for run in lying.known_values:
        if run not in kept:
            because = "no dataset is kept that they could verify"
            yield Removal(what=What.KNOWN_VALUES, zone=Zone.RESTRICTED, name=run, because=because)


def _audit(ports: PortsInHand) -> Iterator[Removal]:
    count = count_expired(ports.audit_objects, ports.clock)
    if count:
        yield Removal(what=What.AUDIT, zone=Zone.AUDIT, name=f"the {count} oldest", because="their lock has ended")
