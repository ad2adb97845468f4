"""What waits of a practice that is set aside is seen by who may see the practice; content is looked into before it is merged."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.integration.practices_desk import Desk, make_desk, patient, visit
from tests.servers.postgres import PostgresServer

from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.classify.gate import hash_decision
from wardlake.classify.review import REVIEWS, open_requests
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.ingest import work
from wardlake.pipelines.practices.onboard import release
from wardlake.pipelines.practices.quarantine import KEPT
from wardlake.practices.log_entries import Problem

SSN = "123-45-6789"


@pytest.fixture(scope="module")
def desk(spark: SparkSession, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Three practices with a visit each."""
    with make_desk(spark, postgres_server, tmp_path_factory.mktemp("desk")) as made:
        made.drop("visits/001", *(visit("I", n, name, "first") for n, name in enumerate(("north", "south", "west"), start=1)))
        made.capture()
        made.let_in("north", "south", "west")
        made.work(Lane.BACKFILL)
        yield made


def shown(desk: Desk, table: str = "visits") -> list[dict[str, Any]]:
    ports = desk.practices.ports
    rows = ports.tables.read(ports.layout.quarantine("clinics", table)).orderBy("practice_id", "id").collect()
    return [row.asDict() for row in rows]


def test_what_waits_is_seen_by_practice_and_goes_when_it_is_merged(desk: Desk) -> None:
    bad = visit("U", 2, "south", "waits", of="one")
    desk.drop("visits/002", visit("U", 1, "north", "second", kind=SSN), bad, visit("U", 3, "west", "second"))
    done = desk.ingest()
    assert sorted(done.set_aside) == ["north", "south"]
    assert desk.notes("west") == {3: "second"}
    assert (desk.notes("north"), desk.notes("south")) == ({1: "first"}, {2: "first"})
    assert desk.standing("north") == ("quarantined", Problem.SPEAKING.value)
    north, south = shown(desk)
    assert (north["practice_id"], north["id"], north["note"], north["kind"]) == ("north", "1", "second", None)
    assert (south["practice_id"], south["patient"], south["kind"]) == ("south", "one", "wellness")
    assert south["wardlake_reason"] == Problem.BAD_VALUE.value
    assert set(north) == {
        "practice_id", "wardlake_deed", "wardlake_reason", "wardlake_commit", "wardlake_committed_at",
        *desk.practices.admission.raw["visits"].columns,
    }  # fmt: skip
    ports = desk.practices.ports
    files = [each.path for each in ports.tables.data_files(ports.layout.quarantine("clinics", "visits"))]
    assert len(files) == 2
    page = next(page for page in desk.pages() if "north" in page["title"])
    assert ("visits.kind" in page["lines"], SSN in str(desk.pages())) == (True, False)
    assert [(each["evidence"]["table"], each["evidence"]["path"]) for each in open_requests(ports.registry, "clinics")] == [
        ("visits", "kind")
    ]
    # a practice is released: nothing is seen of it while it is tried again
    assert release(desk.practices, ["south"]) == ["south"]
    assert [row["practice_id"] for row in shown(desk)] == ["north"]


def test_what_two_people_approved_is_merged(desk: Desk) -> None:
    decision = desk.practices.classification.tables["visits"]["kind"]
    document = {
        "source": "clinics", "table": "visits", "path": "kind", "decision_hash": hash_decision(decision),
        "kinds": ["ssn", "unique_code", "account", "mrn", "phone"], "reviewer": "a", "approver": "b", "state": "approved",
    }  # fmt: skip
    desk.practices.ports.registry.put(REVIEWS, "clinics/visits.kind/test", document)
    release(desk.practices, ["north"])
    desk.work(Lane.STEADY)
    assert desk.notes("north") == {1: "second"}
    assert [row["practice_id"] for row in shown(desk)] == ["south"]  # which was tried again as it is


class Counting(PostgresRegistry):
    """A registry that remembers what it was asked."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn)
        self.asked: list[tuple[str, str]] = []

    def find(self, collection: str, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
        self.asked.append(("find", collection))
        return super().find(collection, prefix)

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        self.asked.append(("put", collection))
        super().put(collection, key, document)


def test_a_group_asks_for_approvals_once_and_remembers_the_quarantine_once_a_table(desk: Desk) -> None:
    rows = [patient("I", number, name) for number, name in enumerate(("north", "west"), start=1)]
    desk.drop("patients/003", *((operation, {**row, "sex": SSN}) for operation, row in rows))
    desk.capture()
    registry, ports = Counting(os.environ["REGISTRY_DSN"]), copy(desk.practices.ports)
    vars(ports)["registry"] = registry
    done = work(replace(desk.practices, ports=ports), Lane.STEADY, until_idle=True, told=str)
    assert (done.groups, sorted(done.set_aside)) == (1, ["north", "west"])
    assert (registry.asked.count(("find", REVIEWS)), registry.asked.count(("put", KEPT))) == (1, 1)
    assert [row["practice_id"] for row in shown(desk, "patients")] == ["north", "west"]
