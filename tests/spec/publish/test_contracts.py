"""Source and output are held to the suites in `expectations/`, or the run ends with exit 20."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from wardlake.adapters.great_expectations_contracts import GreatExpectationsContracts
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.ports.contracts import ColumnContract, ExpectationResult, Suite, TableContract
from wardlake.publish.contracts import load_suite, release_suite, require_contracts

ROOT = Path(__file__).parents[3]
PATIENTS = TableContract(
    key=("Id",),
    min_rows=1,
    columns={
        "Id": ColumnContract(type="string", required=True),
        "GENDER": ColumnContract(type="string", values=("F", "M")),
        "BORN": ColumnContract(type="date", minimum="1890-01-01", maximum="2100-01-01"),
        "COST": ColumnContract(type="decimal(18,2)", minimum=0.0),
    },
)
SUITE = Suite(name="clinic/source", tables={"patients": PATIENTS})
SCHEMA = "Id string, GENDER string, BORN string, COST string"
GOOD = ("a", "F", "1990-01-01", "1.50")


def patients(spark: SparkSession, *rows: tuple[str | None, ...], columns: str = SCHEMA) -> DataFrame:
    df = spark.createDataFrame(list(rows), columns)
    typed = {"BORN": "date", "COST": "decimal(18,2)"}
    return df.select(*[df[c].cast(typed.get(c, "string")).alias(c) for c in df.columns])


def failures(suite: Suite, **tables: DataFrame) -> set[tuple[str, str, str]]:
    found = GreatExpectationsContracts().check(suite, tables).failures
    return {(f.table, f.column, f.expectation) for f in found}


def test_good_rows_keep_their_contract(spark: SparkSession) -> None:
    rows = [GOOD, ("b", None, None, None)]
    result = GreatExpectationsContracts().check(SUITE, {"patients": patients(spark, *rows)})
    assert result.failures == ()
    assert len(result.results) == 11
    require_contracts(result)


@pytest.mark.parametrize(
    ("row", "failure"),
    [
        ((None, "F", "1990-01-01", "1"), ("Id", "expect_column_values_to_not_be_null")),
        (("a", "F", "1990-01-01", "1"), ("Id", "expect_compound_columns_to_be_unique")),
        (("b", "X", "1990-01-01", "1"), ("GENDER", "expect_column_values_to_be_in_set")),
        (("b", "F", "0001-01-01", "1"), ("BORN", "expect_column_values_to_be_between")),
        (("b", "F", "9999-12-31", "1"), ("BORN", "expect_column_values_to_be_between")),
        (("b", "F", "1990-01-01", "-1"), ("COST", "expect_column_values_to_be_between")),
    ],
)
def test_one_bad_cell_breaks_one_expectation(spark: SparkSession, row: tuple[str | None, ...], failure: tuple[str, str]) -> None:
    assert failures(SUITE, patients=patients(spark, GOOD, row)) == {("patients", *failure)}


def test_an_empty_table_breaks_its_row_count_and_nothing_else(spark: SparkSession) -> None:
    assert failures(SUITE, patients=patients(spark)) == {("patients", "", "expect_table_row_count_to_be_between")}


def test_a_missing_a_new_and_a_retyped_column_are_named(spark: SparkSession) -> None:
    df = patients(spark, GOOD)
    changed = df.drop("GENDER").withColumn("BORN", df["BORN"].cast("string")).withColumn("NEW", df["Id"])
    assert failures(SUITE, patients=changed) == {
        ("patients", "", "expect_table_columns_to_match_set"),
        ("patients", "GENDER", "expect_column_to_exist"),
        ("patients", "BORN", "expect_column_values_to_be_of_type"),
    }


def test_a_decimal_of_another_scale_is_another_type(spark: SparkSession) -> None:
    df = patients(spark, GOOD)
    rescaled = df.withColumn("COST", df["COST"].cast("decimal(10,1)"))
    assert failures(SUITE, patients=rescaled) == {("patients", "COST", "expect_column_values_to_be_of_type")}


def test_a_missing_table_and_a_table_of_no_contract_fail(spark: SparkSession) -> None:
    assert failures(SUITE, visits=patients(spark, GOOD)) == {
        ("patients", "", "expect_table_to_exist"),
        ("visits", "", "expect_table_to_exist"),
    }


def test_a_broken_contract_names_table_column_and_expectation_and_no_value(spark: SparkSession) -> None:
    result = GreatExpectationsContracts().check(SUITE, {"patients": patients(spark, ("a", "MARKER", None, None))})
    with pytest.raises(ContractBroken) as raised:
        require_contracts(result)
    assert raised.value.exit_code == 20
    assert raised.value.which == ("patients.GENDER: expect_column_values_to_be_in_set",)
    assert "MARKER" not in str(raised.value)


def test_no_check_is_no_success() -> None:
    result = GreatExpectationsContracts().check(Suite(name="empty"), {})
    with pytest.raises(ContractBroken):
        require_contracts(result)


def test_an_output_holds_the_released_columns_and_no_other(spark: SparkSession) -> None:
    released = release_suite(SUITE, {"patients": ["Id", "GENDER"]})
    df = patients(spark, GOOD)
    assert failures(released, patients=df.select("Id", "GENDER")) == set()
    assert ("patients", "", "expect_table_columns_to_match_set") in failures(released, patients=df)


def test_a_released_column_that_no_contract_describes_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match=r"patients\.NEW is released but not described"):
        release_suite(SUITE, {"patients": ["Id", "NEW"]})


def test_every_mistake_of_a_suite_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "source.yaml"
    path.write_text(
        "tables:\n"
        "  patients:\n"
        "    key: [Nr]\n"
        "    columns:\n"
        "      Id: {type: string, minimum: 3}\n"
        "      BORN: {type: date, minimum: 3}\n"
        "      AGE: {type: int, values: [1]}\n"
        "      X: {type: string, nullable: false}\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        load_suite(path)
    assert [(m.line, m.message) for m in raised.value.mistakes] == [
        (5, "patients.Id: minimum and maximum are for numbers, dates and timestamps"),
        (6, "patients.BORN: bounds of a date are ISO dates"),
        (7, "patients.AGE: values are for string columns only"),
        (8, "patients.X: unknown key nullable"),
        (2, "patients: key column Nr is not described"),
    ]


def test_a_suite_that_is_not_there_or_not_yaml_is_a_mistake(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("tables: {a: [")
    for path in (broken, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigurationError):
            load_suite(path)


@pytest.mark.parametrize("which", ["source", "output"])
def test_the_suites_of_synthea_describe_its_18_tables(which: str) -> None:
    suite = load_suite(ROOT / "expectations" / "synthea" / f"{which}.yaml")
    assert suite.name == f"synthea/{which}"
    assert len(suite.tables) == 18


def test_the_bundled_sample_keeps_its_contract(spark: SparkSession) -> None:
    suite = load_suite(ROOT / "expectations" / "synthea" / "source.yaml")
    tables = {name: typed(spark, sample(name), contract) for name, contract in suite.tables.items()}
    assert GreatExpectationsContracts().check(suite, tables).failures == ()


if "WARDLAKE_TEST_DATA" in os.environ:

    def test_another_export_of_synthea_keeps_the_contract(spark: SparkSession) -> None:
        folder = Path(os.environ["WARDLAKE_TEST_DATA"]) / "synthea-delaware-seed42"
        suite = load_suite(ROOT / "expectations" / "synthea" / "source.yaml")
        files = {path.name.split(".")[0]: path for path in folder.glob("*.csv.gz")}
        tables = {name: typed(spark, files[name], contract) for name, contract in suite.tables.items()}
        assert GreatExpectationsContracts().check(suite, tables).failures == ()


def sample(table: str) -> Path:
    return ROOT / "tests" / "data" / "synthea" / f"{table}.csv.gz"


def typed(spark: SparkSession, path: Path, contract: TableContract) -> DataFrame:
    """One CSV file read with the contract's own types."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    schema = ", ".join(f"`{name}` {contract.columns[name].type}" for name in header)
    return spark.read.csv(str(path), header=True, schema=schema, mode="FAILFAST")


def test_results_tell_which_and_whether_and_nothing_else() -> None:
    assert set(ExpectationResult.__dataclass_fields__) == {"table", "column", "expectation", "success", "checked"}
