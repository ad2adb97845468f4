"""`conf/environments/NAME.yaml`: which adapter stands behind each port, and where the zones lie.

Secrets are references (`env:NAME`, `file:PATH`), never values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from wardlake.model.identity import Role
from wardlake.model.zones import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKeyFile:
    """Embedded keys; not for production."""

    kind: Literal["sealed-key-file"] = "sealed-key-file"
    folder: str = ""  # empty: `restricted/keys` of the lake


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBao:
    kind: Literal["openbao"] = "openbao"
    address: str
    role_id: str
    secret_id: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Objects in a write-once directory; not for production."""

    kind: Literal["directory"] = "directory"
    folder: str = ""  # empty: `audit/objects` beside the lake's zones


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    kind: Literal["s3"] = "s3"
    bucket: str
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""  # references; empty: the SDK's own credential chain
    secret_key: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqlite:
    kind: Literal["sqlite"] = "sqlite"
    file: str = ""  # empty: `restricted/registry.db` of the lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    kind: Literal["postgres"] = "postgres"
    dsn: str  # a reference


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPager:
    kind: Literal["log"] = "log"
    file: str = ""  # empty: `restricted/pages.jsonl` of the lake


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPager:
    kind: Literal["webhook"] = "webhook"
    url: str
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailPager:
    kind: Literal["email"] = "email"
    host: str
    port: int = 25
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    password: str = ""  # a reference
    starttls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemIdentity:
    """The operating system's user; not for production. `roles` maps user names to roles; `*` is anybody.

    `second_factors` maps user names to references to their base32 TOTP secrets.
    """

    kind: Literal["operating-system"] = "operating-system"
    roles: Mapping[str, tuple[Role, ...]] = field(default_factory=dict)
    second_factors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBaoIdentity:
    kind: Literal["openbao"] = "openbao"
    address: str
    token: str  # a reference
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIdentity:
    kind: Literal["oidc"] = "oidc"
    issuer: str
    audience: str
    token: str
    keys: str  # file with the issuer's signing keys (JWKS)
    roles_claim: str = "wardlake_roles"
    roles: Mapping[str, Role] = field(default_factory=dict)  # value of the claim to role


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """`conf` is handed to Spark as it is, `secrets` once its references are resolved.

    `storage_*` say how the scan's workers reach an object store beside Spark.
    """

    master: str = "local[*]"
    driver_memory: str = "2g"
    jars: str = ".tools/jars"
    conf: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # Spark setting to reference
    storage_endpoint: str = ""
    storage_region: str = "us-east-1"
    storage_credentials: str = ""  # `env:NAME`: NAME_ACCESS_KEY and NAME_SECRET_KEY on every executor


# Classes that are read at once: every record needs the one before, so an archive that must be thawed first would stop all.
AuditStorageClass = Literal["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Years and days that things are kept. 45 CFR 164.316(b)(2)(i): six years for documentation."""

    audit_years: int = 6
    audit_storage_class: AuditStorageClass = "STANDARD"
    study_years: int = 25  # EU 536/2014, Art. 58
    dataset_days: int = 2190
    operational_snapshot_days: int = 14
    dataset_storage_class: str = "STANDARD"
    quarantine_days: int = 30  # output that a gate refused, kept to find out why
    published_versions: int = 2  # dataset versions kept in the zone itself, besides the archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Trino:
    """The warehouse that analysts ask for marts. `user` registers them there, and sees none of their rows.

    `policies`: the folder of rules.json and groups.txt, which Trino reads anew every `refresh_seconds`. `marts`: where its
    catalogue finds the zone, e.g. `s3://wardlake-marts/marts` or `local:///marts`.
    """

    kind: Literal["trino"] = "trino"
    url: str  # https
    ca_file: str = ""
    user: str
    password: str  # a reference
    catalog: str
    policies: str
    marts: str
    refresh_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    name: str
    keys: Annotated[SealedKeyFile | OpenBao, Field(discriminator="kind")] = field(default_factory=SealedKeyFile)
    objects: Annotated[Directory | S3, Field(discriminator="kind")] = field(default_factory=Directory)
    audit_objects: Annotated[Directory | S3, Field(discriminator="kind")] | None = None  # none: the same store
    registry: Annotated[Sqlite | Postgres, Field(discriminator="kind")] = field(default_factory=Sqlite)
    pagers: tuple[Annotated[LogPager | WebhookPager | EmailPager, Field(discriminator="kind")], ...] = (LogPager(),)
    identity: Annotated[SystemIdentity | OpenBaoIdentity | OidcIdentity, Field(discriminator="kind")] = field(
        default_factory=SystemIdentity
    )
    spark: Spark = field(default_factory=Spark)
    warehouse: Trino | None = None
    zones: Mapping[Zone, str] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)
