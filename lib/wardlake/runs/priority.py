"""How much of a busy machine a process and what it starts take beside others."""

from __future__ import annotations

import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def lower_priority(niceness: int) -> bool:
    """Be at least so nice (0 to 19); returns whether other sessions have the advantage of it, as far as that is ours to say.

    Linux weighs sessions against each other before it looks at niceness within one (sched(7), autogroup): a process that leads
    its session, as services do, makes that as nice. In somebody else's, a shell's, only those beside it have the advantage. Where
    processes are in control groups of their own (containers), these groups' CPU weights decide, and no process can say more.
    """
    os.nice(max(0, niceness - os.nice(0)))
    if not niceness or not AUTOGROUP.exists():
        return True
    if os.getsid(0) != os.getpid():
        return False
    try:
        AUTOGROUP.write_text(str(os.nice(0)), "ascii")
    except OSError:  # a system that lets nobody: the caller says so
        return False
    return True
