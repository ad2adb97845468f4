"""The test servers are the real programs, and hold what they promise to the tests that lean on them."""

from __future__ import annotations

import hvac
import psycopg
import pytest
from minio.error import S3Error
from tests.servers.minio import MinioServer, bucket_policy
from tests.servers.openbao import ROLES, OpenBaoServer, audit_entries
from tests.servers.postgres import PostgresServer


def test_each_database_is_fresh_and_its_owner_no_superuser(postgres_server: PostgresServer) -> None:
    database = postgres_server.fresh_database()
    with psycopg.connect(database.dsn) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        superuser = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    assert tables == (0,)
    assert superuser == (False,)


def test_postgres_stops_and_starts_with_its_data(own_postgres: PostgresServer) -> None:
    database = own_postgres.fresh_database()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.dsn, connect_timeout=2)
    own_postgres.start()
    with psycopg.connect(database.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_minio_user_may_do_what_its_policy_says_and_no_more(minio_server: MinioServer) -> None:
    mine, other = minio_server.fresh_bucket(object_lock=True), minio_server.fresh_bucket()
    client = minio_server.client(minio_server.new_user(bucket_policy(["s3:ListBucket"], mine)))
    assert list(client.list_objects(mine)) == []
    with pytest.raises(S3Error, match="AccessDenied"):
        list(client.list_objects(other))


def test_every_role_logs_in_to_the_vault_and_its_audit_device_saw_it(openbao_server: OpenBaoServer) -> None:
    for role in ROLES:
        policies = openbao_server.client(role).lookup_token()["data"]["policies"]
        assert f"wardlake-{role}" in policies
    assert any(entry["request"]["path"] == "auth/approle/login" for entry in audit_entries(openbao_server))  # type: ignore[index]


def test_the_vault_seals_and_unseals(own_openbao: OpenBaoServer) -> None:
    own_openbao.seal()
    with pytest.raises(hvac.exceptions.VaultDown):
        own_openbao.client("pipeline")
    own_openbao.unseal()
    assert own_openbao.client("pipeline").is_authenticated()
