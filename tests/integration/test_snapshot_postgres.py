"""Snapshots of a real PostgreSQL: Synthea's tables, every kind of column, one moment for all tables."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from pyspark.sql import SparkSession
from tests.servers.postgres import Database
from tests.servers.processes import free_port
from tests.spec.snapshot.lab import Lab, lab

from wardlake.adapters.postgres_source import Credentials, open_postgres
from wardlake.model.errors import ContractBroken, WardlakeError
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.settings.load import load_settings

__all__ = ["lab"]

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "synthea"
SQL_TYPES = {"string": "text", "double": "float8", "timestamp": "timestamptz", "decimal(18,2)": "numeric(18,2)"}


@pytest.fixture
def database(postgres_database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
        yield connection


def source_of(database: Database, *tables: TableSpec, **read: str) -> SourceSpec:
    return SourceSpec(
        name="clinic",
        kind=SourceKind.POSTGRES,
        location=database.jdbc,
        schema_version="1",
        tables={table.name: table for table in tables},
        secret=f"{database.user}:{database.password}",
        read=read,
    )


def load_table(connection: psycopg.Connection, table: TableSpec) -> int:
    """Create the table as declared and copy the sample's file into it; returns its rows."""
    columns = ", ".join(f'"{name}" {SQL_TYPES.get(kind, kind)}' for name, kind in table.types.items())
    connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
    with gzip.open(SAMPLE / f"{table.name}.csv.gz") as file, connection.cursor() as cursor:
        with cursor.copy(f'COPY "{table.name}" FROM STDIN (FORMAT csv, HEADER true)') as copy:
            while block := file.read(1 << 20):
                copy.write(block)
        return cursor.rowcount


def test_synthea_comes_out_of_postgres_as_out_of_its_files(
    lab: Lab, database: psycopg.Connection, postgres_database: Database
) -> None:
    files = load_settings(ROOT / "conf", "embedded", today=date(2026, 1, 1)).source("synthea")
    loaded = {name: load_table(database, table) for name, table in files.tables.items()}

    from_files = lab.take(replace(files, name="clinic"))
    read = {"bytes_per_reader": "1000000"}
    from_database = lab.take(source_of(postgres_database, *files.tables.values(), **read), run_id="run-2")

    lab.verify(from_database)
    assert {table.name: table.hashes.row_count for table in from_database.tables} == loaded
    assert {table.name: table.hashes.rows for table in from_database.tables} == {
        table.name: table.hashes.rows for table in from_files.tables
    }
    assert from_database.position["lsn"]


def test_columns_of_every_type_survive(lab: Lab, database: psycopg.Connection, postgres_database: Database) -> None:
    database.execute("CREATE TYPE mood AS ENUM ('calm'); CREATE TYPE place AS (city text, floor int)")
    database.execute(
        """CREATE TABLE things (id int8 PRIMARY KEY, price numeric(38,18), anything numeric, at timestamptz, local timestamp,
           born date, document jsonb, image bytea, key uuid, words text[], counts int8[], amounts numeric(8,2)[], mood mood,
           at_place place, yes bool, address inet, code char(4), ratio float4)"""
    )
    database.execute(
        """INSERT INTO things VALUES (1, 1.234567890123456789, 1e30, '2020-02-29 23:59:59.123456+02', '1900-01-01 00:00',
           '0001-01-01', '{"mrn": [1, {"a": null}], "\u05d3": "\U0001f600"}', '\\x00ff',
           '11111111-2222-3333-4444-555555555555', '{a,NULL,"b,c"}', '{1,2}',
           '{1.5}', 'calm', '(Barre,2)', true, '10.0.0.1', 'ab', 0.5),
           (2, NULL, NULL, NULL, NULL, '9999-12-31', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
    )

    manifest = lab.take(source_of(postgres_database, TableSpec(name="things", primary_key=("id",))))

    lab.verify(manifest)
    first, second = lab.rows(manifest, "things")
    assert first["price"] == Decimal("1.234567890123456789")
    assert first["anything"] == "1" + "0" * 30
    assert first["at"].astimezone(UTC) == datetime(2020, 2, 29, 21, 59, 59, 123456, tzinfo=UTC)
    assert first["local"] == datetime(1900, 1, 1)
    assert (first["born"], second["born"]) == (date(1, 1, 1), date(9999, 12, 31))
    assert json.loads(first["document"]) == {"mrn": [1, {"a": None}], "\u05d3": "\U0001f600"}
    assert bytes(first["image"]) == b"\x00\xff"
    assert first["key"] == "11111111-2222-3333-4444-555555555555"
    assert (first["words"], first["counts"]) == (["a", None, "b,c"], [1, 2])
    assert json.loads(first["amounts"]) == [1.5]
    assert (first["mood"], json.loads(first["at_place"])) == ("calm", {"city": "Barre", "floor": 2})
    assert (first["yes"], first["address"], first["ratio"]) == (True, "10.0.0.1/32", 0.5)
    assert {value for name, value in second.items() if name not in ("id", "born")} == {None}


PARENT = TableSpec(name="parents", primary_key=("id",))
CHILD = TableSpec(name="children", primary_key=("id",), references=(Reference(columns=("parent",), table="parents", to=("id",)),))


def test_no_child_is_read_without_its_parent_while_both_are_written(
    lab: Lab, database: psycopg.Connection, postgres_database: Database
) -> None:
    database.execute("CREATE TABLE parents (id int8 PRIMARY KEY); CREATE TABLE children (id int8, parent int8)")
    stop, pairs = threading.Event(), [0]

    def write_pairs() -> None:
        with psycopg.connect(postgres_database.dsn) as writer:
            while not stop.is_set():
                pairs[0] += 1
                writer.execute("INSERT INTO parents VALUES (%s)", [pairs[0]])
                writer.execute("INSERT INTO children VALUES (%s, %s)", [pairs[0], pairs[0]])
                writer.commit()

    thread = threading.Thread(target=write_pairs)
    thread.start()
    try:
        while pairs[0] < 200:
            stop.wait(0.01)
        manifest = lab.take(source_of(postgres_database, PARENT, CHILD, readers="3", bytes_per_reader="8192"), parallel=1)
    finally:
        stop.set()
        thread.join()

    parents, children = ({row["id"] for row in lab.rows(manifest, name)} for name in ("parents", "children"))
    assert parents == children
    assert 100 < len(parents) < pairs[0]


def test_ranges_of_tuples_read_every_row_once(lab: Lab, database: psycopg.Connection, postgres_database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 20000) i")
    manifest = lab.take(source_of(postgres_database, TableSpec(name="t"), readers="4", bytes_per_reader="8192"))
    assert [row["id"] for row in lab.rows(manifest, "t")] == list(range(1, 20001))


def test_a_view_is_read_in_parts_by_its_column(lab: Lab, database: psycopg.Connection, postgres_database: Database) -> None:
    database.execute(
        "CREATE TABLE t AS SELECT nullif(i, 5) AS id FROM generate_series(1, 100) i; CREATE VIEW v AS SELECT * FROM t"
    )
    spec = source_of(postgres_database, TableSpec(name="v", partition_by="id"), readers="3")
    manifest = lab.take(spec)
    assert manifest.table("v").hashes.row_count == 100
    assert manifest.extra["undeclared_tables"] == '["t"]'


def test_a_partitioned_table_is_read_whole(lab: Lab, database: psycopg.Connection, postgres_database: Database) -> None:
    database.execute(
        """CREATE TABLE t (id int) PARTITION BY RANGE (id);
           CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (5000);
           CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (5000) TO (10000);
           INSERT INTO t SELECT generate_series(0, 9999)"""
    )
    manifest = lab.take(source_of(postgres_database, TableSpec(name="t"), bytes_per_reader="8192"))
    assert manifest.table("t").hashes.row_count == 10000
    assert manifest.extra["undeclared_tables"] == "[]"


def test_the_password_is_in_no_plan(
    lab: Lab, database: psycopg.Connection, postgres_database: Database, spark: SparkSession
) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    spec = source_of(postgres_database, TableSpec(name="t"))
    credentials = Credentials(postgres_database.user, postgres_database.password)
    with open_postgres(spec, lab.tables, credentials) as opened:
        rows = opened.read(spec.tables["t"]).rows
        plan = rows._jdf.queryExecution().toString()
        read = rows.collect()
    assert [row["id"] for row in read] == [1]
    assert postgres_database.password not in plan
    assert postgres_database.password not in repr(credentials)


def test_a_broken_rule_is_refused_without_its_value(lab: Lab, database: psycopg.Connection, postgres_database: Database) -> None:
    database.execute("CREATE TABLE people AS SELECT 'secretkey' AS id FROM generate_series(1, 2)")
    with pytest.raises(ContractBroken, match=r"people\.id: 1 keys repeat") as caught:
        lab.take(source_of(postgres_database, TableSpec(name="people", primary_key=("id",))))
    assert "secretkey" not in str(caught.value)


def test_a_database_that_does_not_answer_is_said_not_to(lab: Lab, postgres_database: Database) -> None:
    nowhere = replace(postgres_database, port=free_port())
    with pytest.raises(WardlakeError, match="does not answer or refuses") as caught:
        lab.take(source_of(nowhere, TableSpec(name="t")))
    assert postgres_database.password not in str(caught.value)
