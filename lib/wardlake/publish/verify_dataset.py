"""A published dataset, or one restored from the archive, looked at again: with today's detectors and fresh canaries."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.model.treatments import Classification
from wardlake.model.zones import LakeLayout
from wardlake.ports.tables import Tables
from wardlake.publish.residue.known_values.index import KnownValues, load_known_values
from wardlake.publish.residue.known_values.policy import KnownValuePolicy
from wardlake.publish.residue.scan import ResidueReport, ScanMeans, scan_residue


def verify_dataset(
    tables: Tables,
    dataset: Mapping[str, str],
    classification: Classification,
    known: KnownValues | None,
    *,
    means: ScanMeans,
    verification_id: str,
    expected_rows: Mapping[str, int] | None = None,
) -> ResidueReport:
    """Scan a dataset's tables (name to path) as they were scanned before publication.

    `classification` is that of the run that made it. `known` are the known values kept with that run, None where they were
    erased: the report then says nothing of them. `verification_id` names this look, so that its canaries are its own.
    """
    return scan_residue(tables, dataset, classification, known, means=means, run_id=verification_id, expected_rows=expected_rows)


def read_known_values(
    tables: Tables, layout: LakeLayout, run_id: str, *, key: bytes, policy: KnownValuePolicy
) -> KnownValues | None:
    """The known values kept in the restricted zone by a run; None where they are no longer kept."""
    path = layout.known_values(run_id)
    return load_known_values(tables.read(path), key=key, policy=policy) if tables.exists(path) else None
