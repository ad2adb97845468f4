"""Waiting for what other processes and servers do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENTLY = 600.0  # seconds; how long something takes on an idle machine is a benchmark's


def wait_until(true: Callable[[], bool], seconds: float = PATIENTLY) -> bool:
    """Whether it came true in time; the caller's tests say what is wrong where it did not."""
    until = time.monotonic() + seconds
    while not (came := true()) and time.monotonic() < until:
        time.sleep(0.2)
    return came
