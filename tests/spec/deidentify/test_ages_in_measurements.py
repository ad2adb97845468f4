"""Ages stand in measurements too: under Safe Harbor no released number tells how old its person was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from statistics import StatisticsError, correlation
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from ruamel.yaml import YAML
from tests.spec.deidentify.conftest import BLOCKED, CONF, SAFE, sensitive

from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import Classification, Generalise
from wardlake.settings.classification import ClassificationFile
from wardlake.settings.validation import adapter_for

SAMPLE = CONF.parent / "tests" / "data" / "synthea"
FEWEST, TELLING = 10, 0.9
ANSWERS = sensitive(Generalise(to={"yes": "yes"}, other="[withheld]", numbers="keep", withhold_if={"code": ("age", "born")}))
DECISIONS = {"id": SAFE, "code": SAFE, "value": ANSWERS}
Deidentify = Callable[..., DataFrame]


def safe_harbor() -> Classification:
    document = YAML(typ="safe").load((CONF / "classification" / "synthea-safe-harbor.yaml").read_text())
    file: ClassificationFile = adapter_for(ClassificationFile).validate_python(document)
    return file.decisions()


def released(deidentify: Deidentify, spark: SparkSession) -> list[Any]:
    """The sample's measurements by the rule that ships, with the age that each was taken at."""
    people = spark.read.csv(str(SAMPLE / "patients.csv.gz"), header=True).select("Id", F.to_date("BIRTHDATE").alias("born"))
    rows = spark.read.csv(str(SAMPLE / "observations.csv.gz"), header=True).join(people, F.col("PATIENT") == F.col("Id"))
    aged = rows.select("CODE", "VALUE", (F.datediff(F.to_date("DATE"), F.col("born")) / 365.25).alias("age"))
    rule = safe_harbor().tables["observations"]["VALUE"]
    return deidentify(aged, {"CODE": SAFE, "VALUE": rule, "age": SAFE}, patient="").collect()


def test_no_measurement_of_the_sample_tells_the_age(deidentify: Deidentify, spark: SparkSession) -> None:
    numbers = defaultdict(list)
    for row in released(deidentify, spark):
        if row["age"] >= 18 and row["VALUE"] and row["VALUE"].replace(".", "", 1).isdecimal():
            numbers[row["CODE"]].append((row["age"], float(row["VALUE"])))
    telling = {}
    for code, pairs in numbers.items():
        try:
            telling[code] = abs(correlation(*zip(*pairs, strict=True))) if len(pairs) >= FEWEST else 0.0
        except StatisticsError:  # the same number in every row
            telling[code] = 0.0
    assert len(telling) > 50
    assert {code: tells for code, tells in telling.items() if tells > TELLING} == {}


def test_nothing_of_years_lived_in_health_or_disability_is_released(deidentify: Deidentify, spark: SparkSession) -> None:
    years = {(row["CODE"], row["VALUE"]) for row in released(deidentify, spark) if row["CODE"] in ("QALY", "DALY")}
    assert years == {("QALY", "[withheld]"), ("DALY", "[withheld]")}


def test_numbers_stay_but_in_rows_that_are_withheld(deidentify: Deidentify, spark: SparkSession) -> None:
    before = [(1, "weight", "91"), (2, "age", "91"), (3, "born", "yes"), (4, "weight", "yes"), (5, "age", None)]
    rows = spark.createDataFrame(before, "id int, code string, value string")
    after = ["91", "[withheld]", "[withheld]", "yes", None]
    assert [row["value"] for row in deidentify(rows, DECISIONS).orderBy("id").collect()] == after


def test_a_row_that_does_not_say_what_it_measures_is_withheld(deidentify: Deidentify, spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, None, "91")], "id int, code string, value string")
    assert [row["value"] for row in deidentify(rows, DECISIONS).collect()] == ["[withheld]"]


def test_a_condition_on_a_column_that_is_not_there_is_named(deidentify: Deidentify, spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, "91")], "id int, value string")
    with pytest.raises(ConfigurationError, match="names column code"):
        deidentify(rows, {"id": SAFE, "code": BLOCKED, "value": ANSWERS})
