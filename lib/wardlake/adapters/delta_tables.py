"""Delta tables by path on any file system Hadoop reaches: local disk and S3 are the ones tried."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from delta.tables import DeltaTable
from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import StructType

from wardlake.adapters.delta_log import SHORT_LOG, LogState, absolute_path, commit_names, is_literal, replay_log
from wardlake.adapters.folders import Folders, folders_for
from wardlake.adapters.java_classes import java_class
from wardlake.model.errors import ContractBroken, EngineLost, StorageUnavailable, WardlakeError
from wardlake.model.quoting import quote_name, quote_text
from wardlake.model.table_features import unreadable_features
from wardlake.ports.tables import DataFile, Merge
from wardlake.runs.storage_failures import is_lost, storage_failure

_PARTITIONS = "spark.sql.shuffle.partitions"
# A file that was removed is kept for as long as the log remembers that, and no longer than the version that had it.
_HISTORY = ("delta.deletedFileRetentionDuration", "delta.logRetentionDuration")


class DeltaTables:
    """The `Tables` port over one Spark session. One writing driver per table at a time."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    @property
    def spark(self) -> SparkSession:
        return self._spark

    def exists(self, path: str) -> bool:
        with _explained("read", path):
            return bool(self._commits(path))

    def read(self, path: str, version: int | None = None) -> DataFrame:
        commits = self._required(path)
        reader = self._spark.read.format("delta")
        with _explained("read", path):
            state = self._replay(path, version, commits)
            if state is not None and state.plain and is_literal(path):
                return self._read_files(path, state)
            return (reader if version is None else reader.option("versionAsOf", version)).load(path)

    def replace(self, path: str, rows: DataFrame, *, properties: Mapping[str, str] | None = None) -> int:
        self._set_properties(path, properties or {})
        with _explained("write", path):
            writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
            writer.options(**dict(properties or {})).save(path)
        return self.current_version(path)

    def append(self, path: str, rows: DataFrame) -> int:
        with _explained("write", path):
            rows.write.format("delta").mode("append").save(path)
        return self.current_version(path)

    def replace_partitions(self, path: str, rows: DataFrame, *, partition: str, values: Collection[str]) -> None:
        listed = ", ".join(quote_text(value) for value in sorted(values))
        self._require_readable(path, rows.schema, partition)
        with _explained("write", path):
            writer = rows.repartition(max(1, len(values)), partition).write.format("delta").mode("overwrite")
            if self._commits(path):
                writer = writer.option("replaceWhere", f"{quote_name(partition)} IN ({listed})").option("mergeSchema", "true")
            writer.partitionBy(partition).save(path)

    def create(
        self, path: str, schema: StructType, *, partition_by: Sequence[str] = (), properties: Mapping[str, str] | None = None
    ) -> None:
        known = self.read(path).schema.names if self.exists(path) else []
        if known and not set(schema.names) - set(known):
            return
        with _explained("create", path):
            writer = self._spark.createDataFrame([], schema).write.format("delta").mode("append").option("mergeSchema", "true")
            writer.options(**dict(properties or {})).partitionBy(*partition_by).save(path)

    @contextmanager
    def computed(self, path: str, rows: DataFrame, how: Merge) -> Iterator[DataFrame]:
        held = rows.persist()
        try:
            with _explained("merge into", path, refusals=how.refusals):
                held.count()
            yield held
        finally:
            held.unpersist()

    def merge(self, path: str, rows: DataFrame, how: Merge) -> None:
        with _explained("merge into", path, refusals=how.refusals):
            building = DeltaTable.forPath(self._spark, path).alias("target").merge(rows.alias("source"), how.on)
            for condition, values in how.updates:
                building = building.whenMatchedUpdate(condition, set=_quoted(values))
            if how.insert is not None:
                building = building.whenNotMatchedInsert(values=_quoted(how.insert))
            building.execute()

    def remove(self, path: str, rows: DataFrame, *, on: str) -> None:
        with _explained("remove from", path):
            table = DeltaTable.forPath(self._spark, path).alias("target")
            table.merge(rows.alias("source"), on).whenMatchedDelete().execute()

    def compact(self, path: str, *, where: str = "") -> None:
        with _explained("compact", path):
            whole = DeltaTable.forPath(self._spark, path).optimize()
            (whole.where(where) if where else whole).executeCompaction()

    def purge(self, path: str) -> None:
        with _explained("purge", path):
            self._spark.sql(f"REORG TABLE delta.{quote_name(path)} APPLY (PURGE)")

    def keep_history(self, path: str, *, days: int) -> None:
        self._set_properties(path, dict.fromkeys(_HISTORY, f"interval {days} days"))

    def end_history(self, path: str) -> None:
        with _explained("vacuum", path), self._few_partitions():
            DeltaTable.forPath(self._spark, path).vacuum()

    def current_version(self, path: str) -> int:
        return max(self._required(path))

    def data_files(self, path: str, version: int | None = None) -> list[DataFile]:
        """What the Delta log lists as live at that version, in path order."""
        commits = self._required(path)
        with _explained("read", path):
            state = self._replay(path, version, commits)
            live = None if state is None else state.files
            if live is None:
                live = {row["path"]: row["size"] for row in self._live_files(path, version).select("path", "size").collect()}
        return sorted((DataFile(path=absolute_path(path, name), size=size) for name, size in live.items()), key=lambda f: f.path)

    def vacuum(self, path: str, *, keep_versions: tuple[int, ...] = ()) -> None:
        """Remove files that neither the current version nor one of `keep_versions` needs."""
        keep = self._needed(path, {self.current_version(path), *keep_versions})
        keeps_vectors = any(name.endswith(".bin") for name in keep)
        folders = self.folders(path)
        with _explained("vacuum", path):
            for name in folders.files(path):
                if not _is_needed(_described_file(name), keep, keeps_vectors):
                    folders.delete(f"{path}/{name}")
        self._forget(path)

    def list_folder(self, path: str) -> list[str]:
        with _explained("list", path):
            return self.folders(path).children(path)

    def file_stamp(self, path: str) -> str:
        with _explained("read", path):
            return self.folders(path).stamp(path)

    def list_files(self, path: str) -> list[str]:
        with _explained("list", path):
            return self.folders(path).files(path)

    def copy_folder(self, source: str, target: str) -> None:
        with _explained("copy", target):
            self.folders(target).copy(source, target)
        self._forget(target)

    def move_folder(self, source: str, target: str) -> None:
        with _explained("move", target):
            self.folders(target).move(source, target)
        self._forget(source)

    def delete_folder(self, path: str) -> None:
        with _explained("delete", path):
            self.folders(path).delete(path)
        self._forget(path)

    def read_bytes(self, path: str) -> bytes:
        """One small file; raises `FileNotFoundError` where there is none."""
        with _explained("read", path):
            return self.folders(path).read(path)

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with TemporaryDirectory(prefix="wardlake-") as folder:
            with _explained("read", path):
                copy = self.folders(path).download(path, Path(folder))
            yield copy

    def write_bytes(self, path: str, body: bytes) -> None:
        with _explained("write", path):
            self.folders(path).write(path, body)

    def folders(self, path: str) -> Folders:
        """The file system that `path` lies on."""
        return folders_for(self._spark, path)

    def _require_readable(self, path: str, schema: StructType, partition: str) -> None:
        """The table that is there, or the one that would be made of this schema under the session's defaults."""
        with _explained("read", path):
            if self._commits(path):
                beyond = self._unreadable(path)
            else:
                with TemporaryDirectory(prefix="wardlake-") as folder:
                    place = str(Path(folder, "table"))
                    self.create(place, schema, partition_by=[partition])
                    beyond = self._unreadable(place)
                    self._forget(place)
        if beyond:
            raise ContractBroken(
                "The warehouse could not read this table, so nothing is written to it.",
                which=[f"{path}: {feature}" for feature in beyond],
                next_step="leave it out: spark.databricks.delta.properties.defaults.* of the environment, or the column's type",
            )

    def _unreadable(self, path: str) -> list[str]:
        protocol = self._log(path).update(False, self._none(), self._none()).protocol()
        named = protocol.readerFeatures()
        features = str(named.get().mkString("\n")).split("\n") if named.isDefined() else []
        return unreadable_features(int(protocol.minReaderVersion()), [each for each in features if each])

    def _log(self, path: str) -> Any:
        return self._delta_log.forTable(self._spark._jsparkSession, path)

    @property
    def _delta_log(self) -> Any:
        return java_class(self._spark, "org.apache.spark.sql.delta.DeltaLog")

    def _none(self) -> Any:
        return java_class(self._spark, "scala.Option").empty()

    def _required(self, path: str) -> dict[int, str]:
        """The table's commits; raises where there is no table."""
        with _explained("read", path):
            commits = self._commits(path)
        if not commits:
            raise WardlakeError("There is no Delta table where one is expected.", which=[path])
        return commits

    def _live_files(self, path: str, version: int | None) -> DataFrame:
        log = self._log(path)
        if version is None:
            snapshot = log.update(False, self._none(), self._none())
        else:
            snapshot = log.getSnapshotAt(version, self._none(), self._none(), False)
        return DataFrame(snapshot.allFiles().toDF(), self._spark)

    def _commits(self, path: str) -> dict[int, str]:
        """The names of the table's commits that the log still holds, by version; none where there is no table."""
        return commit_names(self.folders(path).children(f"{path}/_delta_log"))

    def _replay(self, path: str, version: int | None, commits: Mapping[int, str]) -> LogState | None:
        """The table at a version by replaying a short log here; None for a log that is long or was tidied."""
        last = max(commits) if version is None else version
        if last >= SHORT_LOG or any(number not in commits for number in range(last + 1)):
            return None
        return replay_log(self.folders(path).read(f"{path}/_delta_log/{commits[number]}") for number in range(last + 1))

    def _read_files(self, path: str, state: LogState) -> DataFrame:
        """A plain table from its live files."""
        schema = StructType.fromJson(dict(state.schema))
        files = sorted(absolute_path(path, name) for name in state.files)
        reader = self._spark.read.schema(schema)
        return reader.parquet(*files) if files else self._spark.createDataFrame([], schema)

    def _needed(self, path: str, versions: set[int]) -> set[str]:
        """Relative names of the files that these versions need, deletion vectors included."""
        needed: set[str] = set()
        for version in sorted(versions):
            with _explained("vacuum", path):
                rows = self._live_files(path, version).select("path", "deletionVector.storageType").collect()
            needed |= {unquote(row["path"]) for row in rows}
            needed |= {"any.bin" for row in rows if row["storageType"] is not None}
        return needed

    @contextmanager
    def _few_partitions(self) -> Iterator[None]:
        """Names of files are small: shuffled in the usual 200 parts, a dozen times, they cost thousands of tasks."""
        before = str(self._spark.conf.get(_PARTITIONS))
        self._spark.conf.set(_PARTITIONS, "16")
        try:
            yield
        finally:
            self._spark.conf.set(_PARTITIONS, before)

    def _set_properties(self, path: str, wanted: Mapping[str, str]) -> None:
        """Delta heeds a writer's table properties only when it creates the table."""
        if not wanted or not self.exists(path):
            return
        with _explained("alter", path):
            present = self._log(path).update(False, self._none(), self._none()).metadata().configuration()
            changed = {k: v for k, v in wanted.items() if not present.contains(k) or present.apply(k) != v}
            if changed:
                pairs = ", ".join(f"'{key}' = '{value}'" for key, value in sorted(changed.items()))
                self._spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({pairs})")

    def _forget(self, path: str) -> None:
        """Drop cached logs: a folder that was moved or deleted may come back as another table."""
        with _explained("forget", path):
            self._delta_log.clearCache()


def _described_file(name: str) -> str:
    """A local checksum file `.part-0.crc` goes with `part-0`."""
    folder, _, base = name.rpartition("/")
    if base.startswith(".") and base.endswith(".crc"):
        base = base[1:-4]
    return f"{folder}/{base}" if folder else base


def _is_needed(name: str, keep: set[str], keeps_vectors: bool) -> bool:
    in_log = any(part.startswith(("_", ".")) and "=" not in part for part in name.split("/"))
    return in_log or name in keep or (keeps_vectors and name.endswith(".bin"))


def _quoted(values: Mapping[str, str]) -> dict[str, str | Column]:
    return {quote_name(name): value for name, value in values.items()}


@contextmanager
def _explained(verb: str, path: str, *, refusals: Collection[str] = ()) -> Iterator[None]:
    """Turn engine errors, which may print cells, into one that names the place only, or the refusal that the error holds."""
    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(path) from None
        storage = storage_failure(error)
        if storage is not None:
            raise StorageUnavailable(f"Cannot {verb}: {storage[0]}", which=[path], next_step=storage[1]) from None
        if is_lost(error):
            raise EngineLost(f"Cannot {verb}: the engine ended.", which=[path]) from None
        refused = [each for each in refusals if each in str(error)]
        if refused:
            raise ContractBroken(f"A row is refused: {refused[0].rstrip('.')}.", which=[path]) from None
        reason = f"{_error_name(error)} (details withheld: they may hold values)."
        raise WardlakeError(f"Cannot {verb}: {reason}", which=[path]) from None


def _error_name(error: Exception) -> str:
    """The engine's name for the kind of failure: free of values, unlike its message."""
    if isinstance(error, PySparkException):
        return error.getCondition() or type(error).__name__
    java = getattr(error, "java_exception", None)
    return str(java.getClass().getSimpleName()) if java is not None else type(error).__name__
