"""The Airflow DAG of `wardlake practices night`: those of the plan's steps that wait are mapped over the night's practices."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, AsyncCallback, BaseOperator, BaseSensorOperator, Context, DeadlineAlert, DeadlineReference, Param
from airflow.sdk.definitions.deadline import VariableInterval
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from plan_to_dag import Command, name_run

from wardlake.pipelines.practices.night import ENQUEUE, FRESHNESS, MARTS, PLAN, WAIT, longest_turn

CHECKOUT = Path(__file__).resolve().parent.parent
RETRIED = frozenset({21, 24})  # a lock is held, a store does not answer: what waiting can mend
COMMAND = Command(
    program=os.environ.get("WARDLAKE_NIGHT_PROGRAM", str(CHECKOUT / ".venv" / "bin" / "wardlake")),
    words=("practices", "night"),
    flags=tuple(shlex.split(os.environ.get("WARDLAKE_NIGHT_FLAGS", ""))),
    folder=Path(os.environ.get("WARDLAKE_NIGHT_FOLDER", str(CHECKOUT))),
)
TURN = float(os.environ.get("WARDLAKE_NIGHT_TURN_SECONDS", "120"))
PAUSE = TURN / 2
LEAST = float(os.environ.get("WARDLAKE_NIGHT_COMMAND_SECONDS", "600"))  # what a command may take beside its turn
GRACE_SECONDS = 10.0
MORNINGS = "mornings"
# Minutes after a run was queued; or an Airflow variable that holds seconds, which changes without a restart.
DEADLINE_VARIABLE = os.environ.get("WARDLAKE_NIGHT_DEADLINE_VARIABLE")
DEADLINE_MINUTES = float(os.environ.get("WARDLAKE_NIGHT_DEADLINE_MINUTES", "300"))


class Passing(AirflowException):
    """What may be over at the next try: a lock is held, a store does not answer, a command hung or was killed."""


class NightCommand:
    """Runs one step as its own process, and ends it with the task; mixed into an operator."""

    _process: subprocess.Popen[str] | None = None

    def run_step(self, context: Context, step: str, words: Sequence[str], *, seconds: float = LEAST) -> dict[str, Any]:
        """The step's answer; what it says to people goes to the task's log. One that takes longer than `seconds` is ended."""
        own = ("--night", name_run(context["run_id"]), "--only", step, "--json")
        given = [COMMAND.program, *COMMAND.words, *COMMAND.flags, *own, *words]
        with subprocess.Popen(given, cwd=COMMAND.folder, stdout=subprocess.PIPE, text=True, process_group=0) as process:
            self._process = process
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                raise Passing(f"step {step} did not end in {seconds:.0f} s: it was ended, and is tried again") from None
            except BaseException:
                _end(process)
                raise
        if process.returncode in RETRIED or process.returncode < 0:
            raise Passing(f"step {step} ended with {process.returncode}: tried again later")
        if process.returncode:
            raise AirflowFailException(f"step {step} ended with {process.returncode}")
        return dict(json.loads(said))

    def on_kill(self) -> None:
        if self._process is not None:
            _signal(self._process, signal.SIGTERM)


def _end(process: subprocess.Popen[str]) -> None:
    """The process and all that it started."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class NightOperator(NightCommand, BaseOperator):
    """A step that is done at once. `enqueue` hands on whom the steps that wait are mapped over, by step."""

    template_fields: Sequence[str] = ("words",)

    def __init__(self, *, step: str, words: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(**rest)
        self.step = step
        self.words = list(words)

    def execute(self, context: Context) -> dict[str, Any]:
        answer = self.run_step(context, self.step, [word for word in self.words if word])
        mornings = sorted({each["morning"] for each in answer.get("rounds", ())})
        return {**answer.get("parts", {}), MORNINGS: mornings}


class PartsOperator(BaseOperator):
    """What a step that waits is mapped over, out of what `enqueue` listed: the words that name the practices of each part."""

    def __init__(self, *, step: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.step = step

    def execute(self, context: Context) -> list[list[str]]:
        parts = context["ti"].xcom_pull(task_ids=ENQUEUE)[self.step]
        return [[word for practice in part for word in ("--practice", practice)] for part in parts]


class NightSensor(NightCommand, BaseSensorOperator):
    """A step that waits in turns: between two of them it leaves its place in the pool to others."""

    def __init__(self, *, step: str, chosen: Sequence[str] = (), **rest: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=PAUSE, timeout=timedelta(days=1), **rest)
        self.step = step
        self.chosen = chosen

    @property
    def shown(self) -> str:
        """Whom a mapped task is for."""
        return ", ".join(self.chosen[1::2])

    def poke(self, context: Context) -> bool:
        """Whether nothing is left to wait for. What may pass is tried again at the next turn, until the night is over."""
        mornings = [datetime.fromisoformat(each) for each in context["ti"].xcom_pull(task_ids=ENQUEUE)[MORNINGS]]
        least = timedelta(seconds=LEAST)
        longest = longest_turn(mornings, datetime.now(UTC), least) if self.step == MARTS else least
        words = [*self.chosen, "--turn", str(TURN)]
        try:
            answer = self.run_step(context, self.step, words, seconds=TURN + longest.total_seconds())
        except Passing as problem:
            if datetime.now(UTC) >= max(mornings, default=datetime.now(UTC)):
                raise AirflowFailException(f"{problem}, but the night is over") from None
            self.log.warning("%s", problem)
            return False
        return not answer.get("rounds_left", answer["awaited"])


with DAG(
    dag_id=PLAN.name,
    schedule=os.environ.get("WARDLAKE_NIGHT_SCHEDULE"),
    catchup=False,
    max_active_runs=2,  # yesterday's night may still wait for its last morning
    params={"minutes": Param(os.environ.get("WARDLAKE_NIGHT_MINUTES", ""), type="string", pattern=r"^[0-9.]*$")},
    deadline=DeadlineAlert(
        name="the night's end",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=VariableInterval(DEADLINE_VARIABLE) if DEADLINE_VARIABLE else timedelta(minutes=DEADLINE_MINUTES),
        callback=AsyncCallback(
            "deadline_calls.name_the_late",
            kwargs={"words": [COMMAND.program, *COMMAND.words, *COMMAND.flags], "folder": str(COMMAND.folder)},
        ),
    ),
    tags=["wardlake"],
) as dag:
    tasks: dict[str, Any] = {}
    for step in PLAN.steps:
        given: dict[str, Any] = {
            "task_id": step.name,
            "task_display_name": step.title,
            "step": step.name,
            "pool": "default_pool" if step.pool == "default" else step.pool,
            "retries": int(os.environ.get("WARDLAKE_NIGHT_RETRIES", "30")),
            "retry_delay": timedelta(seconds=PAUSE),
        }
        if step.name in WAIT.values():
            parts = PartsOperator(task_id=f"parts-of-{step.name}", step=step.name)
            parts.set_upstream([tasks[need] for need in step.needs])
            tasks[step.name] = NightSensor.partial(**given, map_index_template="{{ task.shown }}").expand(chosen=parts.output)
            continue
        if step.name == MARTS:
            tasks[step.name] = NightSensor(**given)
            tasks[step.name].set_upstream([tasks[need] for need in step.needs])
            continue
        # The last step looks at what is there, not at how the others ended: it alone says whether the night went well.
        rule = "all_done" if step.name == FRESHNESS else "all_success"
        minutes = "{{ '--minutes=' ~ params.minutes if params.minutes else '' }}"
        tasks[step.name] = NightOperator(**given, trigger_rule=rule, words=[minutes] if step.name == ENQUEUE else [])
        tasks[step.name].set_upstream([tasks[need] for need in step.needs])
