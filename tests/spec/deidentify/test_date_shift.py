"""Dates move by one offset per patient; intervals, order, type and form stay."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, StringType

from wardlake.deidentify.rules.dates import offset_days, shift_date
from wardlake.model.errors import ConfigurationError


def by(days: int | None, *, sentinels: tuple[str, ...] = ()) -> Any:
    def rule(value: Column, data_type: DataType) -> Column:
        offset = F.lit(days).cast("int")
        return shift_date(value, data_type, offset=offset, days=365, sentinels=sentinels)

    return rule


@pytest.mark.parametrize(
    ("ddl_type", "before", "after"),
    [
        ("date", "2024-02-28", "2024-03-09"),
        ("timestamp", "2024-12-31 23:59:59.123456", "2025-01-10 23:59:59.123456"),
        ("timestamp_ntz", "2024-03-30 02:30:00", "2024-04-09 02:30:00"),
        ("string", "2024-02-28", "2024-03-09"),
        ("string", "2024-03-19T09:31:55Z", "2024-03-29T09:31:55Z"),
        ("string", "2024-03-19T09:31:55.120+02:00", "2024-03-29T09:31:55.120+02:00"),
        ("string", "2024-03-19 09:31", "2024-03-29 09:31"),
        ("string", "20240319", "20240329"),
        ("string", "20240319093155+0200", "20240329093155+0200"),
        ("string", "03/19/2024", "03/29/2024"),
    ],
)
def test_a_date_moves_and_keeps_its_type_and_form(apply_to: Any, ddl_type: str, before: str, after: str) -> None:
    assert apply_to(ddl_type, [before, None], by(10)) == [after, None]


@pytest.mark.parametrize(
    "text", ["John Smith", "2024-13-45", "2024-03-19 of Mr Smith", "20240319X", "2024", "", "19.03.2024", "😀", "1/2/24"]
)
def test_text_that_is_no_date_does_not_pass(apply_to: Any, text: str) -> None:
    assert apply_to("string", [text], by(10)) == [None]


@pytest.mark.parametrize("ddl_type", ["date", "timestamp", "string"])
def test_the_ends_of_the_calendar_stay_ends_and_give_no_offset_away(apply_to: Any, ddl_type: str) -> None:
    values = ["0001-01-01", "0001-07-04", "9999-12-31", "9999-01-01"]
    time = " 00:00:00" if ddl_type == "timestamp" else ""
    ends = [f"0001-01-01{time}", f"0001-01-01{time}", f"9999-12-31{time}", f"9999-12-31{time}"]
    assert apply_to(ddl_type, values, by(-365)) == ends
    assert apply_to(ddl_type, values, by(365)) == ends


def test_an_end_of_the_calendar_written_with_a_time_loses_the_time(apply_to: Any) -> None:
    assert apply_to("string", ["9999-06-15T13:37:42Z"], by(3)) == ["9999-12-31T00:00:00Z"]


def test_a_declared_sentinel_stays(apply_to: Any) -> None:
    rule = by(7, sentinels=("1970-01-01T00:00:00Z",))
    values = ["1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"]
    assert apply_to("string", values, rule) == ["1970-01-01T00:00:00Z", "1970-01-09T00:00:00Z"]
    assert apply_to("timestamp", values, rule) == ["1970-01-01 00:00:00", "1970-01-09 00:00:00"]


def test_without_a_patient_there_is_no_date(apply_to: Any) -> None:
    assert apply_to("date", ["2024-03-19"], by(None)) == [None]


def test_a_type_that_holds_no_dates_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="boolean"):
        shift_date(F.lit(True), BooleanType(), offset=F.lit(1), days=365, sentinels=())


def test_offsets_are_within_bounds_never_zero_and_reach_both_bounds(spark: SparkSession) -> None:
    digests = spark.range(2000).select(F.sha2(F.col("id").cast("string"), 256).alias("digest"))
    offsets = [row.o for row in digests.select(offset_days(F.col("digest"), 5).alias("o")).collect()]
    assert set(offsets) == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5}
    assert min(offsets.count(n) for n in set(offsets)) > 120  # 200 expected


def test_no_digest_no_offset(spark: SparkSession) -> None:
    assert spark.range(1).select(offset_days(F.lit(None).cast("string"), 5).alias("o")).first().o is None


@settings(max_examples=8, deadline=None)
@given(
    days=st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=2, max_size=40),
    offset=st.integers(-365, 365).filter(bool),
)
def test_intervals_and_order_stay(spark: SparkSession, days: list[date], offset: int) -> None:
    df = spark.createDataFrame([(n, d, d.isoformat()) for n, d in enumerate(days)], "n int, d date, t string")
    moved = shift_date(F.col("d"), df.schema["d"].dataType, offset=F.lit(offset), days=365, sentinels=())
    text = shift_date(F.col("t"), StringType(), offset=F.lit(offset), days=365, sentinels=())
    rows = df.select("n", moved.alias("d"), text.alias("t")).orderBy("n").collect()
    assert [row.d - day for row, day in zip(rows, days, strict=True)] == [timedelta(days=offset)] * len(days)
    assert [row.t for row in rows] == [row.d.isoformat() for row in rows]
