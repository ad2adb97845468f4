"""`python -m tests.end_to_end.refresh_and_die FOLDER POINT...`: the clinic's refresh, gone on with and killed at each point.

A point is `start:STEP` (as the step begins), `end:STEP` (all of it done, its outcome not yet saved) or `midst:STEP` (between
two of its writes). Every try is a process of its own, killed by SIGKILL; one killed in the midst takes its engine with it.
The others leave it idle, and share one, as under spark-submit: a start then costs a second instead of ten.
After each try one JSON line says what readers could see.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from tests.end_to_end.clinic import ROOT, Clinic, Quiet

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.spark_session import DELTA, jars
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.runs.engine import RUNS
from wardlake.wiring import Wiring

# The write of a step before which it is killed: what the path or key holds, and the how-manyeth it is.
MIDST = {"snapshot": ("/raw/", 2), "deidentify": ("/staging/", 2), "seal": ("/files/", 3), "publish": ("current.json", 1)}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_the_engine() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


class Fuse:
    """Burns down with every write to a place; then the process dies."""

    def __init__(self, place: str, writes: int) -> None:
        self._place, self._left = place, writes

    def burn(self, place: str) -> None:
        self._left -= self._place in place
        if self._left <= 0:
            die_with_the_engine()


class DyingRegistry(SqliteRegistry):
    """Kills the process that would save the step's outcome."""

    def __init__(self, path: Path, step: str) -> None:
        super().__init__(path)
        self._step = step

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        if collection == RUNS and self._step in document["steps"]:
            die()
        super().put(collection, key, document)


class DyingTables(DeltaTables):
    """Kills the process before a write."""

    fuse: Fuse

    def replace(self, path: str, rows: Any, **options: Any) -> int:
        self.fuse.burn(path)
        return super().replace(path, rows, **options)

    def write_bytes(self, path: str, body: bytes) -> None:
        self.fuse.burn(path)
        super().write_bytes(path, body)


class DyingObjects(DirectoryObjects):
    """Kills the process before a put."""

    fuse: Fuse

    def put_file(self, key: str, path: Path, **options: Any) -> None:
        self.fuse.burn(key)
        super().put_file(key, path, **options)


class DyingWiring(Wiring):
    """The clinic's wiring with what dies in the place of what would go on."""

    ends: str = ""
    fuse: Fuse | None = None

    @cached_property
    def registry(self) -> Any:
        path = Path(self.lake) / "restricted" / "registry.db"
        return DyingRegistry(path, self.ends) if self.ends else SqliteRegistry(path)

    @cached_property
    def tables(self) -> Any:
        return self._fused(DyingTables(super().tables.spark))

    @cached_property
    def objects(self) -> Any:
        return self._fused(DyingObjects(Path(self.lake) / "audit" / "objects", clock=self.clock))

    def _fused(self, thing: Any) -> Any:
        thing.fuse = self.fuse or Fuse("\0", 1)
        return thing


class DyingClinic(Clinic):
    """A clinic whose refresh dies at a point."""

    point: str = ""

    def wiring(self) -> Wiring:
        plain = super().wiring()
        when, _, step = self.point.partition(":")
        wiring = DyingWiring(environment=plain.environment, lake=plain.lake, root=plain.root, session=plain.session)
        wiring.__dict__.update(ends=step if when == "end" else "", fuse=Fuse(*MIDST[step]) if when == "midst" else None)
        return wiring


def refresh_and_die(folder: Path, point: str) -> None:
    when, _, step = point.partition(":")
    clinic = DyingClinic(folder=folder, progress=Quiet(at={step: die} if when == "start" else {}))
    clinic.__dict__["point"] = point
    clinic.refresh()


def in_a_process(do: Callable[[], None], **variables: str) -> int:
    """How a child that does this ends: the negative number of a signal, or its exit code."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ.update(variables)
        try:
            do()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # it was meant to be killed
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stop_the_last_context() -> None:
    """What the killed process left in the shared engine: nothing at work, but a context that the next cannot share."""
    SparkContext._ensure_initialized()
    active = getattr(getattr(SparkContext._jvm.org.apache.spark, "SparkContext$"), "MODULE$").getActive()
    if active.isDefined():
        active.get().stop()


def seen(folder: Path) -> dict[str, Any]:
    """What a reader of dev sees, and what lies there."""
    place = folder / "lake" / "dev" / "clinic"
    pointer = place / "current.json"
    return {
        "current": json.loads(pointer.read_text())["dataset_id"] if pointer.exists() else None,
        "lying": sorted(path.name for path in (place / "datasets").glob("*")),
        "whole": sorted(path.parent.name for path in (place / "datasets").glob("*/dataset.json")),
    }


def main(folder: Path, points: list[str]) -> None:
    memory = {"spark.driver.memory": "1g", "spark.master": "local[2]", "spark.jars": jars(ROOT / ".tools" / "jars")}
    engine = launch_gateway(SparkConf(loadDefaults=False).setAll(list({**DELTA, **memory}.items())))
    shared = {
        "PYSPARK_GATEWAY_PORT": str(engine.gateway_parameters.port),
        "PYSPARK_GATEWAY_SECRET": str(engine.gateway_parameters.auth_token),
    }
    for point in points:

        def do(point: str = point) -> None:
            if not point.startswith("midst"):
                stop_the_last_context()
            refresh_and_die(folder, point)

        ended = in_a_process(do, **({} if point.startswith("midst") else shared))
        print(json.dumps({"point": point, "ended": ended, **seen(folder)}), flush=True)
        if ended != -signal.SIGKILL:
            sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
