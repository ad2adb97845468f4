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


def test_a_session_has_the_fixed_settings(spark: SparkSession) -> None:
    settings = {**dict(spark.sparkContext.getConf().getAll()), **spark.conf.getAll}
    assert {key: settings[key] for key in FIXED} == {key: DELTA[key] for key in FIXED}


def test_the_log_shows_no_cell_of_a_task_that_failed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.security.failing_job", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    assert ended.stdout.endswith("failed 6 times\n")
    assert "Oberholtzer" not in ended.stderr + ended.stdout
    assert "Quackenbush" in ended.stderr  # the control, with the log on
