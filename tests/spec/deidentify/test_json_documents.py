"""JSON in text columns: declared paths only, each by its decision, numbers staying numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import Age, DateShift, DateYear, Token, Zip3


def test_declared_values_change_and_undeclared_ones_are_gone(spark: SparkSession, deidentify: Any) -> None:
    doc = {
        "age": 97, "zip": "19720", "ok": True, "ratio": 0.5, "new": "Smith", "seen": "2024-05-06T07:08:09Z",
        "contact": {"zip": "10001", "phone": "302-555-0101", "new": {"x": 1}},
        "visits": [{"age": 5, "note": "Smith"}, {"age": 91}],
        "codes": ["a", "b"], "secret": "Smith",
    }  # fmt: skip
    decisions = {
        "doc$.age": sensitive(Age()), "doc$.zip": sensitive(Zip3()), "doc$.ok": SAFE, "doc$.ratio": SAFE,
        "doc$.seen": sensitive(DateYear()), "doc$.contact.zip": sensitive(Zip3()), "doc$.contact.phone": BLOCKED,
        "doc$.visits[].age": sensitive(Age()), "doc$.codes[]": SAFE, "doc$.secret": BLOCKED,
    }  # fmt: skip
    df = spark.createDataFrame([(json.dumps(doc),)], "doc string")
    assert json.loads(deidentify(df, decisions).first().doc) == {
        "age": 90, "zip": "197", "ok": True, "ratio": 0.5, "seen": "2024-01-01T00:00:00Z", "contact": {"zip": "000"},
        "visits": [{"age": 5}, {"age": 90}], "codes": ["a", "b"],
    }  # fmt: skip


def test_other_shapes_than_declared_do_not_pass(spark: SparkSession, deidentify: Any) -> None:
    documents = ['{"a": {"name": "Smith"}}', '{"a": ["Smith"]}', "Smith", "", '["Smith"]', '{"a": 1', None, '{"a": null}']
    df = spark.createDataFrame([(n, doc) for n, doc in enumerate(documents)], "n int, doc string")
    rows = deidentify(df, {"n": SAFE, "doc$.a": SAFE}).orderBy("n").collect()
    assert "Smith" not in "".join(row.doc or "" for row in rows)
    assert rows[6].doc is None
    assert all(row.doc in ("{}", '{"a":null}') for row in rows if row.n != 6)


def test_numbers_keep_the_token_of_the_key_column(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("""SELECT 4711L id, '{"patient": 4711, "seen": "2024-05-06"}' doc, DATE '2024-05-06' day""")
    shift = sensitive(DateShift())
    decisions = {
        "id": sensitive(Token(domain="patient")),
        "doc$.patient": sensitive(Token(domain="patient")),
        "doc$.seen": shift,
        "day": shift,
    }
    row = deidentify(df, decisions).first()
    assert json.loads(row.doc) == {"patient": row.id, "seen": row.day.isoformat()}


def test_an_array_document(spark: SparkSession, deidentify: Any) -> None:
    df = spark.createDataFrame([('[{"zip": "19720", "x": 1}]',), ("{}",)], "doc string")
    rows = deidentify(df, {"doc$[].zip": sensitive(Zip3())}).collect()
    assert rows[0].doc == '[{"zip":"197"}]'
    assert "x" not in (rows[1].doc or "")


def test_a_path_that_is_an_array_and_something_else_is_refused(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT '{}' doc")
    with pytest.raises(ConfigurationError, match="array and as something else"):
        deidentify(df, {"doc$.a[]": SAFE, "doc$.a.b": SAFE})
