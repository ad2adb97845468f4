"""The plan of a dev refresh, run by a real Airflow: order, failure, retry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.servers.airflow import AirflowServer

from wardlake.audit.scan import run_name_problem
from wardlake.pipelines.dev_refresh import PLAN

DAG = PLAN.name
STEPS = [step.name for step in PLAN.steps]


def downstream(failed: str) -> set[str]:
    """The steps that need the failed one, directly or not."""
    reached = {failed}
    for step in PLAN.steps:
        if set(step.needs) & reached:
            reached.add(step.name)
    return reached - {failed}


def run(
    server: AirflowServer, folder: Path, source: str, codes: Mapping[str, Sequence[int]], *, named: str = ""
) -> tuple[str, str]:
    (folder / f"{source}.json").write_text(json.dumps(codes))
    dag_run = server.trigger(DAG, named=named, source=source)
    return dag_run, server.wait_for(DAG, dag_run, seconds=1200)


def calls(folder: Path, source: str) -> list[list[str]]:
    return [json.loads(line) for line in (folder / f"{source}.calls").read_text().splitlines()]


def test_every_step_runs_once_after_those_it_needs(airflow_server: AirflowServer, step_program: Path) -> None:
    dag_run, state = run(airflow_server, step_program, "whole", {})
    assert state == "success"
    order = [call[-1] for call in calls(step_program, "whole")]
    assert sorted(order) == sorted(STEPS)
    assert all(order.index(need) < order.index(step.name) for step in PLAN.steps for need in step.needs)
    assert set(airflow_server.task_states(DAG, dag_run).values()) == {"success"}


def test_every_step_of_a_dag_run_is_called_with_one_run_id_that_the_audit_takes(
    airflow_server: AirflowServer, step_program: Path
) -> None:
    run(airflow_server, step_program, "named", {}, named="backfill_2026-01-31_20260131123456")
    (run_id,) = {call[call.index("--run-id") + 1] for call in calls(step_program, "named")}
    assert not run_name_problem(run_id)


@pytest.mark.parametrize(("step", "code"), [("classify", 10), ("scan", 11)])
def test_a_failed_step_leaves_the_steps_that_need_it_undone(
    airflow_server: AirflowServer, step_program: Path, step: str, code: int
) -> None:
    source = f"fails-{step}"
    dag_run, state = run(airflow_server, step_program, source, {step: [code]})
    assert state == "failed"
    states = airflow_server.task_states(DAG, dag_run)
    assert states[step] == "failed"
    assert {name for name, state in states.items() if state == "upstream_failed"} == downstream(step)
    assert not {call[-1] for call in calls(step_program, source)} & downstream(step)


def test_an_unclassified_column_is_not_tried_again(airflow_server: AirflowServer, step_program: Path) -> None:
    run(airflow_server, step_program, "halted", {"classify": [10]})
    assert [call[-1] for call in calls(step_program, "halted")].count("classify") == 1


def test_a_held_lock_is_tried_again_under_the_same_run_id(airflow_server: AirflowServer, step_program: Path) -> None:
    dag_run, state = run(airflow_server, step_program, "locked", {"snapshot": [21, 21]})
    assert state == "success"
    tries = [call for call in calls(step_program, "locked") if call[-1] == "snapshot"]
    assert len(tries) == 3
    assert len({tuple(call) for call in tries}) == 1
    assert airflow_server.tasks(DAG, dag_run)["snapshot"]["try_number"] == 3


def test_no_dag_file_fails_to_import(airflow_server: AirflowServer) -> None:
    assert airflow_server.ask("importErrors")["import_errors"] == []


def test_the_dag_has_one_task_for_each_step_of_the_plan(airflow_server: AirflowServer) -> None:
    listed = airflow_server.ask(f"dags/{DAG}/tasks")["tasks"]
    assert {task["task_id"]: set(task["downstream_task_ids"]) for task in listed} == {
        step.name: {other.name for other in PLAN.steps if step.name in other.needs} for step in PLAN.steps
    }
