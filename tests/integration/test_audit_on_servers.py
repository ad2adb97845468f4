"""The audit trail on MinIO and PostgreSQL: whole, locked, and with either of them down nothing happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.servers.minio import MinioServer
from tests.servers.postgres import Database, PostgresServer
from tests.spec.audit.conftest import SIX_YEARS, acted, make_event

from wardlake.adapters.postgres_audit_sink import PostgresAuditSink
from wardlake.adapters.postgres_database import migrate
from wardlake.adapters.s3_objects import S3Address, S3Objects
from wardlake.adapters.system_clock import SystemClock
from wardlake.audit.records import archive_key
from wardlake.audit.trail import AuditTrail
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditKind
from wardlake.model.errors import NotAllowed


def s3_objects(server: MinioServer) -> S3Objects:
    return S3Objects(
        S3Address(
            bucket=server.fresh_bucket(object_lock=True),
            endpoint=server.endpoint,
            access_key=server.root.access_key,
            secret_key=server.root.secret_key,
        )
    )


def test_on_real_servers_the_chain_is_whole_and_locked(minio_server: MinioServer, migrated_database: Database) -> None:
    objects, sink = s3_objects(minio_server), PostgresAuditSink(migrated_database.dsn)
    trail = AuditTrail(objects, sink, SystemClock(), retention=SIX_YEARS)
    for _ in range(3):
        trail.append(make_event())
    assert verify_archive(objects, head=sink.head()).ok
    until = objects.info(archive_key(1)).locked_until
    assert until is not None
    assert until > datetime.now(UTC) + SIX_YEARS - timedelta(minutes=5)
    with pytest.raises(NotAllowed):
        objects.delete(archive_key(1))


def test_with_the_object_store_down_nothing_happens(own_minio: MinioServer, migrated_database: Database) -> None:
    objects, sink = s3_objects(own_minio), PostgresAuditSink(migrated_database.dsn)
    trail = AuditTrail(objects, sink, SystemClock(), retention=SIX_YEARS)
    own_minio.stop()
    assert not acted(trail, make_event())
    assert sink.head() is None
    own_minio.start()
    trail.append(make_event())
    assert verify_archive(objects, head=sink.head()).ok


def test_with_the_database_down_nothing_happens(minio_server: MinioServer, own_postgres: PostgresServer) -> None:
    database = own_postgres.fresh_database()
    migrate(database.dsn)
    objects, sink = s3_objects(minio_server), PostgresAuditSink(database.dsn)
    trail = AuditTrail(objects, sink, SystemClock(), retention=SIX_YEARS)
    trail.append(make_event())
    own_postgres.stop()
    assert not acted(trail, make_event(kind=AuditKind.KEY_ROTATED))
    own_postgres.start()
    trail.append(make_event())
    assert verify_archive(objects, head=sink.head()).ok
