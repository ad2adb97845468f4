"""Which real thing stands behind each port: made once from an environment's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.adapters.postgres_audit_sink import PostgresAuditSink
from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.adapters.s3_objects import S3Address, S3Objects
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.adapters.spark_session import start_session
from wardlake.adapters.sqlite_audit_sink import SqliteAuditSink
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.adapters.system_clock import SystemClock
from wardlake.model.errors import ConfigurationError
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.audit_sink import AuditSink
from wardlake.ports.clock import Clock
from wardlake.ports.keys import Keys
from wardlake.ports.objects import Objects
from wardlake.ports.registry import Registry
from wardlake.ports.tables import Tables
from wardlake.settings import environment as env
from wardlake.settings.secrets import resolve


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The ports of one command, each made when it is first asked for: a Spark session costs ten seconds."""

    environment: env.Environment
    lake: str
    root: Path
    session: Callable[[], SparkSession] | None = field(default=None)  # a session that is already there

    @cached_property
    def layout(self) -> LakeLayout:
        lake = self.lake if "://" in self.lake else str(Path(self.lake).resolve())
        return LakeLayout(lake, dict(self.environment.zones))

    @cached_property
    def clock(self) -> Clock:
        return SystemClock()

    @cached_property
    def keys(self) -> Keys:
        match self.environment.keys:
            case env.SealedKeyFile(folder=folder):
                place = Path(folder) if folder else self._local(Zone.RESTRICTED) / "keys"
                return SealedKeyFile(place / "keys.json", place / "master.key")
            case env.OpenBao() as bao:
                credentials = AppRoleCredentials(role_id=resolve(bao.role_id), secret_id=resolve(bao.secret_id))
                return OpenBaoKeys(OpenBaoSession(VaultAddress(url=bao.address, authority=bao.ca_file), credentials))
        raise AssertionError

    def prepare_key_file(self) -> None:
        """Make the embedded key file where the environment uses one and there is none; a vault is never touched."""
        if isinstance(self.environment.keys, env.SealedKeyFile):
            folder = self.environment.keys.folder
            place = Path(folder) if folder else self._local(Zone.RESTRICTED) / "keys"
            if not (place / "keys.json").exists():
                create_key_file(place / "keys.json", place / "master.key")

    @cached_property
    def objects(self) -> Objects:
        return self._objects(self.environment.objects)

    @cached_property
    def audit_objects(self) -> Objects:
        return self._objects(self.environment.audit_objects or self.environment.objects)

    @cached_property
    def registry(self) -> Registry:
        match self.environment.registry:
            case env.Sqlite(file=file):
                return SqliteRegistry(Path(file) if file else self._local(Zone.RESTRICTED) / "registry.db")
            case env.Postgres(dsn=dsn):
                return PostgresRegistry(resolve(dsn))
        raise AssertionError

    @cached_property
    def audit_sink(self) -> AuditSink:
        match self.environment.registry:
            case env.Sqlite(file=file):
                return SqliteAuditSink(Path(file).with_name("audit.db") if file else self._local(Zone.AUDIT) / "records.db")
            case env.Postgres(dsn=dsn):
                return PostgresAuditSink(resolve(dsn))
        raise AssertionError

    @cached_property
    def tables(self) -> Tables:
        return DeltaTables(self.session() if self.session else self._start_spark())

    @property
    def spark(self) -> SparkSession:
        return self.tables.spark

    def _start_spark(self) -> SparkSession:
        settings = self.environment.spark
        jars = Path(settings.jars) if Path(settings.jars).is_absolute() else self.root / settings.jars
        conf = {"spark.driver.memory": settings.driver_memory, **settings.conf}
        return start_session("wardlake", jar_folder=jars, master=settings.master, conf=conf)

    def _objects(self, settings: env.Directory | env.S3) -> Objects:
        match settings:
            case env.Directory(folder=folder):
                return DirectoryObjects(Path(folder) if folder else self._local(Zone.AUDIT) / "objects", clock=self.clock)
            case env.S3() as s3:
                return S3Objects(
                    S3Address(
                        bucket=s3.bucket,
                        prefix=s3.prefix,
                        endpoint=s3.endpoint,
                        region=s3.region,
                        access_key=resolve(s3.access_key),
                        secret_key=resolve(s3.secret_key),
                    )
                )
        raise AssertionError

    def _local(self, zone: Zone) -> Path:
        place = self.layout.zone(zone)
        if "://" in place:
            raise ConfigurationError(
                what=f"The embedded adapters keep files in the zone {zone.value}, which is not on this machine.",
                next_step="choose an environment with a vault, an object store and a registry: --env NAME",
            )
        return Path(place)
