"""The night's own operators, in Airflow's environment: what passes is tried until the night is over, what hangs is ended."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.servers.processes import ROOT, runs

PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
DONE = '{"awaited": [], "rounds_left": 0}'


def poke(folder: Path, step: str, *ends: str, over: float = 3600, least: float = 600) -> list[Any]:
    """How pokes end where the program does these things, one a call, and the night is over in so many seconds."""
    program = folder / "program"
    cases = "\n".join(f"{number}) {end};;" for number, end in enumerate(ends, start=1))
    counted = f"echo x >> {folder}/calls; n=$(wc -l < {folder}/calls)"
    program.write_text(f"#!/bin/sh\n{counted}\ncase $n in\n{cases}\nesac\n")
    program.chmod(0o755)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": f"{ROOT / 'airflow_dags'}:{ROOT / 'lib'}",
        "WARDLAKE_NIGHT_PROGRAM": str(program),
        "WARDLAKE_NIGHT_FOLDER": str(folder),
        "WARDLAKE_NIGHT_TURN_SECONDS": "1",
        "WARDLAKE_NIGHT_COMMAND_SECONDS": str(least),
    }
    given = [str(PYTHON), str(ROOT / "tests" / "dags" / "poke.py"), step, str(over), str(len(ends))]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("step", ["marts", "wait-steady"])
def test_what_passes_is_tried_again_however_often(tmp_path: Path, step: str) -> None:
    busy, away, killed, well = "exit 21", "exit 24", "kill -9 $$", f"echo '{DONE}'"
    assert poke(tmp_path, step, busy, *[away] * 5, killed, well) == [False] * 7 + [True]


def test_what_passes_is_tried_until_the_night_is_over(tmp_path: Path) -> None:
    (ended,) = poke(tmp_path, "marts", "exit 24", over=-1)
    assert ended == "AirflowFailException: step marts ended with 24: tried again later, but the night is over"


def test_what_a_step_refuses_is_not_tried_again(tmp_path: Path) -> None:
    assert poke(tmp_path, "marts", "exit 2") == ["AirflowFailException: step marts ended with 2"]


def test_a_build_that_hangs_is_ended_with_all_that_it_started_and_the_next_turn_goes_on(tmp_path: Path) -> None:
    hangs = f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; wait; sleep 600"
    begun = time.monotonic()
    assert poke(tmp_path, "marts", hangs, f"echo '{DONE}'", over=60, least=1) == [False, True]
    assert time.monotonic() - begun < 500  # what hangs sleeps for 600 seconds
    assert not runs(int((tmp_path / "child").read_text()))


def test_enqueue_is_tried_again_by_the_scheduler_and_hands_on_when_the_night_is_over(tmp_path: Path) -> None:
    listed = '{"parts": {"wait-steady": [["north"]]}, "rounds": [{"morning": "m"}, {"morning": "m"}]}'
    first, second = poke(tmp_path, "enqueue", "exit 24", f"echo '{listed}'")
    assert first == "Passing: step enqueue ended with 24: tried again later"
    assert second == {"wait-steady": [["north"]], "mornings": ["m"]}
