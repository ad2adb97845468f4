"""The one object a zone's readers follow: which dataset of a source is current."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wardlake.model.errors import VerificationFailed, WardlakeError
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What readers of a zone see. `tables` maps a table to its Delta version; `previous` names what is kept, newest first."""

    dataset_id: str
    run_id: str
    published_at: str  # ISO 8601, UTC
    tables: Mapping[str, int]
    previous: tuple[str, ...] = ()

    @property
    def named(self) -> frozenset[str]:
        """Every dataset that must stay."""
        return frozenset({self.dataset_id, *self.previous})

    def to_json(self) -> bytes:
        content = {
            "dataset_id": self.dataset_id,
            "run_id": self.run_id,
            "published_at": self.published_at,
            "tables": dict(self.tables),
            "previous": list(self.previous),
        }
        return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def read_pointer(tables: Tables, layout: LakeLayout, zone: Zone, source: str) -> Pointer | None:
    """The current pointer, or None where nothing was published yet; raises `VerificationFailed` where it is damaged."""
    path = layout.pointer(zone, source)
    try:
        body = tables.read_bytes(path)
    except FileNotFoundError:
        return None
    try:
        return _parse(json.loads(body))
    except (ValueError, KeyError, TypeError):
        raise VerificationFailed(
            "The pointer to the current dataset is damaged.",
            which=[path],
            next_step="remove it, then refresh: until then readers find no dataset",
        ) from None


def write_pointer(tables: Tables, layout: LakeLayout, zone: Zone, source: str, pointer: Pointer) -> None:
    """Let readers see another dataset: one atomic write."""
    tables.write_bytes(layout.pointer(zone, source), pointer.to_json())


def open_dataset(tables: Tables, layout: LakeLayout, zone: Zone, source: str) -> Mapping[str, str]:
    """Table name to the path of its Delta table, all of one dataset: the one that is current at this moment.

    What was opened stays readable while later runs publish, for as many publications as the zone keeps datasets.
    """
    pointer = read_pointer(tables, layout, zone, source)
    if pointer is None:
        raise WardlakeError(
            f"No dataset of {source} is published in {zone.value}.", next_step=f"wardlake dev refresh --source {source}"
        )
    folder = layout.dataset(zone, source, pointer.dataset_id)
    return {name: f"{folder}/{name}" for name in sorted(pointer.tables)}


def _parse(content: Any) -> Pointer:
    return Pointer(
        dataset_id=str(content["dataset_id"]),
        run_id=str(content["run_id"]),
        published_at=str(content["published_at"]),
        tables={str(name): int(version) for name, version in content["tables"].items()},
        previous=tuple(str(one) for one in content["previous"]),
    )
