"""`wardlake practices sample`: the bundled records as the change files of practices that share a database."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import FileCapture
from wardlake.model.sources import SourceSpec
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.practices.sample import ENCOUNTER_OF, as_inserts, share_database
from wardlake.settings.load import Settings

NAME = "clinics"
FROM = "synthea"
LOADED_AT = "2026-01-01T00:00:00Z"


def write_sample(settings: Settings, ports: PortsInHand, source: str) -> dict[str, Any]:
    """Write the full load of every table into the folder that `conf/practices/clinics.yaml` names; returns rows by table."""
    spec: SourceSpec = settings.source(source or FROM)
    capture = settings.practices_of(NAME).capture
    if not isinstance(capture, FileCapture):
        raise ConfigurationError(
            what="The sample's practices are captured from change files.", next_step=f"conf/practices/{NAME}.yaml"
        )
    wanted = ("encounters", "patients", *ENCOUNTER_OF)
    rows: dict[str, int] = {}
    with ports.sources.open(spec) as opened:
        read = {name: opened.read(spec.tables[name]) for name in wanted}
        tables = {name: table.rows.drop(*table.inner) for name, table in read.items()}
        for name, table in share_database(tables).items():
            written = _write(as_inserts(table, first=1, at=LOADED_AT), Path(capture.folder) / name)
            rows[name] = pq.read_metadata(written).num_rows
    if capture.heartbeat:
        _beat(Path(capture.folder) / capture.heartbeat, ports.clock.now())
    return {"folder": capture.folder, "rows": rows}


def _beat(folder: Path, now: datetime) -> None:
    """A heartbeat: the load is whole as of now, though nothing changes in it."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / ".writing"
    fresh.write_text(f"Op,change_seq,change_time\nU,{now:%Y%m%d%H%M%S%f},{now.astimezone(UTC).isoformat()}\n", "utf-8")
    fresh.replace(folder / f"{now:%Y%m%d%H%M%S%f}.csv")


def _write(rows: DataFrame, folder: Path) -> Path:
    """One file, as a migration service drops it: whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / ".writing"
    rows.coalesce(1).write.mode("overwrite").parquet(str(scratch))
    (file,) = scratch.glob("*.parquet")
    written = file.replace(folder / "load-00000001.parquet")
    shutil.rmtree(scratch)
    return written
