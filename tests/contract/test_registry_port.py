"""What both registries promise: a SQLite file and PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.servers.postgres import Database, PostgresServer
from tests.waiting import PATIENTLY

from wardlake.adapters.postgres_database import MigrationRefused, connection, migrate
from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.model.errors import RunLocked
from wardlake.ports.registry import Registry, RegistryUnavailable

IMPLEMENTATIONS = ("sqlite_registry", "postgres_registry")
Make = Callable[[], Registry]


def make_registry(kind: str, where: object) -> Registry:
    match kind:
        case "sqlite_registry":
            assert isinstance(where, Path)
            return SqliteRegistry(where)
        case "postgres_registry":
            assert isinstance(where, str)
            return PostgresRegistry(where)
        case other:
            raise ValueError(other)


@pytest.fixture(params=IMPLEMENTATIONS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, object]:
    """What a registry is made of: its kind and where it is."""
    if request.param == "sqlite_registry":
        return request.param, tmp_path / "registry.db"
    return request.param, request.getfixturevalue("migrated_database").dsn


@pytest.fixture
def registry(address: tuple[str, object]) -> Registry:
    return make_registry(*address)


DOCUMENT: dict[str, Any] = {"n": 1, "x": 1.5, "s": "ü'\"", "b": True, "none": None, "l": [1, {"a": []}], "big": 2**62}


def test_a_document_comes_back_as_it_was_put(registry: Registry) -> None:
    registry.put("runs", "r1", DOCUMENT)
    assert registry.get("runs", "r1") == DOCUMENT


def test_where_nothing_is_none_is_got(registry: Registry) -> None:
    registry.put("runs", "r1", {})
    assert registry.get("runs", "r2") is None
    assert registry.get("other", "r1") is None


def test_put_replaces(registry: Registry) -> None:
    registry.put("runs", "r1", {"state": "started"})
    registry.put("runs", "r1", {"state": "done"})
    assert registry.get("runs", "r1") == {"state": "done"}


def test_insert_is_true_once_and_keeps_the_first(registry: Registry) -> None:
    assert registry.insert("runs", "r1", {"by": "first"})
    assert not registry.insert("runs", "r1", {"by": "second"})
    assert registry.get("runs", "r1") == {"by": "first"}


def test_replace_swaps_only_what_is_expected(registry: Registry) -> None:
    registry.put("runs", "r1", DOCUMENT)
    assert not registry.replace("runs", "r1", {**DOCUMENT, "n": 2}, {"state": "wrong"})
    assert not registry.replace("runs", "none", {}, {"state": "wrong"})
    assert registry.replace("runs", "r1", DOCUMENT, {"state": "done"})
    assert registry.get("runs", "r1") == {"state": "done"}
    assert registry.get("runs", "none") is None


def test_find_gives_keys_with_the_prefix_in_order(registry: Registry) -> None:
    for key in ("b", "a/2", "a/10", "a%x", "a_x", "A/1"):
        registry.put("runs", key, {"key": key})
    registry.put("other", "a/3", {})
    assert [key for key, _ in registry.find("runs")] == ["A/1", "a%x", "a/10", "a/2", "a_x", "b"]
    assert registry.find("runs", "a/") == [("a/10", {"key": "a/10"}), ("a/2", {"key": "a/2"})]
    assert registry.find("runs", "a%") == [("a%x", {"key": "a%x"})]
    assert registry.find("none") == []


def test_a_deleted_document_is_gone_and_deleting_again_does_nothing(registry: Registry) -> None:
    registry.put("runs", "r1", {})
    registry.delete("runs", "r1")
    registry.delete("runs", "r1")
    assert registry.get("runs", "r1") is None


def test_many_are_got_at_once_and_those_that_are_not_there_are_left_out(registry: Registry) -> None:
    for key in ("a", "b/1", "c"):
        registry.put("runs", key, {"key": key})
    registry.put("other", "d", {})
    assert registry.get_all("runs", ["b/1", "a", "d", "none"]) == {"a": {"key": "a"}, "b/1": {"key": "b/1"}}
    assert registry.get_all("runs", []) == {}


def test_fields_are_set_in_many_documents_and_all_others_stay(registry: Registry) -> None:
    registry.put("runs", "a", {"x": {"day": 1, "whole": 1}, "y": 2})
    registry.put("runs", "c", {"x": 9})
    registry.set_fields("runs", {"b": {"x": 5}, "a": {"x": {"day": None}, "z": DOCUMENT}})
    assert dict(registry.find("runs")) == {"a": {"x": {"day": None}, "y": 2, "z": DOCUMENT}, "b": {"x": 5}, "c": {"x": 9}}
    registry.set_fields("runs", {})
    with pytest.raises(ValueError, match="JSON"):
        registry.set_fields("runs", {"c": {"x": 1}, "d": {"x": float("nan")}})
    assert registry.get_all("runs", ["c", "d"]) == {"c": {"x": 9}}


def _set_own_field(kind: str, where: object, field: str) -> None:
    registry = make_registry(kind, where)
    keys = [f"k{n:03}" for n in range(50)]
    for turn in range(10):
        registry.set_fields("runs", {key: {field: turn} for key in (keys if field == "a" else reversed(keys))})


def test_two_processes_that_set_fields_of_the_same_documents_lose_none(address: tuple[str, object], registry: Registry) -> None:
    _run_in_processes([(_set_own_field, (*address, field)) for field in ("a", "b")])
    assert [document for _, document in registry.find("runs")] == [{"a": 9, "b": 9}] * 50


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"x": float("inf")}, {"x": "nul\0"}, {"x": object()}])
def test_what_is_not_plain_json_is_refused_and_not_stored(registry: Registry, bad: dict[str, Any]) -> None:
    for write in (registry.put, registry.insert):
        with pytest.raises((ValueError, TypeError)):
            write("runs", "r1", bad)
    assert registry.get("runs", "r1") is None


def test_a_reachable_registry_says_so(registry: Registry) -> None:
    registry.reachable()


def _count_up(kind: str, where: object) -> None:
    registry = make_registry(kind, where)
    for _ in range(20):
        while True:
            before = registry.get("counters", "c")
            assert before is not None
            if registry.replace("counters", "c", before, {"n": before["n"] + 1}):
                break


def test_two_processes_lose_no_swap(address: tuple[str, object], registry: Registry) -> None:
    registry.put("counters", "c", {"n": 0})
    _run_in_processes([(_count_up, address)] * 2)
    assert registry.get("counters", "c") == {"n": 40}


def _run_in_processes(work: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=target, args=arguments) for target, arguments in work]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


# --- locks -------------------------------------------------------------------------------------------------------------


def test_a_held_lock_is_refused_and_a_released_one_given(registry: Registry) -> None:
    with registry.lock("dev/synthea"), pytest.raises(RunLocked), registry.lock("dev/synthea"):
        pass
    with registry.lock("dev/synthea"):
        pass


def test_a_lock_is_released_when_its_holder_fails(registry: Registry) -> None:
    with pytest.raises(KeyError), registry.lock("dev/synthea"):
        raise KeyError
    with registry.lock("dev/synthea"):
        pass


def test_locks_of_two_names_do_not_meet(registry: Registry) -> None:
    with registry.lock("dev/synthea"), registry.lock("dev/other"):
        pass


def test_a_lock_may_be_waited_for(registry: Registry) -> None:
    order: list[str] = []
    held = threading.Event()

    def hold() -> None:
        with registry.lock("dev/synthea"):
            held.set()
            time.sleep(0.5)
            order.append("first")

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(timeout=30)
    with registry.lock("dev/synthea", wait_seconds=PATIENTLY):
        order.append("second")
    holder.join()
    assert order == ["first", "second"]


def test_waiting_ends(registry: Registry) -> None:
    with registry.lock("dev/synthea"):
        began = time.monotonic()
        with pytest.raises(RunLocked), registry.lock("dev/synthea", wait_seconds=0.4):
            pass
        assert 0.4 <= time.monotonic() - began < 20


def _hold_for_ever(kind: str, where: object, held: Any) -> None:
    with make_registry(kind, where).lock("dev/synthea"):
        held.set()
        time.sleep(600)


def test_a_killed_holder_lets_go(address: tuple[str, object], registry: Registry) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=_hold_for_ever, args=(*address, held))
    holder.start()
    assert held.wait(timeout=60)
    with pytest.raises(RunLocked), registry.lock("dev/synthea"):
        pass
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with registry.lock("dev/synthea", wait_seconds=PATIENTLY):
        pass


def test_the_server_finds_out_within_a_minute_that_a_holder_s_host_is_gone(migrated_database: Database) -> None:
    with connection(migrated_database.dsn, RegistryUnavailable) as opened:
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        told = [next(iter(opened.execute(f"SHOW {name}".encode())))[0] for name in names]
    idle, interval, count, lost = map(int, told)
    assert 0 < idle + interval * count <= 60
    assert 0 < lost <= 60_000


# --- connections that are kept -----------------------------------------------------------------------------------------


CLIENTS = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"


def connections(server: PostgresServer, database: Database) -> set[int]:
    with psycopg.connect(server.admin.dsn) as admin:
        found = admin.execute(CLIENTS, (database.name,))
        return {pid for (pid,) in found}


def test_one_connection_serves_call_after_call(postgres_server: PostgresServer, migrated_database: Database) -> None:
    registry = PostgresRegistry(migrated_database.dsn)
    registry.put("runs", "r1", {"n": 0})
    deadline = time.monotonic() + 60
    while len(connections(postgres_server, migrated_database)) > 1 and time.monotonic() < deadline:
        time.sleep(0.1)  # who made the schema has gone, which the server may not have noticed yet
    seen = []
    for number in range(5):
        registry.put("runs", "r1", {"n": number})
        seen.append(connections(postgres_server, migrated_database))
    assert (len(seen[0]), seen) == (1, [seen[0]] * 5)
    assert PostgresRegistry(migrated_database.dsn).get("runs", "r1") == {"n": 4}  # committed each time


def test_a_connection_that_broke_meanwhile_is_replaced(postgres_server: PostgresServer, migrated_database: Database) -> None:
    registry = PostgresRegistry(migrated_database.dsn)
    registry.put("runs", "r1", {"n": 1})
    with psycopg.connect(postgres_server.admin.dsn, autocommit=True) as admin:
        admin.execute(f"SELECT pg_terminate_backend(pid, 60000) FROM ({CLIENTS}) AS c", (migrated_database.name,))
    registry.put("runs", "r1", {"n": 2})
    assert registry.get("runs", "r1") == {"n": 2}


def test_threads_share_a_registry(migrated_database: Database) -> None:
    registry = PostgresRegistry(migrated_database.dsn)
    with ThreadPoolExecutor(8) as threads:
        done = threads.map(lambda number: registry.insert("runs", f"r{number}", {"n": number}), range(200))
        assert all(done)
    assert len(registry.find("runs")) == 200


def _use_inherited(registry: PostgresRegistry) -> None:
    for number in range(50):
        registry.put("runs", "child", {"n": number})


def test_a_forked_child_leaves_its_parent_s_connection_alone(migrated_database: Database) -> None:
    registry = PostgresRegistry(migrated_database.dsn)
    registry.put("runs", "parent", {"n": 0})
    child = multiprocessing.get_context("fork").Process(target=_use_inherited, args=(registry,))
    child.start()
    for number in range(50):
        registry.put("runs", "parent", {"n": number})
    child.join(timeout=60)
    assert child.exitcode == 0
    assert {key: each["n"] for key, each in registry.find("runs")} == {"child": 49, "parent": 49}


# --- away --------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=IMPLEMENTATIONS)
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """A registry that worked and is gone."""
    if request.param == "sqlite_registry":
        (tmp_path / "folder").write_text("a file where the folder was")
        return SqliteRegistry(tmp_path / "folder" / "registry.db")
    server: PostgresServer = request.getfixturevalue("own_postgres")
    database = server.fresh_database()
    migrate(database.dsn)
    PostgresRegistry(database.dsn).put("runs", "r1", {})
    server.stop()
    return PostgresRegistry(database.dsn)


def test_a_registry_that_is_away_says_so_in_every_method(away: Registry) -> None:
    calls: list[Callable[[], object]] = [
        lambda: away.get("runs", "r1"),
        lambda: away.put("runs", "r1", {}),
        lambda: away.insert("runs", "r1", {}),
        lambda: away.replace("runs", "r1", {}, {}),
        lambda: away.find("runs"),
        lambda: away.get_all("runs", ["r1"]),
        lambda: away.set_fields("runs", {"r1": {}}),
        lambda: away.delete("runs", "r1"),
        away.reachable,
        lambda: away.lock("dev/synthea").__enter__(),
    ]
    for call in calls:
        with pytest.raises(RegistryUnavailable):
            call()


def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(RegistryUnavailable):
        SqliteRegistry(tmp_path / "registry.db").get("runs", "r1")


def test_a_lock_lost_with_its_connection_does_not_pass_for_held(
    postgres_server: PostgresServer, migrated_database: Database
) -> None:
    registry = PostgresRegistry(migrated_database.dsn)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with (
        psycopg.connect(postgres_server.admin.dsn, autocommit=True) as admin,
        pytest.raises(RegistryUnavailable),
        registry.lock("dev/synthea"),
    ):
        admin.execute(ended, (migrated_database.name,))


def test_a_wrong_password_is_unavailable_and_not_printed(migrated_database: Database) -> None:
    wrong = migrated_database.as_user(migrated_database.user, "letmein")
    with pytest.raises(RegistryUnavailable) as refused:
        PostgresRegistry(wrong.dsn).reachable()
    assert "letmein" not in str(refused.value)
    assert refused.value.__cause__ is None


# --- the schema --------------------------------------------------------------------------------------------------------


def test_a_database_without_the_schema_is_unavailable(postgres_database: Database) -> None:
    with pytest.raises(RegistryUnavailable):
        PostgresRegistry(postgres_database.dsn).reachable()


def test_migrations_are_applied_once(postgres_database: Database) -> None:
    names = ("001_registry.sql", "002_audit.sql", "003_grants.sql", "004_practices.sql", "005_entitlements.sql")
    assert migrate(postgres_database.dsn) == names
    assert migrate(postgres_database.dsn) == ()


def test_a_migration_that_changed_after_it_was_applied_is_refused(migrated_database: Database) -> None:
    with psycopg.connect(migrated_database.dsn, autocommit=True) as opened:
        opened.execute("UPDATE wardlake.migrations SET sha256 = 'other' WHERE name = '001_registry.sql'")
    with pytest.raises(MigrationRefused, match=r"001_registry\.sql has changed"):
        migrate(migrated_database.dsn)


def test_the_pipelines_role_works_and_cannot_change_the_schema(
    postgres_server: PostgresServer, migrated_database: Database
) -> None:
    pipeline = migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_pipeline"))
    PostgresRegistry(pipeline.dsn).put("runs", "r1", {"n": 1})
    assert PostgresRegistry(pipeline.dsn).get("runs", "r1") == {"n": 1}
    with pytest.raises(MigrationRefused):
        migrate(pipeline.dsn)


def test_a_role_without_membership_reads_nothing(postgres_server: PostgresServer, migrated_database: Database) -> None:
    stranger = migrated_database.as_user(*postgres_server.new_role())
    with pytest.raises(RegistryUnavailable):
        PostgresRegistry(stranger.dsn).get("runs", "r1")
