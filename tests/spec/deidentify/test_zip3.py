"""ZIP codes: three digits of listed prefixes, `000` for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType
from ruamel.yaml import YAML

from wardlake.deidentify.rules.geography import cut_zip
from wardlake.model.errors import ConfigurationError

LIST = Path(__file__).parents[3] / "conf" / "disclosure" / "zip3_allowed.yaml"


def rule(value: Column, data_type: DataType) -> Column:
    return cut_zip(value, data_type, allowed={"197", "010"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("19720", "197"),
        ("19720-1234", "197"),
        ("197201234", "197"),
        (" 19720 ", "197"),
        ("1001", "010"),  # 01001 that lost its zero
        ("010011234", "010"),
        ("10011234", "010"),  # ZIP+4 that lost its zero
        ("1001.0", "010"),  # read as a number with a fraction
        ("00000", "000"),
        ("20301", "000"),  # a prefix that is not listed
        ("1972O", "000"),
        ("19720 Wilmington", "000"),
        ("SW1A 1AA", "000"),
        ("", "000"),
        (None, None),
    ],
)
def test_only_listed_prefixes_survive(apply_to: Any, before: str | None, after: str | None) -> None:
    assert apply_to("string", [before], rule) == [after]


def test_numbers_get_their_leading_zero_back(apply_to: Any) -> None:
    assert apply_to("int", ["19720", "1001", "197201234", "10011234", "0", "-19720"], rule) == [197, 10, 197, 10, 0, 0]
    assert apply_to("double", ["19720.0", "1001", "NaN", "1e300"], rule) == [197.0, 10.0, 0.0, 0.0]


def test_a_type_that_holds_no_zip_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="date"):
        cut_zip(F.lit(None), DateType(), allowed=set())


def test_the_list_holds_none_of_the_denied_prefixes_and_says_where_it_comes_from() -> None:
    conf = YAML(typ="safe").load(LIST.read_text())
    assert not set(conf["allowed"]) & set(conf["denied"])
    assert "000" not in conf["allowed"]
    assert len(conf["allowed"]) == len(set(conf["allowed"])) == 871
    assert all(len(prefix) == 3 and prefix.isdigit() for prefix in conf["allowed"])
    assert {"version", "source", "date", "method"} <= set(conf)


def test_every_denied_prefix_becomes_000(apply_to: Any) -> None:
    conf = YAML(typ="safe").load(LIST.read_text())
    zips = [f"{prefix}01" for prefix in conf["denied"]]
    assert set(apply_to("string", zips, lambda v, t: cut_zip(v, t, allowed=conf["allowed"]))) == {"000"}


@pytest.mark.parametrize("allowed", [{"197", "010"}, {"19" + digit for digit in "0123456789"}, set()])
def test_of_all_prefixes_the_listed_ones_survive_and_no_other(apply_to: Any, allowed: set[str]) -> None:
    every = [f"{prefix:03}" for prefix in range(1000)]
    cut = apply_to("string", [f"{prefix}01" for prefix in every], lambda value, kind: cut_zip(value, kind, allowed=allowed))
    assert cut == [prefix if prefix in allowed else "000" for prefix in every]


def test_of_all_prefixes_those_of_the_list_that_ships_survive(apply_to: Any) -> None:
    allowed = set(YAML(typ="safe").load(LIST.read_text())["allowed"])
    every = [f"{prefix:03}" for prefix in range(1000)]
    cut = apply_to("string", [f"{prefix}99" for prefix in every], lambda value, kind: cut_zip(value, kind, allowed=allowed))
    assert {prefix for prefix in cut if prefix != "000"} == allowed
