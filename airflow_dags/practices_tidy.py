"""The Airflow DAG of `wardlake practices tidy`: apart from the night, whose last step alone says how that went."""

from __future__ import annotations

import os
import shlex
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CHECKOUT = Path(__file__).resolve().parent.parent
WORDS = (
    os.environ.get("WARDLAKE_NIGHT_PROGRAM", str(CHECKOUT / ".venv" / "bin" / "wardlake")),
    *("practices", "tidy", "--keep-days", os.environ.get("WARDLAKE_TIDY_KEEP_DAYS", "30")),
    *shlex.split(os.environ.get("WARDLAKE_NIGHT_FLAGS", "")),
)

with DAG(
    dag_id="practices-tidy",
    schedule=os.environ.get("WARDLAKE_TIDY_SCHEDULE"),
    catchup=False,
    max_active_runs=1,
    tags=["wardlake"],
) as dag:
    BashOperator(
        task_id="tidy",
        task_display_name="Let go of what nobody needs any more",
        bash_command=shlex.join(WORDS),
        cwd=os.environ.get("WARDLAKE_NIGHT_FOLDER", str(CHECKOUT)),
        retries=3,  # a writer holds a table for longer than it is waited for
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=6),
    )
