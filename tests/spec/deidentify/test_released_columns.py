"""What an output must hold follows from the source's schema and the decisions alone, and is what de-identifying leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.tables import released_columns
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, Drop, Null

ROW = """SELECT 'a' id, named_struct('a', 1, 'b', 2) struct, array(named_struct('a', 1)) list, map('k', 'v') map,
    '{"a": 1}' note, array(map('k', named_struct('a', 1))) deep"""
GONE = sensitive(Drop())
REST: Mapping[str, Decision] = {"id": SAFE, "struct": BLOCKED, "list": BLOCKED, "map": BLOCKED, "note": BLOCKED, "deep": BLOCKED}


@pytest.mark.parametrize(
    ("decisions", "released"),
    [
        ({"id": BLOCKED}, []),
        ({"id": GONE}, []),
        ({"id": sensitive(Null())}, ["id"]),
        ({"struct.a": BLOCKED, "struct.b": SAFE}, ["id", "struct"]),
        ({"struct.a": BLOCKED, "struct.b": GONE}, ["id"]),
        ({"struct": BLOCKED, "struct.a": SAFE}, ["id"]),
        ({"struct.a": BLOCKED, "struct.b": BLOCKED, "struct.absent": SAFE}, ["id"]),
        ({"list[].a": SAFE}, ["id", "list"]),
        ({"list[].a": BLOCKED}, ["id"]),
        ({"map.{key}": SAFE, "map.{value}": BLOCKED}, ["id"]),
        ({"map.{key}": SAFE, "map.{value}": SAFE}, ["id", "map"]),
        ({"note$.a": BLOCKED}, ["id", "note"]),
        ({"note": BLOCKED, "note$.a": SAFE}, ["id"]),
        ({"deep[].{key}": SAFE, "deep[].{value}.a": BLOCKED}, ["id"]),
        ({"absent": SAFE}, ["id"]),
    ],
)
def test_a_column_is_released_where_the_decisions_leave_something_of_it(
    spark: SparkSession,
    deidentify: Callable[..., DataFrame],
    references: ReferenceData,
    decisions: Mapping[str, Decision],
    released: list[str],
) -> None:
    decided = {path: each for path, each in REST.items() if not any(p.startswith((f"{path}.", f"{path}[")) for p in decisions)}
    decided = {path: each for path, each in decided.items() if path != "note" or "note$.a" not in decisions} | decisions
    rows = spark.sql(ROW)
    named = released_columns(rows.schema, table=TableSpec(name="visits", patient="id"), decisions=decided, references=references)
    assert named == released
    assert deidentify(rows, decided).columns == released
