"""Trino as the user who registers marts sees it, and which of Delta's features it reads."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import trino
from pyspark.sql import SparkSession
from tests.servers.trino import ADMINISTRATOR, DENIED, TrinoServer

from wardlake.adapters.trino_warehouse import TrinoAddress, TrinoWarehouse
from wardlake.model.errors import ConfigurationError
from wardlake.model.table_features import WAREHOUSE_READS
from wardlake.ports.warehouse import Warehouse, WarehouseRefused, WarehouseUnavailable

READER = "reader"
RULES = {
    **DENIED,
    "catalogs": [{"user": f"{ADMINISTRATOR}|{READER}", "catalog": "lake", "allow": "all"}],
    "tables": [
        {"user": ADMINISTRATOR, "catalog": "lake", "privileges": ["OWNERSHIP"]},
        {"user": READER, "catalog": "lake", "privileges": ["SELECT"]},
    ],
    "queries": [{"user": f"{ADMINISTRATOR}|{READER}|stranger", "allow": ["execute"]}],
}


@pytest.fixture(scope="module")
def server(trino_server: TrinoServer) -> TrinoServer:
    trino_server.write_policies(RULES, {})
    trino_server.wait_until_policies_are_read()
    for name in (READER, "stranger"):
        trino_server.add_user(name, secrets.token_hex(8))
    return trino_server


def address(server: TrinoServer, user: str = ADMINISTRATOR, **changes: str) -> TrinoAddress:
    given = {
        "url": server.url,
        "catalog": "lake",
        "user": user,
        "password": server.passwords[user],
        "authority": str(server.certificate),
    }
    return TrinoAddress(**given | changes)


@pytest.fixture
def warehouse(server: TrinoServer) -> Warehouse:
    return TrinoWarehouse(address(server))


@pytest.fixture(scope="module")
def schema(server: TrinoServer) -> Iterator[str]:
    """The name of a schema, and of a folder of the lake, of this run."""
    yield f"features_{secrets.token_hex(4)}"


def table(spark: SparkSession, server: TrinoServer, schema: str, name: str, columns: str, **properties: str) -> Path:
    path = server.lake / schema / name
    listed = ", ".join(f"'delta.{key.replace('_', '.')}' = '{value}'" for key, value in properties.items())
    spark.sql(f"CREATE TABLE delta.`{path}` ({columns}) USING delta {f'TBLPROPERTIES ({listed})' if listed else ''}")
    return path


def test_a_table_is_known_once_it_is_registered_with_its_columns(
    spark: SparkSession, server: TrinoServer, warehouse: Warehouse, schema: str
) -> None:
    assert warehouse.tables("no_such_schema") == {}
    table(spark, server, schema, "plain", "practice_id string, visits bigint")
    warehouse.register(schema, "plain", f"local:///{schema}/plain")
    assert warehouse.tables(schema)["plain"] == ("practice_id", "visits")


def test_who_the_rules_do_not_know_is_refused(server: TrinoServer, schema: str) -> None:
    stranger = TrinoWarehouse(address(server, "stranger"))
    with pytest.raises(WarehouseRefused):
        stranger.tables(schema)
    with pytest.raises(WarehouseRefused):
        stranger.register(schema, "x", "local:///x")


def test_a_warehouse_that_does_not_answer_is_said_without_what_was_asked(server: TrinoServer, schema: str) -> None:
    for wrong in ({"password": "wrong"}, {"url": "https://localhost:1"}, {"authority": ""}):
        with pytest.raises(WarehouseUnavailable) as told:
            TrinoWarehouse(address(server, **wrong)).tables(schema)
        assert not isinstance(told.value, WarehouseRefused)
        assert "SELECT" not in str(told.value) and schema not in str(told.value)
    with pytest.raises(WarehouseUnavailable, match="the warehouse says"):
        TrinoWarehouse(address(server)).register(schema, "gone", f"local:///{schema}/gone")


def test_a_password_goes_nowhere_without_tls(server: TrinoServer) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        TrinoWarehouse(address(server, url="http://localhost:8080"))
    assert server.passwords[ADMINISTRATOR] not in f"{address(server)}"


def test_a_table_with_every_feature_that_a_mart_may_have_is_read(
    spark: SparkSession, server: TrinoServer, warehouse: Warehouse, schema: str
) -> None:
    properties = {
        **{"columnMapping_mode": "name", "enableDeletionVectors": "true", "checkpointPolicy": "v2"},
        **{"feature_timestampNtz": "supported", "feature_vacuumProtocolCheck": "supported"},
    }
    path = table(spark, server, schema, "every", "practice_id string, visits int, at timestamp_ntz", **properties)
    now = "timestamp_ntz'2026-01-01 00:00:00'"
    spark.sql(f"INSERT INTO delta.`{path}` VALUES ('north', 1, {now}), ('north', 2, {now}), ('south', 3, {now})")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE visits = 2")
    log = spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, str(path))
    log.checkpoint()
    named = log.update(False, *(spark.sparkContext._jvm.scala.Option.empty() for _ in range(2))).protocol().readerFeatures()
    assert set(named.get().mkString(",").split(",")) == WAREHOUSE_READS
    warehouse.register(schema, "every", f"local:///{schema}/every")
    assert server.rows(READER, f"SELECT visits FROM {schema}.every ORDER BY 1") == [[1], [3]]


def test_what_a_mart_may_not_have_is_not_read(
    spark: SparkSession, server: TrinoServer, warehouse: Warehouse, schema: str
) -> None:
    path = table(spark, server, schema, "variants", "practice_id string, answer variant")
    spark.sql(f"INSERT INTO delta.`{path}` SELECT 'north', parse_json('1')")
    warehouse.register(schema, "variants", f"local:///{schema}/variants")
    with pytest.raises(trino.exceptions.TrinoQueryError):
        server.rows(READER, f"SELECT * FROM {schema}.variants")
