"""Coarser values from a declared table."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType

from wardlake.deidentify.coarser import generalise_value
from wardlake.model.errors import ConfigurationError

TABLE = {"Catholic": "Christian", "Lutheran": "Christian", "Muslim": "Muslim"}


def test_declared_values_become_coarser_and_others_the_other(apply_to: Any) -> None:
    values = ["Catholic", "Muslim", "catholic", "Jedi", "", None]
    got = apply_to("string", values, lambda v, t: generalise_value(v, t, to=TABLE, other="Other"))
    assert got == ["Christian", "Muslim", "Other", "Other", "Other", None]


def test_without_an_other_undeclared_values_become_null(apply_to: Any) -> None:
    assert apply_to("string", ["Jedi"], lambda v, t: generalise_value(v, t, to=TABLE, other=None)) == [None]
    assert apply_to("string", ["Jedi"], lambda v, t: generalise_value(v, t, to={}, other=None)) == [None]


def test_numbers_are_looked_up_and_stay_numbers(apply_to: Any) -> None:
    got = apply_to("int", ["1", "2", "7"], lambda v, t: generalise_value(v, t, to={"1": "1", "2": "1"}, other="0"))
    assert got == [1, 1, 0]


def test_plain_numbers_can_stay_while_words_need_declaring(apply_to: Any) -> None:
    values = ["54.5", "-3", "Yes", "206 Stokes Lane", "19720-1234", "1e9", "302-555-0101"]
    got = apply_to("string", values, lambda v, t: generalise_value(v, t, to={"Yes": "Yes"}, other=None, keep_numbers=True))
    assert got == ["54.5", "-3", "Yes", None, None, None, None]


def test_a_type_without_declared_values_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="binary"):
        generalise_value(F.lit(b""), BinaryType(), to={}, other=None)
