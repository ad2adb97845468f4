"""Runs in Airflow's environment: pokes a step of the night's DAG, and prints how each poke ended, as JSON.

Words: the step, in how many seconds its night is over, and how often it is poked.
"""

import json
import logging
import sys
from datetime import UTC, datetime, timedelta

import practices_night as night

step, times = sys.argv[1], int(sys.argv[3])
over = (datetime.now(UTC) + timedelta(seconds=float(sys.argv[2]))).isoformat()
logging.disable()
night.GRACE_SECONDS = 1.0


class Instance:
    """Of the task: what `enqueue` handed on."""

    def xcom_pull(self, task_ids: str) -> dict[str, list[str]]:
        return {night.MORNINGS: [over]} if task_ids == night.ENQUEUE else {}


if step in (night.MARTS, *night.WAIT.values()):
    sensor = night.NightSensor(task_id="poked", step=step)
    act = sensor.poke
else:
    operator = night.NightOperator(task_id="poked", step=step)
    act = operator.execute
ends = []
for _ in range(times):
    try:
        ends.append(act({"ti": Instance(), "run_id": "scheduled__2026-01-31"}))
    except Exception as problem:
        ends.append(f"{type(problem).__name__}: {problem}")
print(json.dumps(ends))
