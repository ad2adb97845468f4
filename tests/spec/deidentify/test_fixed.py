"""Constants, nulls and the dev password."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType

from wardlake.deidentify.rules.fixed import put_constant, put_null, replace_password
from wardlake.model.errors import ConfigurationError


def test_a_constant_stands_in_every_row_in_the_columns_type(apply_to: Any) -> None:
    assert apply_to("string", ["a", None], lambda v, t: put_constant(t, value="x")) == ["x", "x"]
    assert apply_to("int", ["1"], lambda v, t: put_constant(t, value="7")) == [7]
    assert apply_to("date", ["2024-05-06"], lambda v, t: put_constant(t, value="2000-01-01")) == ["2000-01-01"]


def test_null_leaves_nothing_but_the_type(apply_to: Any) -> None:
    assert apply_to("string", ["a", None], lambda v, t: put_null(t)) == [None, None]
    assert apply_to("timestamp", ["2024-05-06 07:08:09"], lambda v, t: put_null(t)) == [None]


def test_every_password_becomes_the_dev_password_and_none_stays_none(apply_to: Any) -> None:
    got = apply_to("string", ["hunter2", "$2b$12$abc", "", None], lambda v, t: replace_password(v, t, password_hash="H"))
    assert got == ["H", "H", "H", None]


def test_a_password_is_text() -> None:
    with pytest.raises(ConfigurationError, match="int"):
        replace_password(F.lit(1), IntegerType(), password_hash="H")
