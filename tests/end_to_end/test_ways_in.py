"""The ways in that users have: the command line, spark-submit, one step at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.end_to_end.clinic import ROOT, Clinic, make_clinic

from wardlake.cli.program import wardlake
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.refresh.work import STEPS

PROGRAM = Path(sys.executable).parent / "wardlake"


@pytest.fixture
def clinic(tmp_path) -> Clinic:
    return make_clinic(tmp_path)


def flags(clinic: Clinic) -> list[str]:
    return ["--conf", str(clinic.folder / "conf"), "--lake", str(clinic.lake)]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYSPARK_PYTHON": sys.executable}  # spark-submit asks a Python where Spark is
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, timeout=1200, check=False)


def test_every_step_of_the_plan_has_a_function():
    assert [step.name for step in PLAN.steps] == list(STEPS)


@pytest.mark.parametrize("job", sorted(path.stem for path in (ROOT / "jobs").glob("*.py")))
def test_every_job_is_a_command_of_the_same_name(job):
    group, _, command = job.partition("_")
    found = wardlake.commands[group]
    assert isinstance(found, click.Group)
    assert command in found.commands
    assert f'main(["{group}", "{command}"' in (ROOT / "jobs" / f"{job}.py").read_text()


def test_spark_submit_refreshes_and_answers_in_json(clinic):
    jars = ",".join(str(jar) for jar in sorted((ROOT / ".tools" / "jars").glob("*.jar")))
    submit = Path(sys.executable).parent / "spark-submit"
    ended = run(
        str(submit), "--master", "local[2]", "--driver-memory", "1g", "--jars", jars,
        str(ROOT / "jobs" / "dev_refresh.py"), "--source", "clinic", "--json", *flags(clinic),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    answer = json.loads(ended.stdout)
    assert {"run_id", "dataset_id", "path", "report", "tables"} <= set(answer)
    assert answer["tables"][0]["rows_out"] == 40


def test_the_command_line_halts_with_its_exit_code_and_no_value(clinic):
    clinic.edit("classification/clinic.yaml", "    sex: safe\n", "")
    ended = run(str(PROGRAM), "dev", "refresh", "--source", "clinic", "--json", *flags(clinic))
    assert ended.returncode == 10, ended.stderr[-3000:]
    assert "patients.sex" in ended.stderr
    assert "Not for production" in ended.stderr
    assert json.loads(ended.stdout)["error"]["exit_code"] == 10


def test_every_mistake_of_the_configuration_is_reported_before_anything_starts(clinic):
    clinic.edit("classification/clinic.yaml", "rule: token, domain: visit", "rule: tokne, domain: visit")
    clinic.edit("sources/clinic.yaml", "kind: csv", "kind: parchment")
    ended = run(str(PROGRAM), "dev", "refresh", "--source", "clinic", *flags(clinic))
    assert ended.returncode == 2
    assert "classification/clinic.yaml:" in ended.stderr
    assert "sources/clinic.yaml:" in ended.stderr
    assert "Spark" not in ended.stderr


def test_a_dry_run_says_what_would_be_done_and_touches_nothing(clinic):
    before = sorted(os.walk(clinic.lake))
    ended = run(str(PROGRAM), "dev", "refresh", "--source", "clinic", "--dry-run", "--json", *flags(clinic))
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["rules"]["patients"]["ssn"] == "token"
    assert sorted(os.walk(clinic.lake)) == before
