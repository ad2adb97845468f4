"""Publishes one staged dataset and dies before the write it is told to: `staging_script.py LAKE NUMBER DIES_BEFORE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.spec.publish.folder_tables import DyingTables

from wardlake.model.snapshots import DatasetTable, TableHashes
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.tables import Tables
from wardlake.publish.staging import Publication, publish_dataset, recover


def publication(number: int) -> Publication:
    hashes = TableHashes(files="f", rows="r", row_count=1)
    tables = tuple(
        DatasetTable(name=name, path="", version=number, rows_in=1, rows_out=1, hashes=hashes, commitment="c")
        for name in ("patients", "visits")
    )
    return Publication(
        zone=Zone.DEV,
        source="clinic",
        dataset_id=f"ds-{number}",
        run_id=f"dev-{number}",
        published_at=f"2026-01-0{number}T00:00:00+00:00",
        tables=tables,
    )


def stage_folders(layout: LakeLayout, number: int) -> None:
    """Two folders that stand for Delta tables; every file says which dataset it is of."""
    for table in ("patients", "visits"):
        folder = Path(layout.staged_table(f"dev-{number}", table), "_delta_log")
        folder.mkdir(parents=True)
        (folder / "0.json").write_text(f"{table} of {number}")


def main(lake: str, number: int, dies_before: int) -> None:
    layout = LakeLayout(lake)
    tables = cast(Tables, DyingTables(dies_before))
    one = publication(number)
    recover(tables, layout, zone=Zone.DEV, source="clinic", live_runs={one.run_id}, keep={one.dataset_id})
    audit = Path(lake, "audit.txt")

    def record() -> None:
        recorded = audit.read_text().split() if audit.exists() else []
        tables.write_bytes(str(audit), "\n".join([*(r for r in recorded if r != one.run_id), one.run_id]).encode())

    publish_dataset(tables, layout, one, record=record)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
