"""Whole tables: one row in, one row out, and nothing without a decision."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.model.errors import ConfigurationError, UnclassifiedColumns
from wardlake.model.treatments import (
    RULES_ALLOWED,
    Age,
    Bucket,
    Constant,
    DateShift,
    DateYear,
    Drop,
    EmbeddedTokens,
    FormatToken,
    FreeText,
    Generalise,
    Null,
    Password,
    Rule,
    Surrogate,
    SurrogateKind,
    Token,
    Zip3,
)

ID = sensitive(Token(domain="patient"))
EVERY_RULE: dict[type, Any] = {
    Token: Token(domain="patient"),
    FormatToken: FormatToken(domain="patient"),
    DateShift: DateShift(),
    DateYear: DateYear(),
    Age: Age(),
    Zip3: Zip3(),
    Generalise: Generalise(to={}),
    Bucket: Bucket(width=5),
    Surrogate: Surrogate(kind=SurrogateKind.CITY, domain="patient"),
    FreeText: FreeText(),
    EmbeddedTokens: EmbeddedTokens(pattern="^(x)", domain="patient"),
    Password: Password(),
    Constant: Constant(value="c"),
    Null: Null(),
    Drop: Drop(),
}


def test_every_rule_has_an_implementation(spark: SparkSession, deidentify: Any) -> None:
    assert set(EVERY_RULE) == set(get_args(Rule))
    df = spark.sql("SELECT 'p1' id, " + ", ".join(f"'Smith' {rule.rule}" for rule in EVERY_RULE.values()))
    out = deidentify(df, {"id": ID, **{rule.rule: sensitive(rule) for rule in EVERY_RULE.values()}})
    assert out.columns == [name for name in df.columns if name != "drop"]
    row = out.first()
    assert "Smith" not in [row[name] for name in out.columns]


def test_every_profile_lists_known_rules() -> None:
    known = {rule.rule for rule in EVERY_RULE.values()}
    assert all(rules <= known for rules in RULES_ALLOWED.values())


def test_rows_order_and_types_stay_and_blocked_columns_are_gone(spark: SparkSession, deidentify: Any) -> None:
    df = spark.range(20).selectExpr("id n", "'x' secret", "concat('p', id) id", "id % 3 = 0 flag", "'y' gone")
    decisions = {"n": SAFE, "secret": BLOCKED, "id": ID, "flag": SAFE, "gone": sensitive(Drop())}
    out = deidentify(df, decisions)
    assert out.columns == ["n", "id", "flag"]
    assert_df_equality(out.select("n", "flag"), df.select("n", "flag"))


def test_every_column_and_nested_field_without_a_decision_is_named(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql(
        """SELECT 'p1' id, 'x' new, named_struct('a', 1, 'b', named_struct('c', 2)) s, array(named_struct('d', 3)) l,
           map('k', 'v') m"""
    )
    with pytest.raises(UnclassifiedColumns) as refused:
        deidentify(df, {"id": ID, "s.a": SAFE, "m.{value}": SAFE})
    assert refused.value.which == ("visits.l", "visits.m.{key}", "visits.new", "visits.s.b")


def test_a_container_cannot_be_safe_as_a_whole(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT named_struct('a', 1) s, array(named_struct('d', 3)) l, map('k', 'v') m, array('t') tags")
    with pytest.raises(UnclassifiedColumns) as refused:
        deidentify(df, {"s": SAFE, "l": SAFE, "m": SAFE, "tags": SAFE})
    assert [each.split(" ")[0] for each in refused.value.which] == ["visits.l", "visits.m", "visits.s"]


def test_fields_are_transformed_one_by_one_and_blocked_ones_are_gone(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql(
        """SELECT named_struct('age', 97, 'mrn', 'x') s, array(named_struct('zip', '19720', 'name', 'x')) l,
           array(array('19720')) ll, map('a', named_struct('zip', '10001')) m
           UNION ALL SELECT null, null, null, null"""
    )
    decisions = {
        "s.age": sensitive(Age()), "s.mrn": BLOCKED, "l[].zip": sensitive(Zip3()), "l[].name": sensitive(Drop()),
        "ll[]": sensitive(Zip3()), "m.{key}": SAFE, "m.{value}.zip": sensitive(Zip3()),
    }  # fmt: skip
    full, empty = deidentify(df, decisions).collect()
    assert full.asDict(recursive=True) == {"s": {"age": 90}, "l": [{"zip": "197"}], "ll": [["197"]], "m": {"a": {"zip": "000"}}}
    assert list(empty) == [None] * 4


def test_a_struct_all_of_whose_fields_are_blocked_is_gone(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 1 n, named_struct('a', 1) s, array(named_struct('d', 3)) l, map('k', 'v') m")
    out = deidentify(df, {"n": SAFE, "s.a": BLOCKED, "l[].d": BLOCKED, "m": BLOCKED})
    assert out.columns == ["n"]


def test_the_keys_of_a_map_stay_apart(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT map('10001', 1, '10002', 2) m")
    with pytest.raises(ConfigurationError, match=r"m\.\{key\}"):
        deidentify(df, {"m.{key}": sensitive(Zip3()), "m.{value}": SAFE})


def test_a_refusal_names_the_column(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT true flag")
    with pytest.raises(ConfigurationError, match=r"visits\.flag: Rule zip3 does not work on type boolean"):
        deidentify(df, {"flag": sensitive(Zip3())})


def test_dates_need_a_patient_with_a_token(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, DATE '2024-01-01' day")
    with pytest.raises(ConfigurationError, match=r"visits\.id: it has no token rule"):
        deidentify(df, {"id": SAFE, "day": sensitive(DateShift())})
    with pytest.raises(ConfigurationError, match="no patient"):
        deidentify(df, {"id": ID, "day": sensitive(DateShift())}, patient="")


def test_a_patient_moves_by_the_same_days_in_every_table(spark: SparkSession, deidentify: Any) -> None:
    one = spark.sql("SELECT concat('p', id) id, DATE '2024-01-01' day FROM range(30)")
    other = spark.sql("SELECT concat('p', id) who, TIMESTAMP '2024-01-01 08:00:00' at, '2024-01-01' text FROM range(30)")
    shift = sensitive(DateShift(days=100))
    days = {r.id: r.day for r in deidentify(one, {"id": ID, "day": shift}).collect()}
    rows = deidentify(other, {"who": ID, "at": shift, "text": shift}, patient="who").collect()
    assert {r.who: r["at"].date() for r in rows} == days
    assert {r.who: r.text for r in rows} == {who: day.isoformat() for who, day in days.items()}
    assert len(set(days.values())) > 15
    assert all(1 <= abs((day - days_zero).days) <= 100 for day in days.values() for days_zero in [one.first().day])
