"""What may not take longer than its time: where it does, the process ends, and whoever starts it again goes on without it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wardlake.model.errors import DoneInPart

SECONDS_TO_DIE = 10.0
"""For how long a killed child is waited for: longer takes only who waits for a disk that does not answer."""


@contextmanager
def at_most(seconds: float, tell: Callable[[], object]) -> Iterator[None]:
    """Where what is within takes longer, `tell` is called, and this process ends with the code of `DoneInPart`.

    An engine that hangs cannot be interrupted from here: it is killed, as is all that this process started, and gone
    before this process ends and lets go of what it has locked.
    """
    timer = threading.Timer(seconds, _end, (tell,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # who sees the engine die while this process is being ended does no more


def _end(tell: Callable[[], object]) -> None:
    try:
        tell()
    finally:
        children = _children()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _wait_for(children)
        os._exit(DoneInPart.exit_code)


def _wait_for(children: list[int]) -> None:
    deadline = time.monotonic() + SECONDS_TO_DIE
    for child in children:
        # somebody else may have waited for it already
        with suppress(ChildProcessError):
            while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.01)


def _children() -> list[int]:
    """Processes that this one started and that still are; none where the system does not say."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text("ascii").split())
    return found
