"""Takes a snapshot in a process of its own, which a test kills: python -m tests.integration.snapshot_process FOLDER RUN_ID.

`FOLDER` holds keys and lake, `FOLDER/source.json` says what is read. The event log lies in `FOLDER/events`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from tests.spec.snapshot.lab import FixedClock

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.sealed_key_file import SealedKeyFile
from wardlake.adapters.sources import SparkSources
from wardlake.adapters.spark_session import start_session
from wardlake.model.sources import SourceKind, SourceSpec, TableSpec
from wardlake.model.zones import LakeLayout
from wardlake.snapshot.create import create_snapshot

ROOT = Path(__file__).parents[2]


def source_in(folder: Path) -> SourceSpec:
    """The source that `source.json` names: kind, location, secret and its tables."""
    said = json.loads((folder / "source.json").read_text())
    tables = {name: TableSpec(name=name) for name in said["tables"]}
    return SourceSpec(
        name="clinic",
        kind=SourceKind(said["kind"]),
        location=said["location"],
        schema_version="1",
        tables=tables,
        secret=said["secret"],
    )


def start(folder: Path) -> SparkSession:
    (folder / "events").mkdir(exist_ok=True)
    conf = {
        "spark.driver.memory": "1000m",
        "spark.sql.shuffle.partitions": "2",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": f"file://{folder / 'events'}",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    return start_session("snapshot", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf=conf)


def main(folder: Path, run_id: str) -> None:
    tables = DeltaTables(start(folder))
    manifest = create_snapshot(
        source_in(folder),
        reader=SparkSources(tables, secret=lambda reference: reference),
        tables=tables,
        layout=LakeLayout(str(folder / "lake")),
        run_id=run_id,
        keys=SealedKeyFile(folder / "keys.json", folder / "master"),
        objects=DirectoryObjects(folder / "objects"),
        clock=FixedClock(),
        parallel=1,
        progress=lambda line: print(line, flush=True),
    )
    tables.spark.stop()
    print(manifest.snapshot_id, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
