"""What a snapshot costs: CPU of checks, hashes and manifest beside a plain copy of the same tables, in one run.

    python -m tests.benchmarks.amplify --from FOLDER --to EXPORT --times 4
    python -m tests.benchmarks.snapshot --from EXPORT [--kind parquet|csv]

Both read the same source and write Delta. CPU is that of the whole process tree. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path

from tests.benchmarks.cost import take_turns

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.adapters.sources import SparkSources
from wardlake.adapters.spark_session import start_session
from wardlake.adapters.system_clock import SystemClock
from wardlake.model.sources import SourceKind, SourceSpec
from wardlake.model.zones import LakeLayout
from wardlake.settings.load import load_settings
from wardlake.snapshot.create import WRAPPING_KEY, create_snapshot
from wardlake.snapshot.raw_tables import type_table
from wardlake.snapshot.verify import verify_snapshot

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="origin", required=True)
    parser.add_argument("--kind", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", default="1500m")
    arguments = parser.parse_args()
    declared = load_settings(ROOT / "conf", "embedded", today=date.today()).source("synthea")
    source = replace(declared, location=str(Path(arguments.origin).resolve()), kind=SourceKind(arguments.kind))
    conf = {"spark.driver.memory": arguments.memory, "spark.sql.shuffle.partitions": "2"}
    spark = start_session("snapshot", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf=conf)
    with tempfile.TemporaryDirectory(prefix="snapshot-") as folder:
        rows, seconds = measure(source, DeltaTables(spark), Path(folder), arguments.repeat)
    spark.stop()
    ratios = {name: round(value / seconds["plain"], 2) for name, value in seconds.items()}
    print(json.dumps({"rows": rows, "cpu_seconds": seconds, "ratio_to_plain": ratios}, indent=2))


def measure(source: SourceSpec, tables: DeltaTables, folder: Path, repeat: int) -> tuple[int, dict[str, float]]:
    """Rows, and the least CPU of each kind, taken in turns after one round that warms up."""
    create_key_file(folder / "keys.json", folder / "master")
    keys = SealedKeyFile(folder / "keys.json", folder / "master")
    keys.create_wrapping_key(WRAPPING_KEY)
    sources = SparkSources(tables, secret=lambda reference: reference)
    objects, layout = DirectoryObjects(folder / "objects"), LakeLayout(str(folder / "lake"))

    def snapshot(turn: int) -> None:
        ports = {"keys": keys, "objects": objects, "clock": SystemClock()}
        taken.append(
            create_snapshot(source, reader=sources, tables=tables, layout=layout, run_id=f"run-{turn}", parallel=1, **ports)
        )

    taken: list = []
    kinds: dict[str, Callable[[int], None]] = {
        "plain": lambda turn: copy_plainly(source, sources, tables, folder / f"plain-{turn}"),
        "snapshot": snapshot,
        "verify": lambda turn: verify_snapshot(taken[turn], tables=tables, layout=layout, keys=keys),
    }
    turns = {name: count() for name in kinds}
    least, _ = take_turns({name: lambda name=name: kinds[name](next(turns[name])) for name in kinds}, repeat)
    return sum(table.hashes.row_count for table in taken[0].tables), least


def copy_plainly(source: SourceSpec, sources: SparkSources, tables: DeltaTables, target: Path) -> None:
    """Read each table as declared and write it, with no check and no hash."""
    with sources.open(source) as opened:
        for table in source.tables.values():
            typed = type_table(table, opened.read(table))
            typed.rows.select(*typed.columns).write.format("delta").save(str(target / table.name))


if __name__ == "__main__":
    main()
