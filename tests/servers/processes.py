"""Servers as child processes: free ports, waiting until ready, an end that outlives no test run."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from tests.waiting import PATIENTLY

LOOPBACK = "127.0.0.1"
# A thousand for each process of pytest-xdist: between choosing a port and listening on it, nobody else is to choose it.
OUR_PORTS = range(15_000, 32_000)
PORTS_EACH = 1_000
_chosen: set[int] = set()
ROOT = Path(__file__).parent.parent.parent


class ServerFailed(RuntimeError):
    """A server did not start; the end of its log is in the message."""


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the kernel hands to clients: test processes run side by side."""
    while True:
        port = secrets.choice(_our_ports())
        if port in _chosen:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        _chosen.add(port)
        return port


def _our_ports() -> range:
    """Those of this process; all of them where it is the only one."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        return OUR_PORTS
    first = int(worker.removeprefix("gw")) * PORTS_EACH % len(OUR_PORTS)
    return OUR_PORTS[first : first + PORTS_EACH]


def data_folder(name: str) -> Path:
    """A short, private folder outside pytest's own, which servers run as another user could not reach."""
    return Path(tempfile.mkdtemp(prefix=f"wardlake-{name}-"))


def kill_all(process: subprocess.Popen[str]) -> None:
    """A process that leads a session, and all that it started there, such as its JVM: at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def descendants(process: int) -> list[int]:
    """A process and whatever it and its children started, parents first."""
    found = [process]
    for each in found:  # grows as children are found
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, task.read_text("ascii").split())
    return found


def runs(process: int) -> bool:
    """Whether it does; one that nobody waited for stays listed when it is over."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class Server(Protocol):
    """What every server of ours has."""

    folder: Path

    def stop(self) -> None: ...


Started = TypeVar("Started", bound=Server)


@contextmanager
def running(start: Callable[[], Started]) -> Iterator[Started]:
    """A server for as long as it is needed; afterwards it is stopped and its folder removed."""
    server = start()
    try:
        yield server
    finally:
        server.stop()
        remove_folder(server.folder)


@dataclass
class ServerProcess:
    """One server program. `stop` and `start` may alternate: the data stays in its folder."""

    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = PATIENTLY
    process: subprocess.Popen[bytes] | None = None
    ended_by: signal.Signals = signal.SIGTERM

    def start(self) -> None:
        """Start and wait until ready. The kernel ends the server if the test run dies."""
        leash = ["setpriv", "--pdeathsig", "TERM"] if os.uname().sysname == "Linux" else []
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.log.parent), "LC_ALL": "C.UTF-8", **self.environment}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*leash, *self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + self.timeout
        while True:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.command[0]} ended with {self.process.returncode}: {self.tail()}")
            late = time.monotonic() > deadline
            if self.ready():
                return
            if late:
                break
            time.sleep(0.1)
        self.stop()
        raise ServerFailed(f"{self.command[0]} was not ready in {self.timeout} s: {self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def signal(self, number: int) -> None:
        """Send a signal to the server; nothing happens where it does not run."""
        if self.process is not None:
            self.process.send_signal(number)

    def stop(self) -> None:
        """End the server and wait; harmless when it does not run."""
        if self.process is None:
            return
        self.process.send_signal(self.ended_by)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=15)
        self.process = None
