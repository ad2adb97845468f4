"""The file of the embedded registry and audit, before it is there."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.waiting import PATIENTLY

from wardlake.adapters.sqlite_database import transaction

PROCESSES, FILES = 4, 60


def _write_first(folder: Path, at_once: Barrier, name: int) -> None:
    for number in range(FILES):
        at_once.wait(PATIENTLY)
        with transaction(folder / f"{number}.db") as connection:
            connection.execute("INSERT INTO documents VALUES ('runs', ?, '{}')", (str(name),))


def test_processes_that_all_make_the_file_wait_for_one_another(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    at_once = context.Barrier(PROCESSES)
    writers = [context.Process(target=_write_first, args=(tmp_path, at_once, name)) for name in range(PROCESSES)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(PATIENTLY)
    assert [each.exitcode for each in writers] == [0] * PROCESSES
    for number in range(FILES):
        with transaction(tmp_path / f"{number}.db") as connection:
            assert connection.execute("SELECT count(*) FROM documents").fetchone() == (PROCESSES,)
