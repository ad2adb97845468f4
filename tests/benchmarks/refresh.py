"""What a whole refresh costs beside a plain Spark copy of the same tables, step by step.

    python -m tests.benchmarks.refresh --from FOLDER [--memory 3g] [--scratch FOLDER]

FOLDER holds an export as Parquet, e.g. one that `tests.benchmarks.amplify` made. Each side runs in fresh processes, as jobs do,
CPU of the whole process tree from the session's start on: the snapshot alone, then the steps of the promise with nothing compiled
before, then three copies of the raw tables, of which the median counts (`tests.benchmarks.plain_copy`). A copy in the process
of the promised steps, already compiled, is told beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.cost import cpu_of
from tests.benchmarks.plain_copy import cost_of_copies

from wardlake.adapters.spark_session import start_session
from wardlake.pipelines.key_making import create_keys, domains_needed
from wardlake.pipelines.refresh.run import run_refresh
from wardlake.ports.tables import Tables
from wardlake.runs.engine import load_run
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.snapshot.manifest import find_manifest
from wardlake.wiring import Wiring

ROOT = Path(__file__).parents[2]
# What the promise of six times speaks of; the snapshot and the contracts are told beside it.
PROMISED = ("classify", "deidentify", "references", "scan", "seal", "publish", "report")
COPIES = 3


class Quiet:
    """Nobody watches."""

    def started(self, step: object, number: int, of: int) -> None: ...
    def skipped(self, step: object, number: int, of: int) -> None: ...
    def finished(self, step: object, record: object) -> None: ...
    def failed(self, step: object, seconds: float) -> None: ...


def main() -> None:
    """Print the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="origin", type=Path, required=True)
    parser.add_argument("--memory", default="3g")
    parser.add_argument("--scratch", type=Path, default=None, help="where the lake lies while this runs")
    parser.add_argument("--snapshot", action="store_true", help="only take the snapshot into --scratch")
    asked = parser.parse_args()
    if asked.snapshot:
        refresh(asked.scratch, asked.memory, only="snapshot")
        return
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        print(json.dumps(measure(asked.origin.resolve(), Path(scratch), asked.memory), indent=2))


def refresh(scratch: Path, memory: str, *, only: str = "") -> tuple[Wiring, Mapping[str, Any]]:
    """Refresh as configured in `scratch`, or go on with the run there; what it was wired with and what it answered."""
    settings = load_settings(scratch / "conf", "embedded", today=today())
    conf = {"spark.driver.memory": memory, "spark.sql.shuffle.partitions": "8"}
    spark = start_session("wardlake-refresh-benchmark", jar_folder=ROOT / ".tools" / "jars", conf=conf)
    wiring = Wiring(environment=settings.environment, lake=str(scratch / "lake"), root=settings.root, session=lambda: spark)
    if only:
        create_keys(wiring, domains_needed(settings.classification("synthea")))
    answer = run_refresh(
        settings, wiring, source="synthea", classification="", sample="100%", run_id="", only=only, fresh=False,
        progress=Quiet(), told=lambda _: None,
    )  # fmt: skip
    return wiring, answer


def measure(origin: Path, scratch: Path, memory: str) -> Mapping[str, Any]:
    """Ratios to the plain copy, by step and in all."""
    configure(origin, scratch)
    first = [sys.executable, "-m", "tests.benchmarks.refresh", "--snapshot", "--from", str(origin), "--scratch", str(scratch)]
    subprocess.run([*first, "--memory", memory], check=True, cwd=ROOT)
    wiring, answer = refresh(scratch, memory)
    run = load_run(wiring.registry, answer["run_id"])
    assert run is not None
    raw = [table.path for table in find_manifest(wiring.tables, wiring.layout, "synthea", answer["run_id"]).tables]
    warm = cost_of_copy(wiring.tables, raw, scratch / "copy")
    wiring.session().stop()
    copies = cost_of_copies(raw, scratch, memory, COPIES)
    copy = statistics.median(copies)
    cpu = {name: step.cpu_seconds for name, step in run.steps.items()}
    return {
        "rows": sum(table["rows_in"] for table in answer["tables"]),
        "copies_cpu_seconds": copies,
        "warm_copy_cpu_seconds": round(warm, 1),
        "cpu_seconds_by_step": {name: round(seconds, 1) for name, seconds in cpu.items()},
        "cpu_seconds_promised_steps": round(sum(cpu.get(name, 0.0) for name in PROMISED), 1),
        "ratio_by_step": {name: round(seconds / copy, 2) for name, seconds in cpu.items()},
        "ratio_promised_steps": round(sum(cpu.get(name, 0.0) for name in PROMISED) / copy, 2),
        "ratio_all_steps": round(sum(cpu.values()) / copy, 2),
    }


def configure(origin: Path, scratch: Path) -> None:
    """The repository's configuration, with the source read from Parquet files at `origin`."""
    shutil.copytree(ROOT / "conf", scratch / "conf")
    (scratch / "expectations").symlink_to(ROOT / "expectations")
    source = scratch / "conf" / "sources" / "synthea.yaml"
    lines = source.read_text("utf-8").splitlines()
    changed = [
        "kind: parquet" if line.startswith("kind:") else f"location: {origin}" if line.startswith("location:") else line
        for line in lines
        if not line.startswith("read:")
    ]
    source.write_text("\n".join(changed) + "\n", "utf-8")


def cost_of_copy(tables: Tables, raw: list[str], target: Path) -> float:
    """CPU seconds of reading every raw table and writing it again as it is, in the process that refreshed them."""

    def copy() -> None:
        for number, path in enumerate(raw):
            tables.replace(str(target / str(number)), tables.read(path))

    cost = cpu_of(copy)
    shutil.rmtree(target)
    return cost


if __name__ == "__main__":
    main()
