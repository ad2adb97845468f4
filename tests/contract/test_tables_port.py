"""The contract of the `Tables` port, on local disk and on MinIO through S3A."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyspark.sql.functions as F
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.servers.minio import MinioServer, S3User, bucket_policy
from tests.servers.processes import free_port

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.errors import ContractBroken, WardlakeError
from wardlake.ports.tables import Merge


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


def test_history_ends_after_its_days_without_a_commit_and_spares_who_still_writes(spark: SparkSession, tmp_path: Path) -> None:
    path, tables = str(tmp_path / "t"), DeltaTables(spark)
    for count in (3, 2, 1):
        tables.replace(path, numbers(tables, count))
    old, recent, live = (tables.data_files(path, version)[0].path for version in range(3))
    tables.keep_history(path, days=2)
    tables.keep_history(path, days=2)
    removed_before(path, version=1, days=3)
    removed_before(path, version=2, days=1)
    for name, days in (("abandoned", 3), ("being-written", 1)):
        file = Path(path, f"{name}.parquet")
        file.write_bytes(b"x")
        age(file, days)
    versions = tables.current_version(path)

    tables.end_history(path)

    there = {file.name for file in Path(path).glob("*.parquet")}
    assert there == {Path(recent).name, Path(live).name, "being-written.parquet"}
    assert Path(old).name not in there
    assert tables.current_version(path) == versions == 3
    assert (read_ids(tables, path, 1), read_ids(tables, path)) == ([0, 1], [0])


def removed_before(path: str, *, version: int, days: int) -> None:
    """As if the files that this version removed had been removed so many days ago, and written before."""
    file = Path(path, "_delta_log", f"{version:020}.json")
    actions = [json.loads(line) for line in file.read_text().splitlines()]
    for removed in (action["remove"] for action in actions if "remove" in action):
        removed["deletionTimestamp"] -= days * 86_400_000
        age(Path(path, removed["path"]), days + 30)
    file.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
    Path(file.parent, f".{file.name}.crc").unlink(missing_ok=True)


def age(file: Path, days: int) -> None:
    moment = time.time() - days * 86_400
    os.utime(file, (moment, moment))


def test_what_the_end_of_history_costs_does_not_grow_with_versions(tables: DeltaTables, lake: str) -> None:
    jobs = []
    for count in (3, 20):
        path = f"{lake}/{count}"
        for _ in range(count):
            tables.append(path, numbers(tables, 1))
        tables.keep_history(path, days=1)
        jobs.append(jobs_of(tables.spark, f"{path} ends", partial(tables.end_history, path)))
    assert jobs[0] == jobs[1]


def jobs_of(spark: SparkSession, name: str, act: Callable[[], object]) -> int:
    """How many jobs of the engine something takes."""
    spark.sparkContext.setJobGroup(name, name)
    act()
    spark.sparkContext.setJobGroup("others", "others")
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty(120_000)  # type: ignore[attr-defined]
    return len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))


def test_one_partition_is_written_together_and_others_stay(tables: DeltaTables, lake: str) -> None:
    path = f"{lake}/t"
    for _ in range(3):
        rows = tables.spark.range(4).selectExpr("id", "id % 2 AS part")
        rows.write.format("delta").mode("append").partitionBy("part").save(path)

    def files(part: int) -> int:
        return sum(f"part={part}/" in each.path for each in tables.data_files(path))

    before = files(0)
    tables.compact(path, where="part = 1")
    assert (files(0), files(1)) == (before, 1)
    tables.compact(path)
    assert (files(0), files(1)) == (1, 1)
    assert len(read_ids(tables, path)) == 12


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


def test_rows_are_computed_once_and_refused_before_they_are_merged(tables: DeltaTables, lake: str) -> None:
    how = Merge(on="target.id = source.id", updates=(), insert={"id": "source.id"}, refusals=("no such day",))
    chance = numbers(tables, 3).select(F.expr("uuid()").alias("id"))
    with tables.computed(f"{lake}/t", chance, how) as rows:
        assert rows.collect() == rows.collect()
    refused = numbers(tables, 1).select(F.raise_error(F.lit("no such day: tomorrow")).cast("string").alias("id"))
    with pytest.raises(ContractBroken, match="no such day") as caught, tables.computed(f"{lake}/t", refused, how):
        pytest.fail("rows that are refused are not handed out")
    assert "tomorrow" not in str(caught.value)


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


# --- what the warehouse reads ------------------------------------------------------------------------------------------


DEFAULTS = "spark.databricks.delta.properties.defaults"


def partition_rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("north", 1), ("south", 2)], "practice_id string, visits int")


@pytest.mark.parametrize(("setting", "feature"), [("enableTypeWidening", "typeWidening"), ("feature.variantType", "variantType")])
def test_a_table_that_the_warehouse_could_not_read_is_not_made(
    spark: SparkSession, tmp_path: Path, setting: str, feature: str
) -> None:
    path, tables = str(tmp_path / "mart"), DeltaTables(spark)
    spark.conf.set(f"{DEFAULTS}.{setting}", "supported" if setting.startswith("feature.") else "true")
    try:
        with pytest.raises(ContractBroken, match="could not read") as told:
            tables.replace_partitions(path, partition_rows(spark), partition="practice_id", values=["north", "south"])
    finally:
        spark.conf.unset(f"{DEFAULTS}.{setting}")
    assert f"{path}: {feature}" in told.value.which
    assert not tables.exists(path)


def test_a_column_that_the_warehouse_could_not_read_is_not_written(spark: SparkSession, tmp_path: Path) -> None:
    path, tables = str(tmp_path / "mart"), DeltaTables(spark)
    rows = partition_rows(spark).selectExpr("practice_id", "parse_json('1') AS answer")
    with pytest.raises(ContractBroken) as told:
        tables.replace_partitions(path, rows, partition="practice_id", values=["north", "south"])
    assert f"{path}: variantType" in told.value.which
    assert not tables.exists(path)


def test_a_table_that_was_changed_into_one_that_the_warehouse_cannot_read_is_left_as_it_is(
    spark: SparkSession, tmp_path: Path
) -> None:
    path, tables = str(tmp_path / "mart"), DeltaTables(spark)
    tables.replace_partitions(path, partition_rows(spark), partition="practice_id", values=["north", "south"])
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    version = tables.current_version(path)
    with pytest.raises(ContractBroken, match="could not read"):
        tables.replace_partitions(path, partition_rows(spark), partition="practice_id", values=["north"])
    assert tables.current_version(path) == version


def test_a_partition_may_bring_a_column_that_the_others_do_not_have_yet(spark: SparkSession, tmp_path: Path) -> None:
    path, tables = str(tmp_path / "mart"), DeltaTables(spark)
    tables.replace_partitions(path, partition_rows(spark), partition="practice_id", values=["north", "south"])
    wider = partition_rows(spark).where("practice_id = 'north'").selectExpr("practice_id", "1 AS excluded")
    tables.replace_partitions(path, wider, partition="practice_id", values=["north"])
    found = {row["practice_id"]: row["excluded"] for row in tables.read(path).collect()}
    assert found == {"north": 1, "south": None}


def test_deletion_vectors_are_no_hindrance(spark: SparkSession, tmp_path: Path) -> None:
    path, tables = str(tmp_path / "mart"), DeltaTables(spark)
    spark.conf.set(f"{DEFAULTS}.enableDeletionVectors", "true")
    try:
        tables.replace_partitions(path, partition_rows(spark), partition="practice_id", values=["north", "south"])
    finally:
        spark.conf.unset(f"{DEFAULTS}.enableDeletionVectors")
    assert tables.read(path).count() == 2
