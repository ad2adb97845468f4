"""The zones of the lake and where things lie in them.

Each zone has its own prefix, and in production its own bucket, key and role; `LakeLayout.overrides` maps a zone to
another root for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PRACTICES = "practices"  # beside a source's snapshot runs in the raw zone, and so no run's name: what all practices share


class Zone(StrEnum):
    RAW = "raw"
    STAGING = "staging"
    RESTRICTED = "restricted"
    DEV = "dev"
    SYNTHETIC = "synthetic"
    MARTS = "marts"
    POPULATION = "population"
    CANONICAL = "canonical"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class LakeLayout:
    """Where each zone, table and manifest lies, as URIs or local paths. Pure: it touches nothing."""

    root: str
    overrides: Mapping[Zone, str] = field(default_factory=dict)

    def zone(self, zone: Zone) -> str:
        return self.overrides.get(zone, f"{self.root.rstrip('/')}/{zone.value}")

    def raw_table(self, source: str, snapshot_run: str, table: str) -> str:
        """One Delta table per source table and snapshot run."""
        return f"{self.zone(Zone.RAW)}/{source}/{snapshot_run}/{table}"

    def raw_snapshot(self, source: str, snapshot_run: str) -> str:
        """The folder of all raw tables of one snapshot run."""
        return f"{self.zone(Zone.RAW)}/{source}/{snapshot_run}"

    def change_log(self, source: str) -> str:
        """The changes of all practices of a source, in the order in which they came."""
        return f"{self.zone(Zone.RAW)}/{source}/{PRACTICES}/change_log"

    def practice_table(self, source: str, table: str) -> str:
        """One table of all practices of a source, as its changes left it."""
        return f"{self.zone(Zone.RAW)}/{source}/{PRACTICES}/tables/{table}"

    def mart(self, source: str, mart: str) -> str:
        """One mart of all practices of a source, partitioned by practice."""
        return f"{self.zone(Zone.MARTS)}/{source}/{mart}"

    def quarantine(self, source: str, table: str) -> str:
        """What waits of practices that are set aside, of one raw table, partitioned by practice; beside the marts."""
        return f"{self.zone(Zone.MARTS)}/{source}/quarantine_{table}"

    def acknowledged_files(self, source: str) -> str:
        """The names of the change files that are kept."""
        return f"{self.zone(Zone.RESTRICTED)}/practices/{source}/acknowledged_files"

    def snapshots(self, source: str) -> str:
        """The restricted folder with one folder per snapshot run of a source."""
        return f"{self.zone(Zone.RESTRICTED)}/snapshots/{source}"

    def staged_table(self, run_id: str, table: str) -> str:
        return f"{self.staged_dataset(run_id)}/{table}"

    def staged_dataset(self, run_id: str) -> str:
        return f"{self.zone(Zone.STAGING)}/{run_id}/dataset"

    def quarantined_dataset(self, run_id: str) -> str:
        return f"{self.zone(Zone.STAGING)}/quarantine/{run_id}"

    def dataset(self, zone: Zone, source: str, dataset_id: str) -> str:
        return f"{self.zone(zone)}/{source}/datasets/{dataset_id}"

    def pointer(self, zone: Zone, source: str) -> str:
        """The one object that says which dataset of a source readers see."""
        return f"{self.zone(zone)}/{source}/current.json"

    def mapping(self, purpose: str, domain: str) -> str:
        """Token to encrypted identifier, restricted."""
        return f"{self.zone(Zone.RESTRICTED)}/mappings/{purpose}/{domain}"

    def known_values(self, run_id: str) -> str:
        return f"{self.zone(Zone.RESTRICTED)}/known_values/{run_id}"
