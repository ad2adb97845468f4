"""Data Docs, results, logs and exceptions of the contracts hold no value of the data and load nothing from elsewhere."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from wardlake.adapters.great_expectations_contracts import GreatExpectationsContracts
from wardlake.model.errors import ContractBroken
from wardlake.ports.contracts import ColumnContract, Suite, TableContract
from wardlake.publish.contracts import require_contracts

MARKERS = ("Xmarkertext7731", "8273645519", "1871-03-17", "987654.32", "Xmarkerkey5512")
SUITE = Suite(
    name="clinic/source",
    tables={
        "visits": TableContract(
            key=("KEY",),
            max_rows=1,
            columns={
                "KEY": ColumnContract(type="string", required=True),
                "TEXT": ColumnContract(type="string", values=("allowed",)),
                "NUMBER": ColumnContract(type="bigint", maximum=10.0),
                "DAY": ColumnContract(type="date", minimum="1890-01-01"),
                "COST": ColumnContract(type="decimal(18,2)", maximum=1.0),
                "RETYPED": ColumnContract(type="int", minimum=0.0, required=True),
                "GONE": ColumnContract(type="string", values=("allowed",)),
            },
        )
    },
)


def marked(spark: SparkSession) -> DataFrame:
    text, number, day, cost, key = MARKERS
    row = (key, text, number, day, cost, text)
    df = spark.createDataFrame([row, row], "KEY string, TEXT string, NUMBER string, DAY string, COST string, RETYPED string")
    return df.selectExpr("KEY", "TEXT", "bigint(NUMBER) NUMBER", "date(DAY) DAY", "cast(COST as decimal(18,2)) COST", "RETYPED")


def test_a_marker_that_breaks_every_expectation_is_found_nowhere(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    result = GreatExpectationsContracts().check(SUITE, {"visits": marked(spark)}, docs=tmp_path)
    assert {f.column for f in result.failures} >= {"KEY", "TEXT", "NUMBER", "DAY", "COST", "RETYPED", "GONE"}
    with pytest.raises(ContractBroken) as raised:
        require_contracts(result)
    pages = [page.read_text() for page in tmp_path.rglob("*") if page.is_file()]
    assert len(pages) == 2
    printed = capfd.readouterr()
    places = [*pages, repr(result), str(raised.value), repr(raised.value.args), printed.out, printed.err, caplog.text]
    for place in places:
        for marker in MARKERS:
            assert marker not in place


def test_a_table_that_cannot_be_read_is_named_and_its_cells_are_not(
    spark: SparkSession, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine's own message holds the cell; what reaches the user must not."""
    text = MARKERS[0]
    broken = spark.createDataFrame([(text,)], "A string").selectExpr("int(A) A")
    suite = Suite(name="s", tables={"visits": TableContract(columns={"A": ColumnContract(type="int", required=True)})})
    result = GreatExpectationsContracts().check(suite, {"visits": broken})
    with pytest.raises(ContractBroken) as raised:
        require_contracts(result)
    assert "could not be checked" in str(raised.value)
    for place in (str(raised.value), repr(result), caplog.text):
        assert text not in place
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or text not in str(raised.value.__context__)


def test_the_pages_run_nothing_and_fetch_nothing(spark: SparkSession, tmp_path: Path) -> None:
    GreatExpectationsContracts().check(SUITE, {"visits": marked(spark)}, docs=tmp_path)
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        assert "default-src 'none'" in text
        assert not re.search(r"<script|<link|<img|<iframe|<base|@import|\bon\w+\s*=\s*[\"']", text, re.IGNORECASE)
        assert not re.search(r"(src|url\()\s*=?\s*[\"'(]*https?:", text, re.IGNORECASE)


def test_hostile_names_are_text_on_the_pages(spark: SparkSession, tmp_path: Path) -> None:
    name = "<script>alert(1)</script>/../x"
    df = spark.createDataFrame([(1,)], "a int").toDF("<img src=x onerror=alert(2)>")
    suite = Suite(name="<b>", tables={name: TableContract(columns={df.columns[0]: ColumnContract(type="int")})})
    GreatExpectationsContracts().check(suite, {name: df}, docs=tmp_path)
    pages = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {page.parent for page in pages} == {tmp_path}
    for page in pages:
        assert "<script>" not in page.read_text()
        assert "<img" not in page.read_text()
