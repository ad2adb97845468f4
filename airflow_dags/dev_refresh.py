"""The Airflow DAG of `wardlake dev refresh`. What differs between deployments comes from the environment."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from pathlib import Path

from plan_to_dag import Command, map_plan

from wardlake.pipelines.dev_refresh import PLAN

CHECKOUT = Path(__file__).resolve().parent.parent

dag = map_plan(
    PLAN,
    command=Command(
        program=os.environ.get("WARDLAKE_PROGRAM", str(CHECKOUT / ".venv" / "bin" / "wardlake")),
        words=("dev", "refresh"),
        flags=tuple(shlex.split(os.environ.get("WARDLAKE_FLAGS", ""))),
        folder=Path(os.environ.get("WARDLAKE_FOLDER", str(CHECKOUT))),
    ),
    source=os.environ.get("WARDLAKE_SOURCE", "synthea"),
    schedule=os.environ.get("WARDLAKE_SCHEDULE"),
    retries=int(os.environ.get("WARDLAKE_RETRIES", "5")),
    retry_delay=timedelta(seconds=int(os.environ.get("WARDLAKE_RETRY_SECONDS", "300"))),
)
