"""What a rule could not read is counted by column, and nothing else is."""

from __future__ import annotations

from typing import Any

from pyspark.sql import Observation, SparkSession
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.deidentify.losses import count_filled, losing_columns, lost_values
from wardlake.model.treatments import Age, Bucket, DateShift, DateYear, EmbeddedTokens, Generalise, Null, Token, Zip3

ROWS = """
    SELECT * FROM VALUES
      ('p1', '2024-05-06', '2024-05-06', '44', '/p1/a.png', '12', 'a', named_struct('day', '2024-05-06'), 'x', '19720'),
      ('p2', 'last week', '1987', '-3', '/no match', 'many', 'b', named_struct('day', 'soon'), 'x', 'nonsense'),
      ('p3', 'Tuesday', NULL, 'old', NULL, NULL, 'c', named_struct('day', NULL), 'x', NULL),
      (NULL, '2024-05-06', '2024', '91', '/p1/a.png', '-1', 'a', NULL, 'x', '10001')
    AS t(id, seen, born, age, url, score, grade, inner, gone, zip)
"""
DECISIONS = {
    "id": sensitive(Token(domain="patient")),
    "seen": sensitive(DateShift()),
    "born": sensitive(DateYear()),
    "age": sensitive(Age()),
    "url": sensitive(EmbeddedTokens(pattern="^/(p[0-9])/", domain="patient")),
    "score": sensitive(Bucket(width=10)),
    "grade": sensitive(Generalise(to={"a": "high", "b": "low"})),
    "inner.day": sensitive(DateYear()),
    "gone": sensitive(Null()),
    "zip": sensitive(Zip3()),
}


def test_values_that_became_null_are_counted_by_column(spark: SparkSession, deidentify: Any) -> None:
    """Two texts that are no dates and a date without a patient; an age below 0 and one in words; not what was empty before."""
    rows = spark.sql(ROWS)
    watched, before, after = losing_columns(rows.schema, DECISIONS), Observation(), Observation()
    deidentify(rows.observe(before, *count_filled(watched)), DECISIONS).observe(after, *count_filled(watched)).collect()
    assert lost_values(watched, before.get, after.get) == {
        "seen": 3,
        "age": 2,
        "url": 1,
        "score": 1,
        "grade": 1,
        "inner.day": 1,
    }


def test_columns_that_are_emptied_on_purpose_or_cannot_be_emptied_are_not_watched(spark: SparkSession) -> None:
    schema = spark.sql("SELECT 'x' a, 'x' b, 'x' c, array('x') list, named_struct('d', 'x') s, '{}' doc").schema
    shift = sensitive(DateShift())
    decisions = {"a": SAFE, "b": BLOCKED, "c": sensitive(Null()), "list[]": shift, "s": BLOCKED, "s.d": shift, "doc$.day": shift}
    assert losing_columns(schema, decisions) == ()
