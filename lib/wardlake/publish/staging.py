"""From staged to published: a dataset is moved into its zone whole, recorded, and then pointed to by one write.

Every step can be repeated: a run that was killed anywhere is run again and ends in the same state.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql.types import StructType

from wardlake.model.errors import WardlakeError
from wardlake.model.snapshots import DatasetTable, TableHashes
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.tables import Tables
from wardlake.publish.pointer import Pointer, read_pointer, write_pointer

MANIFEST = "dataset.json"
_QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A dataset that lies whole in its zone: the run whose files those are, and each table's version and commitment."""

    run_id: str
    versions: Mapping[str, int]
    commitments: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A staged dataset and where it is to be seen. `keep_previous` older datasets stay for readers that opened them."""

    zone: Zone
    source: str
    dataset_id: str
    run_id: str
    published_at: str  # ISO 8601, UTC; the same at every repetition of the run
    tables: tuple[DatasetTable, ...]
    keep_previous: int = 1


def dataset_id(
    secret: bytes, zone: Zone, source: str, hashes: Mapping[str, TableHashes], schemas: Mapping[str, StructType]
) -> str:
    """The dataset's name: `ds-` and 32 hex digits of a HMAC-SHA256 over every table's columns, row sum and count.

    The same rows under the same names and types and the same secret have the same name, however their files are laid out. A
    bare hash would let someone guess the content of a small change; a row sum alone knows no names of columns.
    """
    columns = {name: [[field.name, field.dataType.jsonValue()] for field in schemas[name].fields] for name in hashes}
    rows = {name: [table.rows, table.row_count, columns[name]] for name, table in hashes.items()}
    message = json.dumps(["dataset", zone.value, source, rows], sort_keys=True, separators=(",", ":"))
    return f"ds-{hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()[:32]}"


def publish_dataset(tables: Tables, layout: LakeLayout, publication: Publication, *, record: Callable[[], None]) -> Pointer:
    """Make a checked dataset the one that readers see; `record` writes the audit record and raises if it cannot.

    In order: record, move the tables into the zone, point, retire older datasets, empty the staging folder. Nothing lies in
    the zone that is not recorded, and what cannot be published for want of a table is not recorded. Readers see the old
    dataset until the one write of the pointer, and the new one after it. `record` is called again for a run that was killed
    between recording and pointing; it is not called for a dataset that this run has published already.
    """
    current = read_pointer(tables, layout, publication.zone, publication.source)
    if current is None or (current.run_id, current.dataset_id) != (publication.run_id, publication.dataset_id):
        _require_staged(tables, layout, publication)
        record()
        versions = move_into_place(tables, layout, publication)
        current = _next_pointer(current, publication, versions)
        write_pointer(tables, layout, publication.zone, publication.source, current)
    retire_datasets(tables, layout, publication.zone, publication.source, keep=current.named)
    tables.delete_folder(_run_folder(layout, publication.run_id))
    return current


def move_into_place(tables: Tables, layout: LakeLayout, publication: Publication) -> Mapping[str, int]:
    """Move the staged tables below the zone, where nothing points to them yet; table to Delta version.

    The manifest is written last and says that the folder is whole. A dataset that is whole already is left alone:
    the same name means the same rows.
    """
    target = layout.dataset(publication.zone, publication.source, publication.dataset_id)
    placed = find_placed(tables, layout, publication.zone, publication.source, publication.dataset_id)
    if placed is not None:
        return placed.versions
    _require_staged(tables, layout, publication)
    tables.move_folder(layout.staged_dataset(publication.run_id), target)
    tables.write_bytes(f"{target}/{MANIFEST}", _manifest(publication))
    return {table.name: table.version for table in publication.tables}


def find_placed(tables: Tables, layout: LakeLayout, zone: Zone, source: str, name: str) -> Placed | None:
    """What lies in the zone under a dataset's name, None where it is not whole."""
    try:
        content = json.loads(tables.read_bytes(f"{layout.dataset(zone, source, name)}/{MANIFEST}"))
    except FileNotFoundError:
        return None
    return Placed(
        run_id=content["run_id"],
        versions={table["name"]: table["version"] for table in content["tables"]},
        commitments={table["name"]: table["commitment"] for table in content["tables"]},
    )


def quarantine_dataset(tables: Tables, layout: LakeLayout, run_id: str, reasons: Sequence[str]) -> str:
    """Put a staged dataset that failed a gate aside, with the reasons (names and counts only); the folder it lies in.

    It stays in the staging zone: no reader of a target zone can list it.
    """
    staged, target = layout.staged_dataset(run_id), layout.quarantined_dataset(run_id)
    if tables.list_folder(staged):
        tables.move_folder(staged, target)
    if not tables.list_folder(target):
        raise WardlakeError("There is no staged dataset to quarantine.", which=[staged])
    tables.write_bytes(f"{target}/reasons.json", json.dumps({"run_id": run_id, "reasons": list(reasons)}).encode())
    tables.delete_folder(_run_folder(layout, run_id))
    return target


def recover(
    tables: Tables,
    layout: LakeLayout,
    *,
    zone: Zone,
    source: str,
    live_runs: Collection[str],
    keep: Collection[str] = (),
) -> list[str]:
    """Remove what dead runs left: staging of runs that are not `live_runs`, and datasets nobody names; what was removed.

    To be called by a run that holds the source's lock, with itself among `live_runs`. `keep` names datasets of runs that
    are recorded and may still be resumed. Quarantined datasets stay until their retention ends.
    """
    root = layout.zone(Zone.STAGING)
    dead = [name for name in tables.list_folder(root) if name != _QUARANTINE and name not in live_runs]
    for name in dead:
        tables.delete_folder(f"{root}/{name}")
    current = read_pointer(tables, layout, zone, source)
    named = current.named if current else frozenset()
    return [*dead, *retire_datasets(tables, layout, zone, source, keep={*named, *keep})]


def retire_datasets(tables: Tables, layout: LakeLayout, zone: Zone, source: str, *, keep: Collection[str]) -> list[str]:
    """Remove every dataset of a source that is not to be kept; the archive still has it."""
    folder = layout.dataset(zone, source, "").rstrip("/")
    retired = [name for name in tables.list_folder(folder) if name not in keep]
    for name in retired:
        tables.delete_folder(f"{folder}/{name}/{MANIFEST}")  # first: a folder half removed must not look whole
        tables.delete_folder(f"{folder}/{name}")
    return retired


def _next_pointer(current: Pointer | None, publication: Publication, versions: Mapping[str, int]) -> Pointer:
    older: tuple[str, ...] = (current.dataset_id, *current.previous) if current else ()
    others = tuple(one for one in older if one != publication.dataset_id)
    pointer = Pointer(
        dataset_id=publication.dataset_id,
        run_id=publication.run_id,
        published_at=publication.published_at,
        tables=versions,
    )
    return replace(pointer, previous=others[: publication.keep_previous])


def _manifest(publication: Publication) -> bytes:
    """What engineers may know of a dataset: counts and commitments, never a bare hash."""
    rows = [
        {"name": t.name, "version": t.version, "rows": t.rows_out, "commitment": t.commitment}
        for t in sorted(publication.tables, key=lambda t: t.name)
    ]
    content = {
        "dataset_id": publication.dataset_id,
        "run_id": publication.run_id,
        "source": publication.source,
        "zone": publication.zone.value,
        "tables": rows,
    }
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _require_staged(tables: Tables, layout: LakeLayout, publication: Publication) -> None:
    """Every table is staged, or in its place already where a run was killed after the move."""
    target = layout.dataset(publication.zone, publication.source, publication.dataset_id)
    present = set(tables.list_folder(layout.staged_dataset(publication.run_id)) or tables.list_folder(target))
    missing = [table.name for table in publication.tables if table.name not in present]
    if missing:
        raise WardlakeError("Staged tables are missing, so nothing was published.", which=missing)


def _run_folder(layout: LakeLayout, run_id: str) -> str:
    return layout.staged_dataset(run_id).rsplit("/", 1)[0]
