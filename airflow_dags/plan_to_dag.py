"""Maps a plan to a DAG: one task a step, in the plan's order, with nothing decided here that the plan does not say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator, Context, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from wardlake.model.plan import Plan, Step

RETRIED = frozenset({21})  # another run holds the lock: the only end that waiting can mend


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The command line that a plan's steps are run with, in the folder it is run from."""

    program: str
    words: tuple[str, ...]
    flags: tuple[str, ...] = ()
    folder: Path


def name_run(dag_run_id: str) -> str:
    """The run id of a DAG run: the same for every step and every retry, different for different DAG runs.

    A date loses its dashes and a long number is parted: the audit takes no name that could be somebody's date or number.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", dag_run_id).strip("-")[:40]
    readable = re.sub(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)", r"\1y\2m\3d", readable)
    readable = re.sub(r"(\d{8})(?=\d)", r"\1t", readable)
    return f"{readable}-{hashlib.sha256(dag_run_id.encode()).hexdigest()[:8]}"


def write_command(command: Command, *, source: str, run_id: str, step: str) -> list[str]:
    """The words that run one step."""
    chosen = ("--source", source, "--run-id", run_id, "--only", step)
    return [command.program, *command.words, *command.flags, *chosen]


class StepOperator(BaseOperator):
    """Runs one step as its own process; every exit code but the retried ones fails the task for good."""

    template_fields: Sequence[str] = ("source",)

    def __init__(self, *, step: Step, command: Command, source: str, **rest: object) -> None:
        super().__init__(**rest)
        self.step_name = step.name
        self.command = command
        self.source = source
        self._process = SubprocessHook()

    def execute(self, context: Context) -> None:
        run_id = name_run(context["run_id"])
        words = write_command(self.command, source=self.source, run_id=run_id, step=self.step_name)
        ended = self._process.run_command(words, cwd=str(self.command.folder)).exit_code
        if ended in RETRIED:
            raise AirflowException(f"step {self.step_name} ended with {ended}: tried again later")
        if ended:
            raise AirflowFailException(f"step {self.step_name} ended with {ended}")

    def on_kill(self) -> None:
        self._process.send_sigterm()


def map_plan(plan: Plan, *, command: Command, source: str, schedule: str | None, retries: int, retry_delay: timedelta) -> DAG:
    """The DAG of a plan. The source is a parameter of each run; a failed step leaves those that need it undone."""
    dag = DAG(
        dag_id=plan.name,
        schedule=schedule,
        catchup=False,
        params={"source": Param(source, type="string", pattern=r"^[A-Za-z0-9_-]+(=\S+)?$")},
        max_active_runs=1,
        max_active_tasks=1,  # a step holds the plan's lock while it works, so its siblings could only wait
        tags=["wardlake"],
    )
    tasks: dict[str, StepOperator] = {}
    for step in plan.steps:
        tasks[step.name] = StepOperator(
            dag=dag,
            task_id=step.name,
            task_display_name=step.title,
            pool="default_pool" if step.pool == "default" else step.pool,
            retries=retries,
            retry_delay=retry_delay,
            step=step,
            command=command,
            source="{{ params.source }}",
        )
        tasks[step.name].set_upstream([tasks[need] for need in step.needs])
    return dag
