"""Publication on an object store, which renames nothing in one step: stopped before every single write, then run again.

A store's own writes are whole or not there, so that stopping between two of them leaves what a killed process leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import pytest
from pyspark.sql import SparkSession
from tests.contract.test_tables_port import use_bucket
from tests.servers.minio import MinioServer
from tests.spec.publish.staging_script import publication

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.folders import Folders, HadoopFolders
from wardlake.model.zones import LakeLayout, Zone
from wardlake.publish.pointer import open_dataset
from wardlake.publish.staging import publish_dataset, recover


class Stopped(BaseException):
    """Stands for the kill: nothing of ours catches it."""


class StoppingFolders(HadoopFolders):
    """Writes and removes one object at a time, and stops when the writes that it may do are done."""

    def __init__(self, spark: SparkSession, writes_left: Iterator[int]) -> None:
        super().__init__(spark)
        self._writes_left = writes_left

    def write(self, path: str, body: bytes) -> None:
        self._count()
        super().write(path, body)

    def delete(self, path: str) -> None:
        if not self._exists(path):
            return
        if self._system(path).getFileStatus(self._path(path)).isDirectory():
            for name in self.files(path):
                self._count()
                self._system(path).delete(self._path(f"{path}/{name}"), False)
        self._count()
        super().delete(path)

    def _copy_files(self, source: str, target: str, names: Iterable[str]) -> None:
        for name in names:
            self._count()
            super()._copy_files(source, target, [name])

    def _count(self) -> None:
        if next(self._writes_left, None) is None:
            raise Stopped


class StoppingTables(DeltaTables):
    """The port over such folders; `writes` is how many it may do."""

    def __init__(self, spark: SparkSession, writes: int) -> None:
        super().__init__(spark)
        self._writes_left = iter(range(writes))

    def folders(self, path: str) -> Folders:
        return StoppingFolders(self.spark, self._writes_left)


def stage(tables: DeltaTables, layout: LakeLayout, number: int) -> None:
    """Two folders that stand for tables; every file says which dataset it is of."""
    for table in ("patients", "visits"):
        for name in ("_delta_log/0.json", "part-0"):
            tables.write_bytes(f"{layout.staged_table(f'dev-{number}', table)}/{name}", f"{table} of {number}".encode())


def run(tables: DeltaTables, layout: LakeLayout, number: int) -> None:
    """What a refresh does on a lake that an earlier one may have left in any state."""
    one = publication(number)
    recover(tables, layout, zone=Zone.DEV, source="clinic", live_runs={one.run_id}, keep={one.dataset_id})
    publish_dataset(tables, layout, one, record=lambda: None)


def prepare(tables: DeltaTables, layout: LakeLayout) -> None:
    """Two datasets published, a third staged, and what a dead run left."""
    for number in (1, 2):
        stage(tables, layout, number)
        run(tables, layout, number)
    stage(tables, layout, 3)
    stage(tables, layout, 9)


def read_whole(tables: DeltaTables, layout: LakeLayout) -> set[str]:
    """The datasets that one reader sees over all files of the tables it opened."""
    opened = open_dataset(tables, layout, Zone.DEV, "clinic")
    bodies = [tables.read_bytes(f"{path}/{name}") for path in opened.values() for name in ("_delta_log/0.json", "part-0")]
    return {body.decode().split()[-1] for body in bodies}


def objects_below(server: MinioServer, bucket: str, lake: str) -> dict[str, bytes]:
    """Every object of the lake with its content; the engine's marks of empty folders are none."""
    client = server.client()
    names = [str(entry.object_name) for entry in client.list_objects(bucket, prefix=f"{lake}/", recursive=True)]
    return {name.removeprefix(lake): client.get_object(bucket, name).data for name in names if not name.endswith("/")}


@pytest.fixture(scope="module")
def bucket(spark: SparkSession, minio_server: MinioServer) -> str:
    name = minio_server.fresh_bucket()
    use_bucket(spark, name, minio_server, minio_server.root)
    return name


def test_stopped_before_any_write_and_run_again_ends_in_the_same_state(
    spark: SparkSession, minio_server: MinioServer, bucket: str
) -> None:
    plain = DeltaTables(spark)
    wanted = LakeLayout(f"s3a://{bucket}/wanted")
    prepare(plain, wanted)
    run(plain, wanted, 3)
    expected = objects_below(minio_server, bucket, "wanted")
    stops = 0
    for writes in count():
        layout = LakeLayout(f"s3a://{bucket}/after-{writes}")
        prepare(plain, layout)
        try:
            run(StoppingTables(spark, writes), layout, 3)
        except Stopped:
            stops += 1
        else:
            break
        assert read_whole(plain, layout) in ({"2"}, {"3"})
        run(plain, layout, 3)
        assert objects_below(minio_server, bucket, f"after-{writes}") == expected
    assert stops >= 20  # recovery, every copied file, marker, removals, manifest, pointer, retired dataset: it met every one
