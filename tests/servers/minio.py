"""A real MinIO on a free loopback port: buckets with object lock, users with policies."""

from __future__ import annotations

import base64
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from tests.servers.processes import (
    LOOPBACK,
    ROOT,
    ServerFailed,
    ServerProcess,
    data_folder,
    free_port,
    running,
)

PROGRAM = ROOT / ".tools" / "bin" / "minio"
REGION = "us-east-1"


@dataclass(frozen=True)
class S3User:
    """An access key with its secret."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass
class MinioServer:
    """The server with its root user. Addresses: `endpoint` with scheme, `host_port` without."""

    port: int
    root: S3User
    folder: Path
    process: ServerProcess
    region: str = REGION

    @property
    def host_port(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host_port}"

    def client(self, user: S3User | None = None) -> Minio:
        user = user or self.root
        return Minio(self.host_port, user.access_key, user.secret_key, secure=False, region=REGION)

    def fresh_bucket(self, prefix: str = "wardlake", *, object_lock: bool = False) -> str:
        """A new bucket's name; object lock also turns versions on and cannot be turned off."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.client().make_bucket(name, object_lock=object_lock)
        return name

    def new_user(self, policy: Mapping[str, object]) -> S3User:
        """A user who may do what `policy` (an IAM document) says and nothing else."""
        user = S3User(f"user{secrets.token_hex(4)}", secrets.token_hex(16))
        admin = MinioAdmin(
            endpoint=self.host_port,
            credentials=StaticProvider(self.root.access_key, self.root.secret_key),
            region=REGION,
            secure=False,
        )
        admin.user_add(user.access_key, user.secret_key)
        admin.policy_add(f"policy-{user.access_key}", policy=dict(policy))
        admin.policy_set(f"policy-{user.access_key}", user=user.access_key)
        return user

    def s3a(self, user: S3User | None = None) -> dict[str, str]:
        """Spark's settings for tables in this store."""
        user = user or self.root
        return {
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.endpoint.region": REGION,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
            "spark.hadoop.fs.s3a.access.key": user.access_key,
            "spark.hadoop.fs.s3a.secret.key": user.secret_key,
            "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
        }

    def stop(self) -> None:
        self.process.stop()

    def start(self) -> None:
        self.process.start()


def bucket_policy(actions: list[str], bucket: str, prefix: str = "*") -> dict[str, object]:
    """An IAM document that allows `actions` on a bucket and the keys below `prefix`."""
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{prefix}"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [statement]}


def start_minio() -> MinioServer:
    """Start a server of our own; the caller stops it and removes its folder."""
    if not PROGRAM.exists():
        raise ServerFailed("MinIO is not installed: make setup-tests")
    folder, port = data_folder("minio"), free_port()
    root = S3User("wardlakeroot", secrets.token_hex(16))
    encryption = base64.b64encode(secrets.token_bytes(32)).decode()
    process = ServerProcess(
        command=[
            str(PROGRAM),
            "server",
            str(folder / "data"),
            *("--address", f"{LOOPBACK}:{port}", "--console-address", f"{LOOPBACK}:{free_port()}"),
            *("--shutdown-timeout", "1s"),  # it waits for idle connections otherwise
        ],
        log=folder / "server.log",
        ready=lambda: _healthy(port),
        environment={
            "MINIO_ROOT_USER": root.access_key,
            "MINIO_ROOT_PASSWORD": root.secret_key,
            "MINIO_KMS_SECRET_KEY": f"lake:{encryption}",
            "MINIO_BROWSER": "off",
            "MINIO_REGION": REGION,
        },
    )
    process.start()
    return MinioServer(port, root, folder, process)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/minio/health/cluster", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def minio_server() -> Iterator[MinioServer]:
    """One MinIO for the run. Do not stop it: take `own_minio` for that."""
    with running(start_minio) as server:
        yield server


@pytest.fixture
def own_minio() -> Iterator[MinioServer]:
    """A server that one test may stop."""
    with running(start_minio) as server:
        yield server
