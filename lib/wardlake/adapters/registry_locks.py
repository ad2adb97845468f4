"""Waiting for a named lock."""

from __future__ import annotations

import time
from collections.abc import Callable

from wardlake.model.errors import RunLocked

POLL_SECONDS = 0.05


def wait_for_lock(name: str, taken: Callable[[], bool], wait_seconds: float) -> None:
    """Return once `taken` is true; raise `RunLocked` when it is not within `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    while not taken():
        if time.monotonic() >= deadline:
            raise RunLocked("Another run holds the lock.", which=[name], next_step="Wait for it to end, then run again.")
        time.sleep(POLL_SECONDS)
