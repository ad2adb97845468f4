"""Jobs on a standalone Spark cluster with two workers, tables on MinIO through S3A, with the pinned jars alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.security.failing_job import ON_CLUSTER
from tests.servers.minio import MinioServer, S3User, bucket_policy
from tests.servers.spark_cluster import WORKERS, SparkCluster

JOB = Path(__file__).parent / "delta_through_s3a.py"


def run_job(cluster: SparkCluster, storage: dict[str, str], path: str) -> subprocess.CompletedProcess[str]:
    asked = {"master": cluster.master, "conf": {**cluster.conf(), **storage}, "path": path}
    return subprocess.run(
        [sys.executable, str(JOB)], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=1200
    )


@pytest.fixture(scope="module")
def answer(spark_cluster: SparkCluster, minio_server: MinioServer) -> dict[str, Any]:
    bucket = minio_server.fresh_bucket()
    ended = run_job(spark_cluster, minio_server.s3a(), f"s3a://{bucket}/table")
    assert ended.returncode == 0, ended.stderr[-4000:]
    names = [entry.object_name for entry in minio_server.client().list_objects(bucket, recursive=True)]
    return {**json.loads(ended.stdout.splitlines()[-1]), "names": names}


def test_two_workers_serve_the_cluster(spark_cluster: SparkCluster) -> None:
    assert spark_cluster.alive_workers() == WORKERS


def test_a_delta_table_is_written_merged_and_read_through_s3a(answer: dict[str, Any]) -> None:
    assert (answer["rows"], answer["changed"]) == (10_010, 20)


def test_earlier_versions_stay_readable_through_s3a(answer: dict[str, Any]) -> None:
    assert (answer["first_version"], answer["versions"]) == (10_000, 2)


def test_the_table_s_files_lie_in_the_bucket(answer: dict[str, Any]) -> None:
    assert "table/_delta_log/00000000000000000001.json" in answer["names"]
    assert sum(name.endswith(".parquet") for name in answer["names"]) >= 4


def test_both_workers_do_the_work(answer: dict[str, Any]) -> None:
    assert answer["workers"] == WORKERS


def test_a_user_who_may_only_read_writes_nothing(spark_cluster: SparkCluster, minio_server: MinioServer) -> None:
    bucket = minio_server.fresh_bucket()
    reader: S3User = minio_server.new_user(bucket_policy(["s3:GetObject", "s3:ListBucket"], bucket))
    ended = run_job(spark_cluster, minio_server.s3a(reader), f"s3a://{bucket}/table")
    assert ended.returncode != 0
    assert "AccessDenied" in ended.stderr
    assert list(minio_server.client().list_objects(bucket, recursive=True)) == []


def test_workers_log_no_cell_of_a_job_that_fails(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    logs = logs_of_failing_job(spark_cluster, tmp_path, {})
    assert b"Quackenbush" in logs  # the control: with Spark's log on, cells are there
    assert b"Oberholtzer" not in logs


def test_executors_that_never_hear_of_a_log_level_log_no_cell(spark_cluster: SparkCluster, tmp_path: Path) -> None:
    logs = logs_of_failing_job(spark_cluster, tmp_path, {"spark.executor.syncLogLevel.enabled": "false"})
    assert b"Spark Executor Command" in logs
    assert b"Oberholtzer" not in logs
    assert b"Quackenbush" not in logs


def logs_of_failing_job(cluster: SparkCluster, folder: Path, conf: dict[str, str]) -> bytes:
    """What the executors of this job, which fails on cells, wrote on the workers' disks."""
    before = set(cluster.folder.glob("worker-*/app-*"))
    asked = {"master": cluster.master, "conf": cluster.conf() | conf}
    command = [sys.executable, "-m", "tests.security.failing_job", str(folder), ON_CLUSTER]
    ended = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=1200)
    assert "failed 6 times" in ended.stdout, ended.stderr[-2000:]
    made = set(cluster.folder.glob("worker-*/app-*")) - before
    return b"".join(path.read_bytes() for each in made for path in each.glob("*/stderr"))
