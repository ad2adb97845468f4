"""The real program under the real Airflow: one DAG run takes the clinic from its files to a published dataset."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.dags.test_airflow_runs_the_plan import DAG, STEPS, calls
from tests.end_to_end.clinic import Clinic, make_clinic, patients
from tests.servers.airflow import AirflowServer

from wardlake.audit.archive import query_records
from wardlake.model.audit import AuditKind
from wardlake.model.zones import Zone
from wardlake.publish.pointer import open_dataset

PROGRAM = Path(sys.executable).parent / "wardlake"
pytestmark = pytest.mark.timeout(2700)  # ten processes, each with an engine of its own


@dataclass(frozen=True, kw_only=True)
class DagRun:
    clinic: Clinic
    state: str
    states: dict[str, str | None]
    calls: list[list[str]]
    server: AirflowServer


@pytest.fixture(scope="module")
def dag_run(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, airflow_server: AirflowServer, step_program: Path
) -> DagRun:
    clinic = make_clinic(tmp_path_factory.mktemp("clinic"), spark)
    given = [str(PROGRAM), "--conf", str(clinic.folder / "conf"), "--lake", str(clinic.lake)]
    (step_program / "clinic.real").write_text(json.dumps(given))
    started = airflow_server.trigger(DAG, source="clinic")
    state = airflow_server.wait_for(DAG, started, seconds=2400)
    states = airflow_server.task_states(DAG, started)
    return DagRun(clinic=clinic, state=state, states=states, calls=calls(step_program, "clinic"), server=airflow_server)


def test_the_dag_run_ends_with_success_and_every_step_ran_once(dag_run: DagRun) -> None:
    assert (dag_run.state, dag_run.states) == ("success", dict.fromkeys(STEPS, "success")), dag_run.server.tails()
    assert sorted(call[-1] for call in dag_run.calls) == sorted(STEPS)


def test_the_dataset_is_published_whole(dag_run: DagRun) -> None:
    wiring = dag_run.clinic.wiring()
    paths = open_dataset(wiring.tables, wiring.layout, Zone.DEV, "clinic")
    assert {name: wiring.tables.read(path).count() for name, path in paths.items()} == {"patients": 40, "visits": 120}


def test_ten_processes_were_one_run(dag_run: DagRun) -> None:
    records = query_records(dag_run.clinic.wiring().audit_objects)
    published = [record.event for record in records if record.event.kind is AuditKind.DATASET_PUBLISHED]
    (named,) = {call[call.index("--run-id") + 1] for call in dag_run.calls}
    assert [event.run_id for event in published] == [named]
    assert (dag_run.clinic.lake / "reports" / named / "report.html").is_file()


def test_the_scheduler_s_logs_hold_no_identifier(dag_run: DagRun) -> None:
    logs = b"\0".join(path.read_bytes() for path in dag_run.server.folder.rglob("*.log"))
    assert b"De-identify into staging" in logs
    planted = [person[column] for person in patients() for column in ("id", "ssn", "street")]
    assert [text for text in planted if text.encode() in logs] == []
