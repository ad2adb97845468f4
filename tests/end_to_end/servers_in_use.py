"""The environment `cluster` as a customer would have it: the shipped example with the addresses of servers that run."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from tests.end_to_end.clinic import ROOT, Clinic, make_clinic
from tests.servers.minio import MinioServer, S3User
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.servers.spark_cluster import SparkCluster

from wardlake.adapters.postgres_database import migrate

PROGRAM = Path(sys.executable).parent / "wardlake"
BUCKETS = ("raw", "staging", "restricted", "dev", "marts", "archive", "audit")
LOCKED = ("archive", "audit")


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Buckets, users and roles of one lake on servers that several lakes may share."""

    minio: MinioServer
    vault: OpenBaoServer
    dsn: str = field(repr=False)
    prefix: str  # stands where `wardlake-` stands in the example's bucket names
    pipeline: S3User
    engineer: S3User

    def bucket(self, zone: str) -> str:
        return f"{self.prefix}{zone}"

    def variables(self, role: str = "pipeline") -> dict[str, str]:
        """The environment of a process of that role; everything else in it is what any process has."""
        approle = self.vault.approles[role]
        user = self.pipeline if role == "pipeline" else self.engineer
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "WARDLAKE_VAULT_ROLE_ID": approle.role_id,
            "WARDLAKE_VAULT_SECRET_ID": approle.secret_id,
            "WARDLAKE_VAULT_TOKEN": str(self.vault.client(role).token),
            "WARDLAKE_REGISTRY_DSN": self.dsn,
            "LAKE_ACCESS_KEY": user.access_key,
            "LAKE_SECRET_KEY": user.secret_key,
        }


def prepare_servers(minio: MinioServer, vault: OpenBaoServer, postgres: PostgresServer) -> Servers:
    """Buckets, policies, schema and roles, laid by what `infra/` holds."""
    prefix = f"{secrets.token_hex(4)}-"
    for zone in BUCKETS:
        minio.client().make_bucket(f"{prefix}{zone}", object_lock=zone in LOCKED)
    users = {role: minio.new_user(policy(role, prefix)) for role in ("pipeline", "engineer")}
    database = postgres.fresh_database()
    migrate(database.dsn)
    user, password = postgres.new_role(member_of="wardlake_pipeline")
    dsn = database.as_user(user, password).dsn
    return Servers(minio=minio, vault=vault, dsn=dsn, prefix=prefix, **users)


def policy(role: str, prefix: str) -> dict[str, object]:
    """`infra/object-store/ROLE.json` for these buckets."""
    text = (ROOT / "infra" / "object-store" / f"{role}.json").read_text()
    return dict(json.loads(text.replace(":::wardlake-", f":::{prefix}")))


def write_environment(clinic: Clinic, servers: Servers, cluster: SparkCluster) -> None:
    """`conf/environments/cluster.yaml` of the clinic: the example, its addresses and bucket names replaced, sized for tests."""
    yaml = YAML()
    path = clinic.folder / "conf" / "environments" / "cluster.yaml"
    text = path.read_text()
    for example, here in {
        "https://vault.example:8200": servers.vault.address,
        "https://objects.example": servers.minio.endpoint,
        "spark://spark.example:7077": cluster.master,
        "wardlake-archive": servers.bucket("archive"),
        "wardlake-audit": servers.bucket("audit"),
        "s3a://wardlake-": f"s3a://{servers.prefix}",
        "driver_memory: 4g": "driver_memory: 1200m",
    }.items():
        assert example in text
        text = text.replace(example, here)
    document = yaml.load(text)
    document["pagers"] = [{"kind": "log", "file": str(clinic.folder / "pages.jsonl")}]
    document["spark"]["jars"] = str(ROOT / ".tools" / "jars")
    ours = {key: value for key, value in cluster.conf().items() if "authenticate" not in key and "driver.memory" not in key}
    document["spark"]["conf"].update(ours)
    yaml.dump(document, path)


def clinic_on(servers: Servers, cluster: SparkCluster, folder: Path) -> Clinic:
    """The clinic under the environment `cluster`."""
    clinic = make_clinic(folder, environment="cluster")
    write_environment(clinic, servers, cluster)
    return clinic


def run_program(clinic: Clinic, variables: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """`wardlake WORDS` in the clinic's folder, as a process of whoever the variables stand for."""
    lake = "s3a://not-a-zone/lake"  # every zone has its own bucket
    command = [str(PROGRAM), *words, "--env", "cluster", "--conf", "conf", "--lake", lake, "--json"]
    return subprocess.run(command, cwd=clinic.folder, env=variables, capture_output=True, text=True, timeout=1200, check=False)
