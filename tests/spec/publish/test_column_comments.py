"""What people wrote beside a column stays at the source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from tests.spec.deidentify.conftest import SAFE, deidentify, lists, references, ring

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.sources import TableSpec
from wardlake.ports.sources import RawTable
from wardlake.publish.column_comments import drop_comments
from wardlake.snapshot.raw_tables import write_raw_table

__all__ = ["deidentify", "lists", "references", "ring"]
COMMENT = b"John Smith"
TABLE = TableSpec(name="people", patient="id", types={"id": "string"})


class Commented:
    """A source of one table with a comment on a column, on a nested field and on an element's field."""

    def __init__(self, spark: SparkSession, path: Path) -> None:
        self.position = {"people": "1"}
        self.rows = spark.read.format("delta").load(str(path))

    def table_names(self) -> tuple[str, ...]:
        return ("people",)

    def read(self, table: TableSpec) -> RawTable:
        return RawTable(rows=self.rows)

    def confirm(self, table: TableSpec, fault: str) -> str:
        return ""


def commented(spark: SparkSession, path: Path) -> Commented:
    spark.sql(
        f"""CREATE TABLE delta.`{path}` (id STRING COMMENT 'asked by John Smith', `od``d` STRING,
            address STRUCT<city: STRING COMMENT 'John Smith lives here'>,
            visits ARRAY<STRUCT<code: STRING COMMENT 'John Smith again'>>) USING delta"""
    )
    spark.sql(f"INSERT INTO delta.`{path}` SELECT 'p1', 'x', named_struct('city', 'Here'), array(named_struct('code', 'A'))")
    return Commented(spark, path)


def below(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_raw_table_has_no_comment_of_its_source(spark: SparkSession, tmp_path: Path) -> None:
    source = commented(spark, tmp_path / "source")
    assert COMMENT in below(tmp_path / "source")
    written = write_raw_table(TABLE, str(tmp_path / "raw"), source=source, tables=DeltaTables(spark))
    assert written.row_count == 1
    assert COMMENT not in below(tmp_path / "raw") + written.schema.encode()


def test_a_staged_table_has_none_either(spark: SparkSession, tmp_path: Path, deidentify: Callable[..., DataFrame]) -> None:
    rows = commented(spark, tmp_path / "source").rows
    decisions = dict.fromkeys(["id", "od`d", "address.city", "visits[].code"], SAFE)
    DeltaTables(spark).replace(str(tmp_path / "staged"), deidentify(rows, decisions, patient=""))
    assert COMMENT not in below(tmp_path / "staged")
    (row,) = spark.read.format("delta").load(str(tmp_path / "staged")).collect()
    assert (row["id"], row["od`d"], row["address"]["city"], row["visits"][0]["code"]) == ("p1", "x", "Here", "A")


def test_types_and_rows_stay_as_they_were(spark: SparkSession, tmp_path: Path) -> None:
    rows = commented(spark, tmp_path / "source").rows
    bare = drop_comments(rows)
    assert bare.schema.simpleString() == rows.schema.simpleString()
    assert bare.collect() == rows.collect()
    assert drop_comments(bare) is bare
