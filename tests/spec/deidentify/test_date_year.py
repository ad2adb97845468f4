"""Dates keep their year; years that show an age over 89 become one class."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType

from wardlake.deidentify.rules.dates import cut_to_year
from wardlake.model.errors import ConfigurationError


def rule(value: Column, data_type: DataType) -> Column:
    return cut_to_year(value, data_type, as_of=date(2026, 6, 1))


@pytest.mark.parametrize(
    ("ddl_type", "before", "after"),
    [
        ("date", "2024-03-19", "2024-01-01"),
        ("timestamp", "2024-03-19 09:31:55", "2024-01-01 00:00:00"),
        ("timestamp_ntz", "2024-03-19 09:31:55", "2024-01-01 00:00:00"),
        ("int", "1987", 1987),
        ("string", "2024-03-19", "2024-01-01"),
        ("string", "2024-03-19T09:31:55.123Z", "2024-01-01T00:00:00.000Z"),
        ("string", "20240319", "20240101"),
        ("string", "03/19/2024", "01/01/2024"),
        ("string", "2024-03", "2024-01"),
        ("string", "1987", "1987"),
    ],
)
def test_only_the_year_stays(apply_to: Any, ddl_type: str, before: str, after: object) -> None:
    assert apply_to(ddl_type, [before, None], rule) == [after, None]


@pytest.mark.parametrize(
    ("born", "shown"), [("1937-01-01", 1937), ("1936-12-31", 1936), ("1935-12-31", 1936), ("1890-05-05", 1936)]
)
def test_people_of_90_and_over_are_one_class(apply_to: Any, born: str, shown: int) -> None:
    assert apply_to("date", [born], rule) == [f"{shown}-01-01"]
    assert apply_to("string", [born], rule) == [f"{shown}-01-01"]
    assert apply_to("int", [born[:4]], rule) == [shown]


def test_the_ends_of_the_calendar_stay(apply_to: Any) -> None:
    assert apply_to("date", ["0001-03-04", "9999-12-31"], rule) == ["0001-01-01", "9999-01-01"]
    assert apply_to("string", ["0001-03-04", "9999-12-31"], rule) == ["0001-01-01", "9999-01-01"]


@pytest.mark.parametrize("text", ["about 1987", "19870", "March 1987", "1987-03-19 Smith"])
def test_text_that_is_no_date_does_not_pass(apply_to: Any, text: str) -> None:
    assert apply_to("string", [text], rule) == [None]


def test_a_number_that_is_no_year_does_not_pass(apply_to: Any) -> None:
    assert apply_to("bigint", ["0", "-5", "19870319"], rule) == [None, None, None]


def test_a_type_that_holds_no_dates_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="binary"):
        cut_to_year(F.lit(b"x"), BinaryType(), as_of=date(2026, 6, 1))
