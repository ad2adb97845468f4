"""Coarser values from a declared table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType

from wardlake.deidentify.rules.coarser import generalise_value
from wardlake.model.errors import ConfigurationError

TABLE = {"Catholic": "Christian", "Lutheran": "Christian", "Muslim": "Muslim"}


def by(to: Mapping[str, str], other: str | None, *, keep_numbers: bool = False) -> Any:
    return lambda v, t: generalise_value(v, t, to=to, other=other, keep_numbers=keep_numbers)


def test_declared_values_become_coarser_and_others_the_other(becomes: Any) -> None:
    before = ["Catholic", "Muslim", "catholic", "Jedi", "", None]
    becomes("string", before, ["Christian", "Muslim", "Other", "Other", "Other", None], by(TABLE, "Other"))


def test_without_an_other_undeclared_values_become_null(becomes: Any) -> None:
    becomes("string", ["Jedi"], [None], by(TABLE, None))
    becomes("string", ["Jedi"], [None], by({}, None))


def test_numbers_are_looked_up_and_stay_numbers(becomes: Any) -> None:
    becomes("int", ["1", "2", "7"], ["1", "1", "0"], by({"1": "1", "2": "1"}, "0"))


def test_plain_numbers_can_stay_while_words_need_declaring(becomes: Any) -> None:
    before = ["54.5", "-3", "Yes", "206 Stokes Lane", "19720-1234", "1e9", "302-555-0101"]
    becomes("string", before, ["54.5", "-3", "Yes", None, None, None, None], by({"Yes": "Yes"}, None, keep_numbers=True))


def test_a_type_without_declared_values_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="binary"):
        generalise_value(F.lit(b""), BinaryType(), to={}, other=None)
