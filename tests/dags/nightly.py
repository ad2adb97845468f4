"""`make nightly`: the night's plan on a real Airflow, over the practices of the bundled sample.

PostgreSQL, Airflow and the applications of both lanes are started for it and end with it; the lake stays to be looked at.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.practices_office import practices_environment, write
from tests.servers.airflow import ENDED, AirflowServer, night_environment, start_airflow
from tests.servers.postgres import PostgresServer, start_postgres
from tests.servers.processes import ROOT, ServerProcess, running

from wardlake.adapters.postgres_database import migrate
from wardlake.pipelines.practices.night import PLAN

PROGRAM = Path(sys.executable).parent / "wardlake"
FOLDER = ROOT / ".lake" / "nightly"
MINUTES = "60"  # at most: it is over as soon as everybody is done


@dataclass(frozen=True, kw_only=True)
class Clinics:
    """The sample's practices in a folder of their own."""

    folder: Path

    @property
    def flags(self) -> list[str]:
        return ["--conf", str(self.folder / "conf"), "--lake", str(self.folder / "lake"), "--env", "practices"]

    def run(self, *words: str) -> int:
        print(f"wardlake practices {' '.join(words)}", flush=True)
        return subprocess.run([str(PROGRAM), "practices", *words, *self.flags], cwd=self.folder, check=False).returncode

    def application(self, *words: str) -> ServerProcess:
        return ServerProcess([str(PROGRAM), "practices", *words, *self.flags], self.folder / f"{words[-1]}.log", lambda: True)


def make_clinics(postgres: PostgresServer, folder: Path) -> Clinics:
    """The configuration of the checkout, over a registry of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("conf", "expectations"):
        shutil.copytree(ROOT / name, folder / name)
    registry = postgres.fresh_database()
    migrate(registry.dsn)
    (folder / "registry.dsn").write_text(registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn)
    write(folder, "environments", "practices", practices_environment().replace("env:REGISTRY_DSN", f"file:{folder}/registry.dsn"))
    return Clinics(folder=folder)


def watch(server: AirflowServer, run: str) -> str:
    """Print how many tasks are in which state, whenever that changes; returns how the run ended."""
    last = ""
    while True:
        state = str(server.ask(f"dags/{PLAN.name}/dagRuns/{run}")["state"])
        listed = server.ask(f"dags/{PLAN.name}/dagRuns/{run}/taskInstances?limit=1000")["task_instances"]
        counts = Counter(f"{task['task_id']} {task['state'] or 'waits'}" for task in listed)
        now = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in sorted(counts.items()))
        if now != last:
            print(now, flush=True)
            last = now
        if state in ENDED:
            return state
        time.sleep(2)


def main() -> int:
    with running(start_postgres) as postgres, ExitStack() as applications:
        clinics = make_clinics(postgres, FOLDER)
        for words in (("sample", "--source", f"synthea={ROOT}/tests/data/synthea"), ("capture", "--until-idle")):
            clinics.run(*words)
        for lane in ("steady", "backfill"):
            application = clinics.application("work", "--lane", lane)
            application.start()
            applications.callback(application.stop)
        clinics.run("onboard", "--all", "--no-snapshot")
        environment = {**night_environment(FOLDER), "WARDLAKE_NIGHT_MINUTES": MINUTES}
        print("starting Airflow", flush=True)
        with running(lambda: start_airflow(postgres.fresh_database("airflow"), environment)) as server:
            server.make_pools()
            server.let_run(PLAN.name)
            print(f"{server.address}: {PLAN.name}", flush=True)
            state = watch(server, server.trigger(PLAN.name))
        clinics.run("freshness", "--html", str(FOLDER / "board.html"))
        print(f"The night ended with {state}. Marts lie in {FOLDER / 'lake' / 'marts'}, the board in {FOLDER / 'board.html'}")
    return 0 if state == "success" else 22


if __name__ == "__main__":
    sys.exit(main())
