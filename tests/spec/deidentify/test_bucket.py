"""Numbers to the lower bound of their bucket."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from wardlake.deidentify.rules.coarser import bucket_number
from wardlake.model.errors import ConfigurationError


def of_width(width: float) -> Any:
    return lambda v, t: bucket_number(v, t, width=width, edges=())


def between(*edges: float) -> Any:
    return lambda v, t: bucket_number(v, t, width=None, edges=edges)


def test_a_number_becomes_the_lower_bound_of_its_step(becomes: Any) -> None:
    becomes("int", ["0", "4999", "5000", "-1", None], ["0", "0", "5000", "-5000", None], of_width(5000))
    becomes("double", ["39.66", "-75.58", "NaN", "Infinity"], ["39.5", "-76.0", None, None], of_width(0.5))
    becomes("decimal(10,2)", ["129.99", "130.00"], ["120.00", "130.00"], of_width(10))


def test_a_number_becomes_the_edge_below_it(becomes: Any) -> None:
    becomes("int", ["17", "18", "64", "65", "200", "-1"], ["0", "18", "18", "65", "65", None], between(0, 18, 65))


def test_text_stays_text_and_what_is_no_number_does_not_pass(becomes: Any) -> None:
    becomes("string", ["129.99", "39.6 N", "", "1e300"], ["120", None, None, None], of_width(10))
    becomes("string", ["39.66"], ["39.5"], of_width(0.5))


def test_a_type_that_holds_no_numbers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="date"):
        bucket_number(F.lit(None), DateType(), width=1, edges=())
