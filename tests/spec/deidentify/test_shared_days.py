"""A day that many patients share, with nothing near it, is a placeholder: shifted, it would show their offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from ruamel.yaml import YAML
from tests.spec.deidentify.conftest import CONF, sensitive

from wardlake.deidentify.checks.shared_days import DayCount, SharedDayLimits, count_days, find_shared_days, shifted_columns
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import DateShift, Decision
from wardlake.settings.classification import ClassificationFile
from wardlake.settings.validation import adapter_for

LIMITS = SharedDayLimits(version="t", patients=10, share=0.25)
PEOPLE = TableSpec(name="people", patient="id")
SHIFT = sensitive(DateShift())
FIRST = date(1950, 3, 1)
Find = Callable[..., list[str]]


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> Find:
    def find(
        days: Sequence[Any], of_type: str = "date", *, decision: Decision = SHIFT, patients: Sequence[str] = ()
    ) -> list[str]:
        named = patients or [f"p{n}" for n in range(len(days))]
        df = spark.createDataFrame(list(zip(named, days, strict=True)), f"id string, day {of_type}")
        return search(df, {"day": decision})

    return find


def search(df: DataFrame, decisions: Mapping[str, Decision], table: TableSpec = PEOPLE) -> list[str]:
    columns = shifted_columns(df, table=table, decisions=decisions)
    return find_shared_days([DayCount(*row) for row in count_days(df, columns).collect()], columns, LIMITS) if columns else []


def spread(count: int, every: int = 97) -> list[date]:
    return [FIRST + timedelta(days=every * n) for n in range(count)]


def test_a_placeholder_among_dates_is_found(found: Find) -> None:
    assert found([*spread(200), *[date(1900, 1, 1)] * 12, None]) == ["day"]


def test_dates_that_people_really_have_are_not(found: Find) -> None:
    assert found(spread(200)) == []
    assert found([*spread(200, every=1), *[FIRST + timedelta(days=100)] * 9]) == []  # under ten patients
    week = [FIRST + timedelta(days=n % 5) for n in range(100)]  # a week's visits: a fifth each
    assert found(week) == []


def test_a_busy_day_among_busy_days_is_not(found: Find) -> None:
    assert found([*spread(400, every=1), *[FIRST + timedelta(days=200)] * 40]) == []


def test_many_cells_of_few_patients_are_no_placeholder(found: Find) -> None:
    days = [FIRST] * 60
    assert found(days, patients=[f"p{n % 3}" for n in range(60)]) == []
    assert found(days, patients=[f"p{n % 30}" for n in range(60)]) == ["day"]


@pytest.mark.parametrize(
    ("of_type", "placeholder"),
    [
        ("timestamp", datetime(1970, 1, 1, 5, 30)),
        ("string", "01/01/1970"),
        ("string", "19700101"),
        ("timestamp_ntz", datetime(1970, 1, 1)),
    ],
)
def test_times_and_text_dates_are_looked_at_by_day(found: Find, of_type: str, placeholder: Any) -> None:
    assert found([placeholder] * 15, of_type) == ["day"]


def test_what_does_not_move_is_not_looked_at(found: Find) -> None:
    told = sensitive(DateShift(sentinels=("1970-01-01",)))
    assert found([*spread(200), *[date(1970, 1, 1)] * 50], decision=told) == []
    assert found([date(9999, 12, 31)] * 50) == []
    assert found([date(1, 1, 1)] * 50) == []
    assert found(["unknown"] * 50, "string") == []


def test_a_day_that_somebody_accepted_passes(found: Find) -> None:
    accepted = sensitive(replace(DateShift(), shared_days="accept"))
    assert found([date(2021, 1, 4)] * 50, decision=accepted) == []


def test_struct_fields_are_looked_at_and_every_column_by_itself(spark: SparkSession) -> None:
    rows = [(f"p{n}", spread(40)[n], (date(1900, 1, 1),), f"p{n % 2}", date(1900, 1, 1)) for n in range(40)]
    df = spark.createDataFrame(rows, "id string, born date, death struct<`on.day`: date>, other string, told date")
    assert search(df, {"born": SHIFT, "told": sensitive(DateShift(by="other"))}) == []
    nested = df.selectExpr("id", "named_struct('day', death.`on.day`) AS death", "born")
    assert search(nested, {"born": SHIFT, "death.day": SHIFT}) == ["death.day"]


def test_of_the_sample_only_the_declared_placeholder_is_found(spark: SparkSession) -> None:
    document = YAML(typ="safe").load((CONF / "classification" / "synthea.yaml").read_text())
    file: ClassificationFile = adapter_for(ClassificationFile).validate_python(document)
    undeclared: dict[str, list[str]] = {}
    for name in ("claims_transactions", "encounters", "observations", "patients", "payer_transitions"):
        rows = spark.read.csv(str(CONF.parent / "tests" / "data" / "synthea" / f"{name}.csv.gz"), header=True)
        table = TableSpec(name=name, patient={"patients": "Id", "claims_transactions": "PATIENTID"}.get(name, "PATIENT"))
        decisions = file.decisions().tables[name]
        assert search(rows, decisions, table) == []
        forgotten = {
            path: replace(decision, rule=replace(decision.rule, sentinels=()))
            for path, decision in decisions.items()
            if isinstance(decision.rule, DateShift)
        }
        undeclared[name] = search(rows, forgotten, table)
    assert {name: paths for name, paths in undeclared.items() if paths} == {"claims_transactions": ["TODATE"]}
