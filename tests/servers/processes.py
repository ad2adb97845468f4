"""Servers as child processes: free ports, waiting until ready, an end that outlives no test run."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

LOOPBACK = "127.0.0.1"
OUR_PORTS = range(15_000, 32_000)
ROOT = Path(__file__).parent.parent.parent


class ServerFailed(RuntimeError):
    """A server did not start; the end of its log is in the message."""


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the kernel hands to clients: test processes run side by side."""
    while True:
        with socket.socket() as probe:
            port = secrets.choice(OUR_PORTS)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def data_folder(name: str) -> Path:
    """A short, private folder outside pytest's own, which servers run as another user could not reach."""
    return Path(tempfile.mkdtemp(prefix=f"wardlake-{name}-"))


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
    timeout: float = 60.0
    process: subprocess.Popen[bytes] | None = None

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
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.command[0]} ended with {self.process.returncode}: {self.tail()}")
            if self.ready():
                return
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
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=15)
        self.process = None
