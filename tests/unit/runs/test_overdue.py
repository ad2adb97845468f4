"""A process that hangs ends, with all that it started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HANG = """\
import subprocess, sys, time
from wardlake.runs.overdue import at_most
with at_most({seconds}, lambda: {tell}):
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid, flush=True)
    {work}
child.kill()
{after}
print("done", flush=True)
"""


def run(*, seconds: float, work: str, tell: str, after: str = "") -> tuple[int, list[str]]:
    code = HANG.format(seconds=seconds, work=work, tell=tell, after=after)
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False, timeout=600)
    return ended.returncode, ended.stdout.split()


def is_running(pid: str) -> bool:
    """A process that ended and that nobody waited for is no more than its entry."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_what_takes_too_long_is_told_and_ends_with_its_children() -> None:
    code, (child, told) = run(seconds=3, work="time.sleep(600)", tell="print('told', flush=True)")
    assert (code, told) == (22, "told")
    assert not is_running(child)


def test_who_waits_for_a_child_that_is_killed_does_no_more() -> None:
    code, words = run(seconds=3, work="child.wait()", tell="print('told', flush=True)")
    assert (code, words[1:]) == (22, ["told"])


def test_it_ends_where_nobody_can_be_told() -> None:
    assert run(seconds=3, work="time.sleep(600)", tell="1 / 0")[0] == 22


def test_what_ends_in_time_is_left_alone() -> None:
    assert run(seconds=30, work="time.sleep(0.1)", tell="print('told')")[1][1:] == ["done"]
    assert run(seconds=3, work="pass", tell="print('told')", after="time.sleep(4)")[1][1:] == ["done"]
