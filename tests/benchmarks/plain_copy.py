"""What a plain Spark job costs that reads Delta tables and writes them again as they are.

    python -m tests.benchmarks.plain_copy --to FOLDER [--memory 3g] TABLE...

The yardstick of `tests.benchmarks.refresh`, in a process of its own as any job has: nothing is compiled or cached before. Prints
the CPU seconds of its process tree, from the session's start on, as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.cost import cpu_of

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.spark_session import start_session

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Copy every table named once, and say what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--memory", default="3g")
    parser.add_argument("tables", nargs="+")
    asked = parser.parse_args()
    conf = {"spark.driver.memory": asked.memory, "spark.sql.shuffle.partitions": "8"}
    tables = DeltaTables(start_session("plain-copy", jar_folder=ROOT / ".tools" / "jars", conf=conf))

    def copy() -> None:
        for number, path in enumerate(asked.tables):
            tables.replace(str(asked.to / str(number)), tables.read(path))

    print(json.dumps({"cpu_seconds": cpu_of(copy)}))


def cost_of_copies(paths: list[str], scratch: Path, memory: str, times: int) -> list[float]:
    """CPU seconds of that many copies, each in a fresh process."""
    found = []
    for _ in range(times):
        command = [sys.executable, "-m", "tests.benchmarks.plain_copy", "--to", str(scratch / "copy"), "--memory", memory, *paths]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
        found.append(float(json.loads(told)["cpu_seconds"]))
        shutil.rmtree(scratch / "copy")
    return found


if __name__ == "__main__":
    main()
