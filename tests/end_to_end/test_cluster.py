"""The refresh, unchanged, as a customer runs it: two workers, tables on an object store, a vault, PostgreSQL.

One run of the program is looked at by every test here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from minio.error import S3Error
from pyspark.sql import SparkSession
from tests.end_to_end.clinic import Clinic, make_clinic, patients, visits
from tests.end_to_end.servers_in_use import LOCKED, Servers, clinic_on, prepare_servers, run_program
from tests.security.test_key_never_shows import found_in
from tests.servers.minio import MinioServer, S3User
from tests.servers.openbao import OpenBaoServer
from tests.servers.postgres import PostgresServer
from tests.servers.spark_cluster import WORKERS, SparkCluster

from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.model.errors import NotAllowed
from wardlake.model.zones import Zone
from wardlake.pipelines.key_making import domains_needed
from wardlake.publish.pointer import open_dataset
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.tokens.keyring import KeyUse, hmac_pads, open_ring

VAULTED = """\
name: vaulted
keys: {{kind: openbao, address: "{address}", role_id: env:VAULTED_ROLE_ID, secret_id: env:VAULTED_SECRET_ID}}
identity: {{kind: operating-system, roles: {{"*": [pipeline]}}}}
"""


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """A clinic refreshed on the cluster: what the program answered and said."""

    clinic: Clinic
    servers: Servers
    cluster: SparkCluster
    answer: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def refreshed(
    tmp_path_factory: pytest.TempPathFactory,
    minio_server: MinioServer,
    openbao_server: OpenBaoServer,
    postgres_server: PostgresServer,
    spark_cluster: SparkCluster,
) -> Refreshed:
    servers = prepare_servers(minio_server, openbao_server, postgres_server)
    clinic = clinic_on(servers, spark_cluster, tmp_path_factory.mktemp("clinic"))
    variables = {**servers.variables(), "WARDLAKE_SPARK_SECRET": spark_cluster.secret}
    made = run_program(clinic, variables, "keys", "create", "--source", "clinic")
    assert made.returncode == 0, made.stderr
    ended = run_program(clinic, variables, "dev", "refresh", "--source", "clinic")
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-1000:]
    said = made.stderr + ended.stderr + made.stdout + ended.stdout
    return Refreshed(clinic=clinic, servers=servers, cluster=spark_cluster, answer=json.loads(ended.stdout), said=said)


def keys_of(servers: Servers, role: str) -> OpenBaoKeys:
    approle = servers.vault.approles[role]
    credentials = AppRoleCredentials(role_id=approle.role_id, secret_id=approle.secret_id)
    return OpenBaoKeys(OpenBaoSession(VaultAddress(url=servers.vault.address), credentials))


def domains(clinic: Clinic) -> tuple[str, ...]:
    settings = load_settings(clinic.folder / "conf", "cluster", today=today())
    return domains_needed(settings.classification("clinic"))


def rows_seen_by(user: S3User, run: Refreshed, spark: SparkSession, table: str) -> set[tuple[object, ...]]:
    """The published table as that user of the object store reads it."""
    store = {key.removeprefix("spark.hadoop."): value for key, value in run.servers.minio.s3a(user).items()}
    path = f"{run.answer['path']}/{table}"
    return set(map(tuple, spark.read.format("delta").options(**store).load(path).collect()))


def objects_in(run: Refreshed, zone: str) -> Iterator[str]:
    """Every object; the engine's marks of empty folders are none."""
    listed = run.servers.minio.client().list_objects(run.servers.bucket(zone), recursive=True)
    return (name for name in (str(entry.object_name) for entry in listed) if not name.endswith("/"))


def test_the_clinic_is_published_whole_in_the_bucket_of_its_zone(refreshed: Refreshed) -> None:
    assert refreshed.answer["tables"] == [
        {"name": "patients", "rows_in": 40, "rows_out": 40},
        {"name": "visits", "rows_in": 120, "rows_out": 120},
    ]
    assert refreshed.answer["path"].startswith(f"s3a://{refreshed.servers.bucket('dev')}/")
    assert not list(objects_in(refreshed, "staging"))


def test_both_workers_did_the_work(refreshed: Refreshed) -> None:
    workers = {log.parts[-4] for log in refreshed.cluster.folder.glob("worker-*/app-*/*/stderr")}
    assert len(workers) == WORKERS


def test_the_same_keys_give_the_same_dataset_on_one_machine(
    refreshed: Refreshed, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = refreshed.servers.variables()
    monkeypatch.setenv("VAULTED_ROLE_ID", variables["WARDLAKE_VAULT_ROLE_ID"])
    monkeypatch.setenv("VAULTED_SECRET_ID", variables["WARDLAKE_VAULT_SECRET_ID"])
    text = VAULTED.format(address=refreshed.servers.vault.address)
    local = make_clinic(tmp_path, spark, environment="vaulted", environments={"vaulted": text})
    answer = local.refresh()
    wiring = local.wiring()
    paths = open_dataset(wiring.tables, wiring.layout, Zone.DEV, "clinic")
    assert answer["dataset_id"] == refreshed.answer["dataset_id"]
    for table, path in paths.items():
        here = set(map(tuple, wiring.tables.read(path).collect()))
        assert here == rows_seen_by(refreshed.servers.engineer, refreshed, spark, table)


def test_the_audit_chain_is_whole_and_every_record_is_locked(refreshed: Refreshed) -> None:
    verified = run_program(refreshed.clinic, refreshed.servers.variables(), "audit", "verify")
    assert verified.returncode == 0, verified.stderr
    said = json.loads(verified.stdout)
    records = list(objects_in(refreshed, "audit"))
    client, bucket = refreshed.servers.minio.client(), refreshed.servers.bucket("audit")
    locks = {client.get_object_retention(bucket, name).mode for name in records}
    assert said["ok"]
    assert said["records"] == len(records) > len(domains(refreshed.clinic))
    assert locks == {"COMPLIANCE"}


def test_the_dataset_is_archived_without_a_lock_of_its_own(refreshed: Refreshed) -> None:
    name = refreshed.answer["dataset_id"]
    archived = [key for key in objects_in(refreshed, "archive") if name in key]
    client, bucket = refreshed.servers.minio.client(), refreshed.servers.bucket("archive")
    assert sum(key.endswith(".parquet") for key in archived) >= 2
    assert {client.get_object_retention(bucket, key) for key in archived} == {None}


@pytest.mark.parametrize("zone", ["raw", "staging", "restricted", *LOCKED])
def test_an_engineer_lists_and_reads_nothing_outside_dev(refreshed: Refreshed, zone: str) -> None:
    client, bucket = refreshed.servers.minio.client(refreshed.servers.engineer), refreshed.servers.bucket(zone)
    with pytest.raises(S3Error, match="Access Denied"):
        list(client.list_objects(bucket, recursive=True))
    for name in list(objects_in(refreshed, zone))[:5]:
        with pytest.raises(S3Error, match="Access Denied"):
            client.get_object(bucket, name)


def test_there_is_a_mapping_that_an_engineer_is_denied(refreshed: Refreshed) -> None:
    mapping = [name for name in objects_in(refreshed, "restricted") if "/mappings/" in name and name.endswith(".parquet")]
    client, bucket = refreshed.servers.minio.client(refreshed.servers.engineer), refreshed.servers.bucket("restricted")
    assert mapping
    with pytest.raises(S3Error, match="Access Denied"):
        client.get_object(bucket, mapping[0])
    keys = keys_of(refreshed.servers, "engineer")
    with pytest.raises(NotAllowed):
        keys.latest("dev/patient")
    with pytest.raises(NotAllowed):
        keys.unwrap("dev/mapping", "vault:v1:AAAA")


def test_an_engineer_starts_no_refresh(refreshed: Refreshed) -> None:
    variables = {**refreshed.servers.variables("engineer"), "WARDLAKE_SPARK_SECRET": refreshed.cluster.secret}
    refused = run_program(refreshed.clinic, variables, "dev", "refresh", "--source", "clinic")
    assert refused.returncode == 19, refused.stderr


def test_no_log_of_a_worker_holds_a_key_or_an_identifier(refreshed: Refreshed, tmp_path: Path) -> None:
    """Everything that master, workers and executors left, and all that the program said."""
    planted = [person[column] for person in patients() for column in ("id", "ssn", "street")]
    planted += [f"{person['first_name']} {person['last_name']}" for person in patients()] + [visit["id"] for visit in visits()]
    folders = [refreshed.cluster.folder, refreshed.clinic.folder / ".lake"]
    logs = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".jar"]
    seen = b"\0".join([refreshed.said.encode(), *(path.read_bytes() for path in logs)])
    (tmp_path / "seen").write_bytes(seen)
    assert len([path for path in logs if path.name == "stderr" and path.stat().st_size]) >= WORKERS
    assert [text for text in planted if text.encode() in seen] == []
    assert found_in(tmp_path, secrets_of(refreshed)) == set()


def secrets_of(run: Refreshed) -> dict[str, bytes]:
    """Every key and pad that the run used, the cluster's secret and the store's, by what it is."""
    ring = open_ring(keys_of(run.servers, "pipeline"), "dev", domains(run.clinic))
    found = {"store": run.servers.pipeline.secret_key.encode()}
    for domain in domains(run.clinic):
        for name, secret in [("key", ring.keys[domain].material), *((use.value, ring.subkey(domain, use)) for use in KeyUse)]:
            inner, outer = hmac_pads(secret)
            found |= {f"{domain} {name}": secret, f"{domain} {name} inner": inner, f"{domain} {name} outer": outer}
    return found


def test_retention_removes_from_the_store_what_is_over_and_nothing_that_readers_see(
    refreshed: Refreshed, spark: SparkSession
) -> None:
    """The last test here: the snapshot that the others could look at is gone after it."""
    seen = rows_seen_by(refreshed.servers.engineer, refreshed, spark, "patients")
    archived = set(objects_in(refreshed, "archive"))
    assert [name for name in objects_in(refreshed, "raw") if name.endswith(".parquet")]
    kept = "retention: {operational_snapshot_days: 0, published_versions: 1}\n"
    refreshed.clinic.edit("environments/cluster.yaml", "name: cluster\n", f"name: cluster\n{kept}")
    variables = {**refreshed.servers.variables(), "WARDLAKE_SPARK_SECRET": refreshed.cluster.secret}
    applied = run_program(refreshed.clinic, variables, "retention", "apply")
    assert applied.returncode == 0, applied.stderr
    assert "snapshot" in {each["what"] for each in json.loads(applied.stdout)["over"]}
    assert [name for name in objects_in(refreshed, "raw") if name.endswith(".parquet")] == []
    assert rows_seen_by(refreshed.servers.engineer, refreshed, spark, "patients") == seen
    assert set(objects_in(refreshed, "archive")) == archived
