"""One Airflow for the tests of this folder: its loops cost too much CPU to run beside all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.airflow import AirflowServer, night_environment, start_airflow
from tests.servers.postgres import PostgresServer
from tests.servers.processes import ROOT, running


@pytest.fixture(scope="package")
def step_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that says how each step of a source ends, and where each step that ran is written down."""
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="package")
def night_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the night of the practices finds its configuration and its lake."""
    return tmp_path_factory.mktemp("night")


@pytest.fixture(scope="package")
def airflow_server(postgres_server: PostgresServer, step_program: Path, night_folder: Path) -> Iterator[AirflowServer]:
    """One Airflow, its refreshes run by `tests/dags/scripted_step.py` instead of Spark, its nights by the program."""
    environment = {
        "WARDLAKE_PROGRAM": str(ROOT / "tests" / "dags" / "scripted_step.py"),
        "WARDLAKE_FLAGS": f"--lake {step_program}",
        "WARDLAKE_FOLDER": str(step_program),
        "WARDLAKE_RETRIES": "3",
        "WARDLAKE_RETRY_SECONDS": "2",
        **night_environment(night_folder),
        "WARDLAKE_NIGHT_TURN_SECONDS": "20",
        "WARDLAKE_NIGHT_DEADLINE_VARIABLE": "night_deadline_seconds",
    }
    with running(lambda: start_airflow(postgres_server.fresh_database("airflow"), environment)) as server:
        yield server
