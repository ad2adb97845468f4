"""Ages: whole years, 90 and over are one class."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from wardlake.deidentify.ages import cap_age
from wardlake.model.errors import ConfigurationError


@pytest.mark.parametrize("ddl_type", ["int", "bigint", "tinyint"])
def test_89_stays_and_90_and_over_are_90(apply_to: Any, ddl_type: str) -> None:
    assert apply_to(ddl_type, ["0", "89", "90", "117", None], cap_age) == [0, 89, 90, 90, None]


def test_fractions_are_cut_to_whole_years(apply_to: Any) -> None:
    assert apply_to("double", ["0.5", "89.9", "90.0", "Infinity"], cap_age) == [0.0, 89.0, 90.0, 90.0]
    assert apply_to("decimal(5,2)", ["89.90"], cap_age) == ["89.00"]


def test_text_stays_text(apply_to: Any) -> None:
    assert apply_to("string", ["42", " 97 ", "89.5"], cap_age) == ["42", "90", "89"]


def test_what_is_no_age_does_not_pass(apply_to: Any) -> None:
    assert apply_to("string", ["97 years old", "NaN", "-3", ""], cap_age) == [None] * 4
    assert apply_to("int", ["-1"], cap_age) == [None]


def test_a_type_that_holds_no_ages_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="date"):
        cap_age(F.lit(None), DateType())
