"""`wardlake audit migrate` lays the schema of registry and audit into a real PostgreSQL, once."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.commands import Ended, command
from tests.servers.postgres import Database, PostgresServer
from tests.servers.processes import free_port

from wardlake.adapters.postgres_audit_sink import PostgresAuditSink
from wardlake.adapters.postgres_registry import PostgresRegistry

NAMES = ["001_registry.sql", "002_audit.sql", "003_grants.sql", "004_practices.sql", "005_entitlements.sql"]


@pytest.fixture
def database(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    empty = postgres_server.fresh_database()
    folder = tmp_path / "conf" / "environments"
    folder.mkdir(parents=True)
    (folder / "server.yaml").write_text("name: server\nregistry: {kind: postgres, dsn: env:REGISTRY_DSN}\n")
    monkeypatch.setenv("OWNER_DSN", empty.dsn)
    return empty


def migrate(folder: Path, *flags: str) -> Ended:
    return command(
        "audit", "migrate", "--owner", "env:OWNER_DSN", *flags, conf=folder / "conf", lake=folder / "lake", env="server"
    )


def test_the_schema_is_laid_once_and_a_dry_run_lays_nothing(database: Database, tmp_path: Path) -> None:
    said = migrate(tmp_path, "--dry-run")
    assert (said.code, said.answer) == (0, {"applied": False, "migrations": NAMES})
    assert migrate(tmp_path, "--dry-run").answer["migrations"] == NAMES
    assert migrate(tmp_path).answer == {"applied": True, "migrations": NAMES}
    assert migrate(tmp_path).answer["migrations"] == []
    assert migrate(tmp_path, "--dry-run").answer["migrations"] == []
    assert PostgresAuditSink(database.dsn).head() is None
    PostgresRegistry(database.dsn).reachable()


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_a_database_that_does_not_answer_is_no_mistake_of_the_command(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setenv("OWNER_DSN", f"host=127.0.0.1 port={free_port()} user=owner dbname=wardlake")
    said = migrate(tmp_path, *flags)
    assert (said.code, said.answer["error"]["kind"]) == (24, "StorageUnavailable")


def test_a_role_that_may_not_is_told_who_may(
    database: Database, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWNER_DSN", database.as_user(*postgres_server.new_role()).dsn)
    said = migrate(tmp_path)
    assert (said.code, "--owner" in said.answer["error"]["next"]) == (2, True)


def test_a_file_changed_since_it_was_applied_is_refused(database: Database, tmp_path: Path) -> None:
    migrate(tmp_path)
    with psycopg.connect(database.dsn) as opened:
        opened.execute("UPDATE wardlake.migrations SET sha256 = 'of another text' WHERE name = '002_audit.sql'")
    for flags in (["--dry-run"], []):
        refused = migrate(tmp_path, *flags)
        assert refused.code == 2
        assert "002_audit.sql has changed" in refused.answer["error"]["what"]
