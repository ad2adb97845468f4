"""Ages: whole years, 90 and over are one class."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from wardlake.deidentify.rules.ages import cap_age
from wardlake.model.errors import ConfigurationError


@pytest.mark.parametrize("ddl_type", ["int", "bigint", "tinyint"])
def test_89_stays_and_90_and_over_are_90(becomes: Any, ddl_type: str) -> None:
    becomes(ddl_type, ["0", "89", "90", "117", None], ["0", "89", "90", "90", None], cap_age)


def test_fractions_are_cut_to_whole_years(becomes: Any) -> None:
    becomes("double", ["0.5", "89.9", "90.0", "Infinity"], ["0.0", "89.0", "90.0", "90.0"], cap_age)
    becomes("decimal(5,2)", ["89.90"], ["89.00"], cap_age)


def test_text_stays_text(becomes: Any) -> None:
    becomes("string", ["42", " 97 ", "89.5"], ["42", "90", "89"], cap_age)


def test_what_is_no_age_does_not_pass(becomes: Any) -> None:
    becomes("string", ["97 years old", "NaN", "-3", ""], [None] * 4, cap_age)
    becomes("int", ["-1"], [None], cap_age)


def test_a_type_that_holds_no_ages_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="date"):
        cap_age(F.lit(None), DateType())
