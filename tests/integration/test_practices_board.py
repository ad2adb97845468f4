"""What one look at the queue finds: who was let in, and who else waits in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Desk, make_desk, visit
from tests.servers.postgres import PostgresServer

from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import PracticeState
from wardlake.pipelines.practices.freshness import document, look
from wardlake.ports.work_queue import WorkQueue


@pytest.fixture
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Desk]:
    with make_desk(spark, postgres_server, tmp_path) as made:
        made.drop("visits/001", visit("I", 1, "north", "first"))
        yield made


class Counted:
    """A queue that counts how often it is asked how everybody is."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue, self.asked = queue, 0

    def states(self, names: Collection[str] = ()) -> list[PracticeState]:
        self.asked += 1
        return self._queue.states(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def test_one_look_asks_the_queue_once_and_finds_who_was_not_let_in(desk: Desk) -> None:
    desk.drop("visits/040", visit("I", 40, "stranger", "who?"), visit("I", 41, None, "whose?"))
    desk.capture()
    desk.let_in("north")
    counted = Counted(desk.practices.queue)
    looked_at = replace(desk.practices, queue=cast(WorkQueue, counted))
    shown = document(looked_at, look(looked_at, ["north"]))
    assert counted.asked == 1
    assert [each["practice"] for each in shown["practices"]] == ["north"]
    assert (shown["not_let_in"], shown["of_no_practice"]) == (["stranger"], 1)
    with pytest.raises(ConfigurationError, match="No such practice: nobody"):
        look(desk.practices, ["nobody"])
