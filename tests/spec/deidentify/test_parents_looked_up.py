"""Tokens looked up among few parents: what they cost changes, never what they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spec.deidentify.conftest import sensitive

from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.tables import deidentify_table
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, DateShift, Decision, FormatToken, Profile, Token, TokenMode
from wardlake.pipelines.refresh.parents import few_parents
from wardlake.publish.references.measure import measure_references
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.source import TokenSource

VISITS = TableSpec(name="visits", patient="id")
PATIENT = Token(domain="patient")
DECISIONS = {
    "id": sensitive(PATIENT),
    "seen": sensitive(DateShift(days=30)),
    "left": sensitive(DateShift(days=30)),
}


@pytest.fixture
def tokenise(ring: KeyRing, references: ReferenceData) -> Any:
    def run(df: DataFrame, decisions: Mapping[str, Decision], parents: Mapping[str, DataFrame]) -> DataFrame:
        return deidentify_table(
            df,
            table=VISITS,
            decisions=decisions,
            tokens=TokenSource(mode=TokenMode.KEYED, ring=ring),
            references=references,
            as_of=date(2026, 6, 1),
            parents=parents,
        )

    return run


@pytest.mark.parametrize(
    ("rule", "of_type", "values"),
    [
        (Token(domain="patient"), "string", ["a", "b", "", None]),
        (Token(domain="patient", prefix="pat_"), "string", ["a", "b", "b", None]),
        (Token(domain="patient"), "bigint", [1, 2, None, 77]),
        (Token(domain="patient"), "decimal(10,0)", [1, 2, None]),
        (FormatToken(domain="patient"), "string", ["123-45-6789", "987-65-4321", None]),
    ],
)
def test_tokens_are_those_that_would_be_computed(
    spark: SparkSession, tokenise: Any, rule: Token, of_type: str, values: list[object]
) -> None:
    df = spark.createDataFrame([(str(value),) for value in values], "id string")
    df = df.selectExpr(f"CAST(nullif(id, 'None') AS {of_type}) AS id")
    parents = df.filter("id IS NOT NULL").distinct()
    decisions = {"id": sensitive(rule)}

    looked_up = tokenise(df, decisions, {"id": parents})

    assert looked_up.schema == df.schema
    assert sorted(looked_up.collect(), key=str) == sorted(tokenise(df, decisions, {}).collect(), key=str)


def test_dates_move_as_far_as_they_would_and_the_parents_are_sent_to_every_task_once(spark: SparkSession, tokenise: Any) -> None:
    rows = [("a", date(2020, 1, 1), date(2020, 1, 9)), ("b", date(2020, 1, 1), None), (None, date(2020, 1, 1), None)]
    df = spark.createDataFrame(rows, "id string, seen date, left date")
    parents = spark.createDataFrame([("a",), ("b",)], "patient string")

    looked_up = tokenise(df, DECISIONS, {"id": parents})

    assert looked_up.collect() == tokenise(df, DECISIONS, {}).collect()
    plan = looked_up._jdf.queryExecution().optimizedPlan().toString()
    assert plan.count("Join LeftOuter") == 1


def test_a_value_without_a_parent_stops_the_job_and_is_not_told(spark: SparkSession, tokenise: Any) -> None:
    df = spark.createDataFrame([("a",), ("stray",)], "id string")

    with pytest.raises(Exception, match="a value of column id is not among its parents") as stopped:
        tokenise(df, {"id": DECISIONS["id"]}, {"id": df.limit(1)}).collect()

    assert "stray" not in str(stopped.value)


def _selected(spark: SparkSession, visits: list[str | None], patients: list[str], rule: Token = PATIENT) -> dict[str, set[str]]:
    source = SourceSpec(
        name="clinic",
        kind=SourceKind.PARQUET,
        location="clinic",
        schema_version="1",
        tables={
            "patients": TableSpec(name="patients", primary_key=("id",)),
            "visits": TableSpec(name="visits", references=(Reference(columns=("patient",), table="patients", to=("id",)),)),
        },
    )
    decided = Classification(
        source="clinic",
        profile=Profile.EXPERT,
        token_mode=TokenMode.KEYED,
        tables={"patients": {"id": sensitive(PATIENT)}, "visits": {"patient": sensitive(rule)}},
    )
    frames = {
        "patients": spark.createDataFrame([(each,) for each in patients], "id string"),
        "visits": spark.createDataFrame([(each,) for each in visits], "patient string"),
    }
    found = few_parents(source, decided, frames, measure_references(frames, source))
    return {table: set(columns) for table, columns in found.items()}


def test_a_key_with_many_rows_for_each_parent_is_looked_up(spark: SparkSession) -> None:
    assert _selected(spark, [*"aaaaaaaa", *"bbbbbbb", None], ["a", "b"]) == {"visits": {"patient"}}


@pytest.mark.parametrize(
    ("visits", "patients"),
    [
        ([*"aaaaaaaabbbbbbbb", "lost"], ["a", "b"]),  # an orphan has no parent to be found among
        ([*"aaaaaaaabbbbbbbbbbbbbbbb"], ["a", "b", "b"]),  # a parent that comes twice would double rows
        ([*"aaaaaaabbbbbbb"], ["a", "b"]),  # nothing is gained
    ],
)
def test_a_key_with_orphans_or_repeated_parents_or_few_rows_is_not(
    spark: SparkSession, visits: list[str | None], patients: list[str]
) -> None:
    assert _selected(spark, visits, patients) == {}


def test_a_key_under_another_rule_than_its_parent_is_not(spark: SparkSession) -> None:
    assert _selected(spark, [*"aaaaaaaa"], ["a"], Token(domain="other")) == {}
