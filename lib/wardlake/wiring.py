"""Which real thing stands behind each port: made once from an environment's settings."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from wardlake.adapters.captures import Captures as OpenedCaptures
from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.email_pager import EmailPager, MailServer
from wardlake.adapters.every_pager import EveryPager
from wardlake.adapters.great_expectations_contracts import GreatExpectationsContracts
from wardlake.adapters.log_pager import LogPager
from wardlake.adapters.oidc_identity import OidcIdentity, OidcIssuer
from wardlake.adapters.once_pager import OncePager
from wardlake.adapters.openbao_identity import OpenBaoIdentity
from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_secrets import OpenBaoSecrets
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.adapters.postgres_audit_sink import PostgresAuditSink
from wardlake.adapters.postgres_database import MigrationRefused, migrate, pending_migrations
from wardlake.adapters.postgres_entitlements import PostgresEntitlements
from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.adapters.postgres_work_queue import PostgresWorkQueue
from wardlake.adapters.s3_objects import S3Address, S3Objects
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.adapters.sources import SparkSources
from wardlake.adapters.spark_session import start_session
from wardlake.adapters.sqlite_audit_sink import SqliteAuditSink
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.adapters.system_clock import SystemClock
from wardlake.adapters.system_identity import SystemIdentity
from wardlake.adapters.trino_door import Credentials, TrinoDoor
from wardlake.adapters.trino_policy_files import TrinoPolicyFiles
from wardlake.adapters.trino_warehouse import TrinoAddress, TrinoWarehouse
from wardlake.adapters.webhook_pager import Webhook, WebhookPager
from wardlake.audit.trail import AuditTrail
from wardlake.model.errors import ConfigurationError
from wardlake.model.identity import Role
from wardlake.model.practices import FileCapture, PostgresCapture
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.audit_sink import AuditSink
from wardlake.ports.change_stream import Captures
from wardlake.ports.clock import Clock
from wardlake.ports.contracts import Contracts
from wardlake.ports.entitlements import Entitlements
from wardlake.ports.identity import IdentityProvider
from wardlake.ports.keys import Keys
from wardlake.ports.objects import Objects
from wardlake.ports.pager import Pager
from wardlake.ports.policy_files import PolicyFiles
from wardlake.ports.registry import Registry
from wardlake.ports.sources import Sources
from wardlake.ports.tables import Tables
from wardlake.ports.warehouse import Warehouse
from wardlake.ports.warehouse_door import Caller, WarehouseDoor
from wardlake.ports.work_queue import WorkQueue
from wardlake.settings import environment as env
from wardlake.settings.deployment import Deployment
from wardlake.settings.secrets import resolve

DAYS_A_YEAR = 365.25


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
                return OpenBaoKeys(_vault_session(bao))
        raise AssertionError

    def secret(self, reference: str) -> str:
        """What a source's reference leads to: `env:`, `file:`, or `vault:MOUNT/PATH` where the environment has a vault."""
        scheme, _, place = reference.partition(":")
        match scheme, self.environment.keys:
            case "vault", env.OpenBao() as bao:
                return OpenBaoSecrets(_vault_session(bao)).read(place)
            case "vault", _:
                raise ConfigurationError(
                    what=f"A secret lies in a vault ({reference}), and environment {self.environment.name} has none.",
                    next_step="choose one with a vault (--env NAME), or refer to the secret as env:NAME or file:PATH",
                )
        return resolve(reference)

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
    def trail(self) -> AuditTrail:
        years = self.environment.retention.audit_years
        return AuditTrail(
            self.audit_objects,
            self.audit_sink,
            self.clock,
            retention=timedelta(days=years * DAYS_A_YEAR),
            storage_class=self.environment.retention.audit_storage_class,
        )

    def migrate(self, *, owner: str = "", dry_run: bool = False) -> tuple[str, ...]:
        """Bring the schema of registry and audit up to date, as its owner; the names applied, or that would be.

        `owner` refers to the DSN of the schema's owner; empty: the registry's own. SQLite makes its tables when they are first
        used. Raises `ConfigurationError` where the database refuses or an applied file has changed since.
        """
        match self.environment.registry:
            case env.Sqlite():
                return ()
            case env.Postgres(dsn=dsn):
                try:
                    return (pending_migrations if dry_run else migrate)(resolve(owner or dsn))
                except MigrationRefused as problem:
                    raise ConfigurationError(
                        what=f"The schema was not changed: {problem}.",
                        next_step="as the schema's owner: wardlake audit migrate --owner env:OWNER_DSN",
                    ) from None
        raise AssertionError

    @cached_property
    def pager(self) -> Pager:
        return OncePager(EveryPager([self._pager(each) for each in self.environment.pagers]), self.registry, self.clock)

    @cached_property
    def identity(self) -> IdentityProvider:
        match self.environment.identity:
            case env.SystemIdentity() as system:
                return SystemIdentity(
                    _roles_of_users(system.roles),
                    second_factors=_SecretsByUser(system.second_factors),
                    used_codes=self._local(Zone.RESTRICTED) / "used-codes" if system.second_factors else None,
                    clock=self.clock,
                )
            case env.OpenBaoIdentity() as bao:
                return OpenBaoIdentity(VaultAddress(url=bao.address, authority=bao.ca_file), resolve(bao.token))
            case env.OidcIdentity() as oidc:
                issuer = OidcIssuer(
                    issuer=oidc.issuer,
                    audience=oidc.audience,
                    keys=json.loads(Path(oidc.keys).read_text("utf-8")),
                    role_claim=oidc.roles_claim,
                    roles=oidc.roles,
                )
                return OidcIdentity(issuer, resolve(oidc.token), clock=self.clock)
        raise AssertionError

    @cached_property
    def sources(self) -> Sources:
        return SparkSources(self.tables, secret=self.secret)

    def work_queue(self, source: str) -> WorkQueue:
        match self.environment.registry:
            case env.Postgres(dsn=dsn):
                return PostgresWorkQueue(resolve(dsn), source)
        raise self._no_postgres()

    @cached_property
    def entitlements(self) -> Entitlements:
        match self.environment.registry:
            case env.Postgres(dsn=dsn):
                return PostgresEntitlements(resolve(dsn))
        raise self._no_postgres()

    def _no_postgres(self) -> ConfigurationError:
        return ConfigurationError(
            what=f"Practices wait in PostgreSQL, and the registry of environment {self.environment.name} is a file.",
            next_step="choose an environment whose registry is PostgreSQL: --env NAME",
        )

    @cached_property
    def policy_files(self) -> PolicyFiles:
        return TrinoPolicyFiles(Path(self._trino.policies))

    @cached_property
    def warehouse(self) -> Warehouse:
        trino = self._trino
        address = TrinoAddress(
            url=trino.url, authority=trino.ca_file, catalog=trino.catalog, user=trino.user, password=resolve(trino.password)
        )
        return TrinoWarehouse(address)

    def warehouse_door(self, deployment: Deployment) -> WarehouseDoor:
        """A deployment as its two users find it; it need not be this environment's."""
        users = {Caller.ATTACKER: deployment.attacker, Caller.OTHER: deployment.other}
        callers = {
            caller: Credentials(user=each.user, password=self.secret(each.password), token=self.secret(each.token))
            for caller, each in users.items()
        }
        return TrinoDoor(deployment.url, callers, authority=deployment.ca_file)

    @property
    def _trino(self) -> env.Trino:
        if self.environment.warehouse is None:
            raise ConfigurationError(
                what=f"The environment {self.environment.name} has no warehouse.",
                next_step="say warehouse: in its file (docs/guide/warehouse.md), or choose another: --env NAME",
            )
        return self.environment.warehouse

    def captures(self, source: str, capture: PostgresCapture | FileCapture) -> Captures:
        own = capture.state if isinstance(capture, FileCapture) else ""
        state = f"{own}/{source}" if own else self.layout.acknowledged_files(source)
        if isinstance(capture, FileCapture) and "://" in state:
            raise ConfigurationError(
                what="Which change files were read is remembered in a folder of this machine, and a URI is none.",
                next_step=f"conf/practices/{source}.yaml: capture: {{state: /a/folder/that/stays}}",
            )
        return OpenedCaptures(capture, secret=self.secret, state=Path(state))

    @cached_property
    def contracts(self) -> Contracts:
        return GreatExpectationsContracts()

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
        _refuse_secrets(settings.conf)
        secrets = {key: resolve(reference) for key, reference in settings.secrets.items()}
        return start_session("wardlake", jar_folder=jars, master=settings.master, conf=conf, secrets=secrets)

    def _pager(self, settings: env.LogPager | env.WebhookPager | env.EmailPager) -> Pager:
        match settings:
            case env.LogPager(file=file):
                return LogPager(Path(file) if file else self._local(Zone.RESTRICTED) / "pages.jsonl")
            case env.WebhookPager(url=url, secret=secret):
                return WebhookPager(Webhook(url=url, secret=resolve(secret).encode()), clock=self.clock)
            case env.EmailPager() as mail:
                return EmailPager(
                    MailServer(
                        host=mail.host,
                        port=mail.port,
                        sender=mail.sender,
                        recipients=mail.recipients,
                        user=mail.user,
                        password=resolve(mail.password),
                        starttls=mail.starttls,
                    )
                )
        raise AssertionError

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


def _vault_session(bao: env.OpenBao) -> OpenBaoSession:
    credentials = AppRoleCredentials(role_id=resolve(bao.role_id), secret_id=resolve(bao.secret_id))
    return OpenBaoSession(VaultAddress(url=bao.address, authority=bao.ca_file), credentials)


def _refuse_secrets(conf: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` for Spark settings that hold a secret where a reference belongs."""
    secret = sorted(key for key in conf if re.search(r"(?i)secret(?!.*file)|password|session[._]?token", key))
    if secret:
        raise ConfigurationError(
            what=f"Secrets stand in the environment's spark.conf: {', '.join(secret)}.",
            next_step="move them to spark.secrets, as env:NAME or file:PATH",
        )


class _SecretsByUser(Mapping[str, str]):
    """Secrets by reference, each resolved when it is asked for: nobody needs to be able to read another's."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = references

    def __getitem__(self, user: str) -> str:
        return resolve(self._references[user])

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)


def _roles_of_users(roles: Mapping[str, Collection[Role]]) -> dict[str, frozenset[Role]]:
    """Roles by user name; `*` stands for whoever runs this, unless named."""
    named = {user: frozenset(given) for user, given in roles.items() if user != "*"}
    anybody = frozenset(roles.get("*", ()))
    return {pwd.getpwuid(os.getuid()).pw_name: anybody, **named}
