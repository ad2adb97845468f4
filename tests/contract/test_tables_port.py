"""The contract of the `Tables` port, on local disk and on MinIO through S3A."""

from __future__ import annotations

from pathlib import Path

import pyspark.sql.functions as F
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.servers.minio import MinioServer, S3User, bucket_policy
from tests.servers.processes import free_port

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.errors import WardlakeError


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> DeltaTables:
    return DeltaTables(spark)


@pytest.fixture(params=["disk", "s3a"])
def lake(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> str:
    """An empty place for tables."""
    if request.param == "disk":
        return str(tmp_path / "a lake")
    server: MinioServer = request.getfixturevalue("minio_server")
    bucket = server.fresh_bucket()
    use_bucket(spark, bucket, server, server.root)
    return f"s3a://{bucket}/lake"


def use_bucket(spark: SparkSession, bucket: str, server: MinioServer, user: S3User, **wins: str) -> None:
    """Tell this bucket's store and credentials to the session."""
    settings = {key.removeprefix("spark.hadoop.fs.s3a."): value for key, value in server.s3a(user).items()}
    for key, value in {**settings, **wins}.items():
        spark._jsc.hadoopConfiguration().set(f"fs.s3a.bucket.{bucket}.{key}", value)


def numbers(tables: DeltaTables, count: int) -> DataFrame:
    return tables.spark.range(0, count, 1, 1)


def read_ids(tables: DeltaTables, path: str, version: int | None = None) -> list[int]:
    return sorted(row["id"] for row in tables.read(path, version).collect())


def test_each_write_is_a_version_and_earlier_ones_stay(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"

    before = tables.exists(table)
    versions = [tables.replace(table, numbers(tables, 2)), tables.replace(table, numbers(tables, 1))]
    versions.append(tables.append(table, numbers(tables, 1)))

    assert not before
    assert tables.exists(table)
    assert versions == [0, 1, 2]
    assert tables.current_version(table) == 2
    assert [read_ids(tables, table, version) for version in (0, 1, None)] == [[0, 1], [0], [0, 0]]


def test_a_file_s_stamp_changes_with_it_and_it_has_nothing_below(tables: DeltaTables, lake: str) -> None:
    file = f"{lake}/a.csv"
    stamps = []
    for body in (b"1", b"12"):
        tables.write_bytes(file, body)
        stamps.append(tables.file_stamp(file))

    assert tables.file_stamp(file) == stamps[1] != stamps[0]
    assert tables.list_folder(file) == []
    assert tables.list_folder(lake) == ["a.csv"]
    with pytest.raises(FileNotFoundError):
        tables.file_stamp(f"{lake}/b.csv")


def test_replacing_may_change_the_columns(tables: DeltaTables, lake: str) -> None:
    tables.replace(f"{lake}/t", numbers(tables, 1))
    tables.replace(f"{lake}/t", numbers(tables, 1).select(F.lit("x").alias("name")))

    assert tables.read(f"{lake}/t").columns == ["name"]


def test_properties_hold_for_new_and_for_existing_tables(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"
    for days in (10, 20):
        tables.replace(table, numbers(tables, 1), properties={"delta.logRetentionDuration": f"interval {days} days"})
        shown = tables.spark.sql(f"SHOW TBLPROPERTIES delta.`{table}`").collect()
        assert ("delta.logRetentionDuration", f"interval {days} days") in [tuple(row) for row in shown]


def test_data_files_are_those_of_the_version_with_their_sizes(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"
    tables.replace(table, tables.spark.range(0, 10, 1, 3))
    tables.replace(table, numbers(tables, 1))

    old, new = tables.data_files(table, 0), tables.data_files(table)

    assert len(old) == 3
    assert len(new) == 1
    assert [file.path for file in old] == sorted(file.path for file in old)
    assert all(len(tables.read_bytes(file.path)) == file.size for file in [*old, *new])
    assert all(file.path.startswith(f"{table}/") for file in old)


def test_vacuum_keeps_what_kept_versions_need_and_removes_the_rest(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"
    for count in (3, 2, 1):
        tables.replace(table, numbers(tables, count))
    dropped = {file.path for file in tables.data_files(table, 1)}

    tables.vacuum(table, keep_versions=(0,))

    assert read_ids(tables, table, 0) == [0, 1, 2]
    assert read_ids(tables, table) == [0]
    left = {f"{table}/{name}" for name in tables.list_folder(table)}
    assert not left & dropped
    assert not [name for name in left if name.endswith(".crc") and name.rpartition("/.")[2][:-4] in str(dropped)]


def test_vacuum_keeps_deletion_vectors_of_kept_versions(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"
    tables.replace(table, numbers(tables, 1000), properties={"delta.enableDeletionVectors": "true"})
    tables.spark.sql(f"DELETE FROM delta.`{table}` WHERE id = 7")
    tables.append(table, numbers(tables, 1))

    tables.vacuum(table, keep_versions=(1,))

    assert tables.read(table, 1).where("id < 10").count() == 9


def test_a_copied_folder_of_tables_reads_the_same_and_copying_repeats(tables: DeltaTables, lake: str) -> None:
    tables.replace(f"{lake}/from/t", numbers(tables, 3))
    tables.copy_folder(f"{lake}/from", f"{lake}/to")
    tables.replace(f"{lake}/from/t", numbers(tables, 2))
    tables.copy_folder(f"{lake}/from", f"{lake}/to")

    assert read_ids(tables, f"{lake}/to/t") == [0, 1]
    assert read_ids(tables, f"{lake}/to/t", 0) == [0, 1, 2]
    assert tables.list_folder(lake) == ["from", "to"]


def test_every_file_below_is_listed_and_no_folder(tables: DeltaTables, lake: str) -> None:
    tables.replace(f"{lake}/all/t", numbers(tables, 3))
    tables.write_bytes(f"{lake}/all/deep/er/note", b"x")
    listed = [name for name in tables.list_files(f"{lake}/all") if not name.endswith(".crc")]

    assert {"deep/er/note", "t/_delta_log/00000000000000000000.json"} <= set(listed)
    assert listed == sorted(listed)
    assert all(tables.read_bytes(f"{lake}/all/{name}") for name in listed)


def test_a_moved_folder_is_at_one_place_only_and_moving_repeats(tables: DeltaTables, lake: str) -> None:
    tables.replace(f"{lake}/from/t", numbers(tables, 3))
    for _ in range(2):
        tables.move_folder(f"{lake}/from", f"{lake}/deep/to")

    assert read_ids(tables, f"{lake}/deep/to/t") == [0, 1, 2]
    assert tables.list_folder(f"{lake}/from") == []
    assert tables.list_folder(lake) == ["deep"]


def test_a_move_killed_while_it_removed_its_source_is_finished(
    tables: DeltaTables, spark: SparkSession, minio_server: MinioServer
) -> None:
    bucket = minio_server.fresh_bucket()
    use_bucket(spark, bucket, minio_server, minio_server.root)
    lake = f"s3a://{bucket}"
    tables.replace(f"{lake}/from/t", numbers(tables, 3))
    tables.copy_folder(f"{lake}/from", f"{lake}/to")
    tables.write_bytes(f"{lake}/from.moved", b"copied whole\n")
    tables.delete_folder(tables.data_files(f"{lake}/from/t")[0].path)

    tables.move_folder(f"{lake}/from", f"{lake}/to")

    assert read_ids(tables, f"{lake}/to/t") == [0, 1, 2]
    assert tables.list_folder(lake) == ["to"]


def test_folders_are_copied_and_moved_from_bucket_to_bucket(
    tables: DeltaTables, spark: SparkSession, minio_server: MinioServer
) -> None:
    here, there = minio_server.fresh_bucket(), minio_server.fresh_bucket()
    for bucket in (here, there):
        use_bucket(spark, bucket, minio_server, minio_server.root)
    tables.replace(f"s3a://{here}/from/t", numbers(tables, 3))
    tables.write_bytes(f"s3a://{there}/to/left.over", b"x")

    tables.copy_folder(f"s3a://{here}/from", f"s3a://{there}/copy")
    for _ in range(2):
        tables.move_folder(f"s3a://{here}/from", f"s3a://{there}/to")

    assert [read_ids(tables, f"s3a://{there}/{name}/t") for name in ("copy", "to")] == [[0, 1, 2], [0, 1, 2]]
    assert (tables.list_folder(f"s3a://{here}"), tables.list_folder(f"s3a://{there}/to")) == ([], ["t"])


def test_a_deleted_table_is_gone_and_its_place_is_free(tables: DeltaTables, lake: str) -> None:
    tables.replace(f"{lake}/t", numbers(tables, 3))
    for _ in range(2):
        tables.delete_folder(f"{lake}/t")

    gone = not tables.exists(f"{lake}/t")
    tables.replace(f"{lake}/t", numbers(tables, 1))

    assert gone
    assert read_ids(tables, f"{lake}/t") == [0]


def test_small_files_are_replaced_whole(tables: DeltaTables, lake: str) -> None:
    path = f"{lake}/x/pointer.json"
    tables.write_bytes(path, b"old")
    tables.write_bytes(path, "new \N{WAVING HAND SIGN}".encode())

    assert tables.read_bytes(path) == "new \N{WAVING HAND SIGN}".encode()
    assert tables.list_folder(f"{lake}/x") == ["pointer.json"]
    with tables.local_copy(path) as local:
        assert local.read_bytes() == "new \N{WAVING HAND SIGN}".encode()


def test_what_is_not_there_is_said_to_be_missing(tables: DeltaTables, lake: str) -> None:
    with pytest.raises(FileNotFoundError):
        tables.read_bytes(f"{lake}/none.json")
    with pytest.raises(FileNotFoundError), tables.local_copy(f"{lake}/none.json"):
        pass
    with pytest.raises(WardlakeError, match="no Delta table"):
        tables.read(f"{lake}/none")
    assert tables.list_folder(f"{lake}/none") == []


def test_an_engine_error_never_shows_a_value(tables: DeltaTables, lake: str) -> None:
    rows = tables.spark.createDataFrame([("Jessie Foster",)], "name string").select(F.col("name").cast("int"))

    with pytest.raises(WardlakeError) as caught:
        tables.replace(f"{lake}/t", rows)

    assert "Jessie" not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert caught.value.which == (f"{lake}/t",)


def test_a_full_disk_is_called_full(tables: DeltaTables, tmp_path: Path) -> None:
    (tmp_path / ".pointer.json.writing").symlink_to("/dev/full")

    with pytest.raises(WardlakeError, match="full"):
        tables.write_bytes(str(tmp_path / "pointer.json"), b"x" * 10)

    assert not (tmp_path / "pointer.json").exists()


def test_a_store_that_does_not_answer_is_said_not_to(tables: DeltaTables, spark: SparkSession, minio_server: MinioServer) -> None:
    nowhere = {"endpoint": f"http://127.0.0.1:{free_port()}", "attempts.maximum": "1", "retry.limit": "1"}
    use_bucket(spark, "wardlake-nowhere", minio_server, minio_server.root, **nowhere)

    with pytest.raises(WardlakeError, match="does not answer"):
        tables.read_bytes("s3a://wardlake-nowhere/pointer.json")


def test_a_store_that_refuses_is_said_to_refuse(tables: DeltaTables, spark: SparkSession, minio_server: MinioServer) -> None:
    bucket = minio_server.fresh_bucket()
    reader = minio_server.new_user(bucket_policy(["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"], bucket))
    use_bucket(spark, bucket, minio_server, reader)

    with pytest.raises(WardlakeError, match="refuses"):
        tables.write_bytes(f"s3a://{bucket}/pointer.json", b"x")


def test_data_files_are_the_same_from_a_short_log_and_from_a_long_one(tables: DeltaTables, lake: str) -> None:
    table = f"{lake}/t"
    for count in range(1, 13):  # long enough for a checkpoint
        (tables.append if count % 3 else tables.replace)(table, numbers(tables, count))
    for version in (0, 2, 7, 8, 11):
        listed = {file.path.rpartition("/")[2] for file in tables.data_files(table, version)}
        read = {name.rpartition("/")[2] for name in tables.read(table, version).inputFiles()}
        assert listed == read
