"""CPU of a process tree, workers included that nobody waited for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wardlake.runs.cpu import watched_cpu

LEAST = 2.7  # of three seconds that are burnt: the kernel counts in ticks, and engines of this process are not quite idle
BURN = "import time\nwhile time.process_time() < 3.0: pass\n"
# As Spark's Python daemon: it forgets its children, and ends one that worked.
DAEMON = f"""
import os, signal, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
told, tell = os.pipe()
worker = os.fork()
if worker == 0:
    {BURN.replace(chr(10), chr(10) + "    ").strip()}
    os.write(tell, b".")
    time.sleep(60)
os.read(told, 1)
print("worked", flush=True)
sys.stdin.readline()
os.kill(worker, signal.SIGKILL)
while os.path.exists(f"/proc/{{worker}}"):
    time.sleep(0.01)
print("ended", flush=True)
sys.stdin.readline()
"""


@contextmanager
def daemon() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_child_that_was_waited_for_counts_once() -> None:
    with watched_cpu() as cpu:
        subprocess.run([sys.executable, "-c", BURN], check=True)
        assert LEAST <= cpu.seconds() < 2 * LEAST


def test_a_worker_that_nobody_waited_for_still_counts_after_its_end() -> None:
    with watched_cpu() as cpu, daemon() as process:
        assert read_line(process) == "worked"
        worked = cpu.seconds()
        go_on(process)
        assert read_line(process) == "ended"
        assert cpu.seconds() >= worked >= LEAST


def test_what_a_worker_did_before_is_not_missed_when_it_ends() -> None:
    with daemon() as process:
        assert read_line(process) == "worked"
        with watched_cpu() as cpu:
            go_on(process)
            assert read_line(process) == "ended"
            assert 0 <= cpu.seconds() < LEAST / 2


def test_what_a_worker_did_between_two_looks_is_seen_by_the_watch() -> None:
    with watched_cpu() as cpu, daemon() as process:
        assert read_line(process) == "worked"
        for _ in range(40):  # longer than a look takes to come round, also where the machine stands still in one of them
            time.sleep(0.1)
        go_on(process)
        assert read_line(process) == "ended"
        assert cpu.seconds() >= LEAST
