"""A real Airflow with the LocalExecutor, on PostgreSQL, over `airflow_dags/`: api-server, scheduler, dag-processor, triggerer."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.postgres import Database
from tests.servers.processes import LOOPBACK, ROOT, ServerFailed, ServerProcess, data_folder, descendants, free_port

PROGRAM = ROOT / ".venv-airflow" / "bin" / "airflow"
POOLS = ROOT / "infra" / "airflow" / "pools.json"
ENDED = ("success", "failed")


@dataclass
class AirflowServer:
    """The running parts, and what a test asks of them over REST."""

    address: str
    folder: Path
    processes: list[ServerProcess] = field(default_factory=list)
    token: str = field(default="", repr=False)

    def ask(self, path: str, body: Mapping[str, Any] | None = None, method: str | None = None) -> Any:
        """The JSON answer of the public API."""
        return _call(f"{self.address}/api/v2/{path}", body, method, self.token)

    def trigger(self, dag: str, *, named: str = "", **params: str) -> str:
        """Start a run now, under a name of its own where one is given; returns its id."""
        asked = {"logical_date": None, "conf": params} | ({"dag_run_id": named} if named else {})
        answer = self.ask(f"dags/{dag}/dagRuns", asked)
        return str(answer["dag_run_id"])

    def wait_for(self, dag: str, run: str, *, seconds: float) -> str:
        """The state a run ended in."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = str(self.ask(f"dags/{dag}/dagRuns/{run}")["state"])
            if state in ENDED:
                return state
            time.sleep(1)
        raise ServerFailed(f"{dag} did not end in {seconds} s: {self.task_states(dag, run)} {self.tails()}")

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run, by task."""
        listed = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task for task in listed}

    def task_states(self, dag: str, run: str) -> dict[str, str | None]:
        return {name: task["state"] for name, task in self.tasks(dag, run).items()}

    def mapped(self, dag: str, run: str, task: str) -> dict[str, dict[str, Any]]:
        """The instances of a mapped task, by the name that each part is shown under."""
        listed = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/listMapped?limit=100")["task_instances"]
        return {str(each["rendered_map_index"]): each for each in listed}

    def let_run(self, dag: str) -> None:
        """Wait until the dag-processor has read a DAG, and let it run."""
        _wait_for_dag(self, dag)

    def set_variable(self, name: str, value: object) -> None:
        self.ask("variables", {"key": name, "value": str(value)})

    def make_pools(self) -> None:
        """The pools of `infra/airflow`."""
        for name, given in json.loads(POOLS.read_text()).items():
            self.ask("pools", {"name": name, **given})

    def tails(self) -> str:
        return "\n".join(process.tail() for process in self.processes)

    def kill(self) -> list[int]:
        """End every process of every part at once, so that none can end in order; which these were."""
        parts = [part.process for part in self.processes if part.process is not None]
        every = [process for part in parts for process in descendants(part.pid)]
        for process in every:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for part in parts:
            part.wait()
        return every

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


def _call(url: str, body: Mapping[str, Any] | None, method: str | None, token: str) -> Any:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode() if body is not None else None,
        method=method,
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def start_airflow(database: Database, environment: Mapping[str, str]) -> AirflowServer:
    """Start all parts over a fresh metadata database; `environment` is what the tasks and the DAG files see."""
    if not PROGRAM.exists():
        raise ServerFailed("Airflow is not installed: make setup-tests")
    folder, port = data_folder("airflow"), free_port()
    server = AirflowServer(f"http://{LOOPBACK}:{port}", folder)
    settings = {**_settings(database, folder, port), **environment}
    migrated = subprocess.run(
        [str(PROGRAM), "db", "migrate"],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode != 0:
        raise ServerFailed(f"airflow db migrate: {migrated.stderr[-2000:]}")
    parts = {"api-server": lambda: _answers(server.address)} | dict.fromkeys(
        ("scheduler", "dag-processor", "triggerer"), lambda: True
    )
    try:
        for part, ready in parts.items():
            process = ServerProcess([str(PROGRAM), part], folder / f"{part}.log", ready, settings)
            process.start()
            server.processes.append(process)
        server.token = str(_call(f"{server.address}/auth/token", None, "GET", "")["access_token"])
        _wait_for_dag(server, "dev-refresh")
    except BaseException:
        server.stop()
        raise
    return server


def _wait_for_dag(server: AirflowServer, dag: str) -> None:
    """The dag-processor has read the file; the DAG is let run."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            server.ask(f"dags/{dag}", {"is_paused": False}, "PATCH")
        except urllib.error.HTTPError as problem:
            if problem.code != 404:  # not read yet
                raise
            time.sleep(1)
        else:
            return
    raise ServerFailed(f"{dag} was never read: {server.ask('importErrors')} {server.tails()}")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _settings(database: Database, folder: Path, port: int) -> dict[str, str]:
    address = f"http://{LOOPBACK}:{port}"
    return {
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT / 'airflow_dags'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "airflow_dags"),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # a file that was too slow once would not be read again
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "900",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.dsn.replace("postgresql://", "postgresql+psycopg2://"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "3",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",  # they do not change: read once
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    }


def night_environment(folder: Path) -> dict[str, str]:
    """What the DAG of the night is told: the program, and a folder with configuration and lake."""
    return {
        "WARDLAKE_NIGHT_PROGRAM": str(Path(sys.executable).parent / "wardlake"),
        "WARDLAKE_NIGHT_FLAGS": f"--conf {folder}/conf --lake {folder}/lake --env practices",
        "WARDLAKE_NIGHT_FOLDER": str(folder),
    }
