"""What a snapshot and a published dataset are: manifests, hashes and commitments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHashes:
    """Two hashes of one table version; both stay in the restricted manifest.

    `files` is the Merkle root over the SHA-256 of each data file of the Delta version; `rows` is `sum(xxhash64(row))` as
    decimal text, which survives re-layout.
    """

    files: str
    rows: str
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSnapshot:
    """One table of a snapshot: the Delta table, its version, its hashes and its commitment.

    `schema` is Spark's schema JSON. `commitment` is the HMAC of the hashes under the snapshot's secret: the only thing that
    leaves the raw zone.
    """

    name: str
    path: str
    version: int
    schema: str
    hashes: TableHashes
    commitment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotManifest:
    """All that a snapshot is. Restricted: it holds bare hashes. `snapshot_id` is the commitment to all the rest."""

    snapshot_id: str
    source: str
    run_id: str
    taken_at: str  # ISO 8601, UTC
    schema_version: str
    position: Mapping[str, str]  # source position: LSN and exported snapshot, or file names with sizes and SHA-256
    retention: str
    legal_basis: str
    tables: tuple[TableSnapshot, ...]
    secret_version: int = 1
    extra: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> TableSnapshot:
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetTable:
    """One table of a staged or published dataset."""

    name: str
    path: str
    version: int
    rows_in: int
    rows_out: int
    hashes: TableHashes
    commitment: str
