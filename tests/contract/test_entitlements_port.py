"""What entitlements promise: all or none, replaced or ended and never removed, nothing for a practice that there is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.servers.postgres import Database, PostgresServer

from wardlake.adapters.postgres_entitlements import REPLACED, PostgresEntitlements
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.model.entitlements import Ended, Entitlement, WarehouseRole
from wardlake.model.practices import Lane
from wardlake.ports.entitlements import Entitlements
from wardlake.ports.registry import RegistryUnavailable

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
MANAGER, BILLING, ADMINISTRATOR = WarehouseRole.MANAGER, WarehouseRole.BILLING, WarehouseRole.ADMINISTRATOR
LEFT = Ended(by="sam", at=NOW + timedelta(days=1), reason="left the practice")


@pytest.fixture
def database(migrated_database: Database, postgres_server: PostgresServer) -> Database:
    """As the pipeline's role, which owns nothing."""
    return migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_pipeline"))


@pytest.fixture
def entitlements(database: Database) -> Entitlements:
    PostgresWorkQueue(database.dsn, "clinics").onboard(["north", "o'south"], Lane.STEADY)
    return PostgresEntitlements(database.dsn)


def given(user: str = "ann", practice: str = "north", role: WarehouseRole = MANAGER, source: str = "clinics") -> Entitlement:
    return Entitlement(
        source=source,
        user=user,
        practice=practice,
        role=role,
        begins=NOW,
        until=NOW + timedelta(days=30),
        granted_by="sam",
        granted_at=NOW,
        reason="runs the practice",
    )


def test_what_was_granted_is_found_as_it_was_given(entitlements: Entitlements) -> None:
    granted = [given(), given(practice="o'south"), given("bob"), given("ada", "", ADMINISTRATOR)]
    entitlements.grant(granted)
    assert entitlements.find() == granted
    assert entitlements.find(user="ann") == granted[:2]
    assert entitlements.find(practice="north") == [granted[0], granted[2]]
    assert entitlements.find(source="others") == []


def test_granted_anew_replaces_and_keeps_the_old(entitlements: Entitlements) -> None:
    entitlements.grant([given(), given(role=BILLING)])
    longer = replace(given(), until=NOW + timedelta(days=90), granted_at=NOW + timedelta(days=2))
    entitlements.grant([longer])
    assert entitlements.find(user="ann") == [given(role=BILLING), longer]
    old = entitlements.find(user="ann", ended=True)[0]
    assert old.ended == Ended(by="sam", at=NOW + timedelta(days=2), reason=REPLACED)


def test_what_is_ended_is_open_no_more_and_never_removed(entitlements: Entitlements) -> None:
    entitlements.grant([given(), given(practice="o'south"), given("bob")])
    assert entitlements.end("clinics", "ann", ["north"], list(WarehouseRole), LEFT) == 1
    assert [(each.user, each.practice) for each in entitlements.find()] == [("ann", "o'south"), ("bob", "north")]
    assert entitlements.find(user="ann", practice="north", ended=True) == [replace(given(), ended=LEFT)]
    assert entitlements.end("clinics", "ann", ["north"], list(WarehouseRole), LEFT) == 0


def test_only_the_roles_named_are_ended(entitlements: Entitlements) -> None:
    entitlements.grant([given(), given(role=BILLING), given("ada", "", ADMINISTRATOR)])
    assert entitlements.end("clinics", "ann", ["north"], [BILLING], LEFT) == 1
    assert entitlements.end("clinics", "ada", ["north"], list(WarehouseRole), LEFT) == 0
    assert entitlements.end("clinics", "ada", [""], [ADMINISTRATOR], LEFT) == 1
    assert entitlements.find() == [given()]


@pytest.mark.parametrize(
    "wrong",
    [
        given(practice="nowhere"),
        given(source="others"),
        given("ann,bob"),
        given("ann:x"),
        given("ann\nbob"),
        given("*"),
        given("sam"),
        given(practice=""),
        given(role=ADMINISTRATOR),
        replace(given(), until=NOW),
        replace(given(), reason=""),
    ],
)
def test_what_nobody_may_be_granted_is_refused_with_all_that_comes_with_it(
    entitlements: Entitlements, wrong: Entitlement
) -> None:
    with pytest.raises(RegistryUnavailable, match="23"):
        entitlements.grant([given("bob"), wrong])
    assert entitlements.find(ended=True) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM wardlake.entitlements",
        "UPDATE wardlake.entitlements SET until = until + interval '1 year'",
        "UPDATE wardlake.entitlements SET practice = 'o''south'",
        "UPDATE wardlake.entitlements SET ended_by = NULL, ended_at = NULL, end_reason = NULL",
        "TRUNCATE wardlake.entitlements",
    ],
)
def test_the_pipeline_s_role_can_neither_remove_nor_change_what_was_granted(
    entitlements: Entitlements, database: Database, statement: str
) -> None:
    entitlements.grant([given()])
    entitlements.end("clinics", "ann", ["north"], [MANAGER], LEFT)
    with psycopg.connect(database.dsn) as opened, pytest.raises(psycopg.Error):
        opened.execute(statement.encode())
    assert entitlements.find(ended=True) == [replace(given(), ended=LEFT)]


def test_a_store_that_does_not_answer_is_said(database: Database) -> None:
    gone = PostgresEntitlements(Database(database.host, 1, database.name, database.user, database.password).dsn)
    for call in (gone.find, lambda: gone.grant([given()]), lambda: gone.end("clinics", "ann", ["north"], [MANAGER], LEFT)):
        with pytest.raises(RegistryUnavailable):
            call()
