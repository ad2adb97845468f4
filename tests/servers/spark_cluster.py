"""A standalone Spark cluster on loopback: one master, two workers of one core each, which know one another by a secret."""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.servers.processes import LOOPBACK, ServerProcess, data_folder, free_port, running

NETWORK = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
}
SPARK_CLASS = Path(sys.executable).parent / "spark-class"
WORKERS = 2


@dataclass
class SparkCluster:
    """The master's address and its own account of the cluster."""

    master: str
    board: str
    folder: Path
    secret: str = field(repr=False)
    processes: list[ServerProcess] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """What the master says: workers, running and completed applications."""
        with urllib.request.urlopen(f"{self.board}/json/", timeout=10) as answer:
            return dict(json.load(answer))

    def alive_workers(self) -> int:
        try:
            return int(self.state()["aliveworkers"])
        except (OSError, ValueError):  # not there yet, or its pages are and its answers in JSON are not
            return 0

    def conf(self) -> dict[str, str]:
        """What a session needs besides the master: one small executor on each worker."""
        return {
            **NETWORK,
            "spark.authenticate.secret": self.secret,
            "spark.executor.cores": "1",
            "spark.executor.memory": "900m",
            "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
            "spark.cores.max": str(WORKERS),
            "spark.scheduler.minRegisteredResourcesRatio": "1",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
            "spark.driver.memory": "1200m",
            "spark.driver.host": LOOPBACK,
            "spark.driver.bindAddress": LOOPBACK,
            "spark.pyspark.python": sys.executable,
            "spark.sql.shuffle.partitions": "4",
        }

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


def start_spark_cluster() -> SparkCluster:
    """Start master and workers; the caller stops them and removes the folder."""
    folder, port, board = data_folder("spark"), free_port(), free_port()
    cluster = SparkCluster(f"spark://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{board}", folder, secrets.token_hex(32))
    shared = {**NETWORK, "spark.authenticate.secret": cluster.secret}
    (folder / "cluster.conf").write_text("".join(f"{key} {value}\n" for key, value in shared.items()))
    deploy = "org.apache.spark.deploy"
    here = ("--host", LOOPBACK, "--port")
    try:
        _start(cluster, "master", f"{deploy}.master.Master", *here, str(port), "--webui-port", str(board))
        for number in range(1, WORKERS + 1):
            options = ("--cores", "1", "--memory", "1400m", "--webui-port", str(free_port()))
            place = ("--work-dir", str(folder / f"worker-{number}"), *here, str(free_port()), cluster.master)
            _start(cluster, f"worker-{number}", f"{deploy}.worker.Worker", *options, *place, workers=number)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _start(cluster: SparkCluster, name: str, program: str, *arguments: str, workers: int = 0) -> None:
    environment = {
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
        "JAVA_HOME": os.environ.get("JAVA_HOME", ""),
        "SPARK_LOCAL_DIRS": str(cluster.folder / "local"),
    }
    process = ServerProcess(
        command=[str(SPARK_CLASS), program, "--properties-file", str(cluster.folder / "cluster.conf"), *arguments],
        log=cluster.folder / f"{name}.log",
        ready=lambda: _master_answers(cluster) and cluster.alive_workers() >= workers,
        environment={key: value for key, value in environment.items() if value},
    )
    process.start()
    cluster.processes.append(process)


def _master_answers(cluster: SparkCluster) -> bool:
    try:
        return cluster.state()["status"] == "ALIVE"
    except (OSError, ValueError):
        return False


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[SparkCluster]:
    """One cluster for the run. Jobs reach it as their own processes: this one's session is local."""
    with running(start_spark_cluster) as cluster:
        yield cluster
