"""`python -m tests.end_to_end.refresh_and_die FOLDER WHEN`: a refresh of the clinic in FOLDER that is killed on its way.

WHEN is a step, at whose beginning the process kills itself, or `staging`: as soon as the first table lies in staging.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from tests.end_to_end.clinic import Clinic, Quiet


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_staged(staging: Path) -> None:
    def watch() -> None:
        while not list(staging.glob("*/dataset/*/_delta_log")):
            time.sleep(0.02)
        die()

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    folder, when = Path(sys.argv[1]), sys.argv[2]
    if when == "staging":
        die_when_staged(folder / "lake" / "staging")
    Clinic(folder=folder, progress=Quiet(at={when: die})).refresh()
