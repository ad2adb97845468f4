"""No configuration weakens a session, and its log shows no cell of a task that failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from wardlake.adapters.spark_session import DELTA, FIXED, start_session
from wardlake.model.errors import ConfigurationError
from wardlake.settings.environment import Environment, Spark
from wardlake.wiring import Wiring

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.io.encryption.enabled", "false"),
        ("spark.sql.ansi.enabled", "false"),
        ("spark.sql.session.timeZone", "America/New_York"),
        ("spark.sql.caseSensitive", "false"),
    ],
)
def test_a_setting_that_wardlake_rests_on_cannot_be_changed(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        start_session("x", jar_folder=tmp_path, conf={key: value, "spark.driver.memory": "1g"})
    assert "driver" not in str(caught.value)


def test_a_secret_written_into_the_settings_is_refused_by_name(tmp_path: Path) -> None:
    spark = Spark(conf={"spark.hadoop.fs.s3a.secret.key": "Tintinnabulation"})
    wiring = Wiring(environment=Environment(name="careless", spark=spark), lake=str(tmp_path), root=tmp_path)
    with pytest.raises(ConfigurationError, match=r"fs\.s3a\.secret\.key") as caught:
        _ = wiring.tables
    assert "Tintinnabulation" not in str(caught.value)


def test_a_session_has_the_fixed_settings(spark: SparkSession) -> None:
    settings = {**dict(spark.sparkContext.getConf().getAll()), **spark.conf.getAll}
    assert {key: settings[key] for key in FIXED} == {key: DELTA[key] for key in FIXED}


def test_a_session_of_one_process_fetches_no_jars(spark: SparkSession) -> None:
    settings = dict(spark.sparkContext.getConf().getAll())
    assert "spark.jars" not in settings
    assert "delta-spark" in settings["spark.driver.extraClassPath"]


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A job of its own process, all of whose tasks failed."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-m", "tests.security.failing_job", str(tmp_path_factory.mktemp("warehouse"))],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
        timeout=1200,
    )


def test_the_log_shows_no_cell_of_a_task_that_failed(failed: subprocess.CompletedProcess[str]) -> None:
    assert failed.stdout.endswith("failed 6 times\n")
    assert "Oberholtzer" not in failed.stderr + failed.stdout
    assert "Quackenbush" in failed.stderr  # the control, with the log on


def test_a_secret_setting_is_set_and_stands_on_no_command_line(failed: subprocess.CompletedProcess[str]) -> None:
    said, command, *_ = failed.stdout.splitlines()
    assert said == "set"
    assert "spark.network.crypto.enabled=true" in command  # the other settings do stand there
    assert "Tintinnabulation" not in failed.stdout + failed.stderr


def test_a_session_starts_without_a_word(failed: subprocess.CompletedProcess[str]) -> None:
    assert failed.stderr.startswith("started\n")


def test_a_cluster_without_a_shared_secret_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "one.jar").touch()
    with pytest.raises(ConfigurationError, match="shared secret is missing"):
        start_session("x", jar_folder=tmp_path, master="spark://spark.example:7077")
