"""Identifiers within URLs and file names."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, StringType

from wardlake.deidentify.rules.embedded import replace_embedded
from wardlake.model.errors import ConfigurationError


def shout(pattern: str, *, keep_rest: bool = True) -> Any:
    return lambda v, t: replace_embedded(
        v, t, pattern=pattern, token=lambda i: F.concat(F.lit("<"), F.upper(i), F.lit(">")), keep_rest=keep_rest
    )


def test_the_token_stands_where_the_identifier_stood(apply_to: Any) -> None:
    pattern = r"^/scans/([a-z0-9]+)/"
    values = ["/scans/p1/a.png", "/scans/p1/p1-front.png", None]
    assert apply_to("string", values, shout(pattern)) == ["/scans/<P1>/a.png", "/scans/<P1>/<P1>-front.png", None]


def test_the_rest_can_be_dropped(apply_to: Any) -> None:
    assert apply_to("string", ["report_p1_Smith.pdf"], shout(r"^report_([a-z0-9]+)_", keep_rest=False)) == ["<P1>"]


@pytest.mark.parametrize("text", ["Smith/front.png", "/scans/p1/x/scans/p2/", "/scans//a.png", ""])
def test_text_that_the_pattern_does_not_explain_does_not_pass(apply_to: Any, text: str) -> None:
    assert apply_to("string", [text], shout(r"/scans/([a-z0-9]*)/")) == [None]


@pytest.mark.parametrize("pattern", [r"/(a)/(b)/", r"/a/", r"(?<=x)(a)", r"(unclosed"])
def test_a_pattern_without_exactly_one_group_or_not_re2_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="embedded_tokens"):
        shout(pattern)(F.lit("x"), StringType())


def test_identifiers_are_embedded_in_text_only() -> None:
    with pytest.raises(ConfigurationError, match="int"):
        shout("(a)")(F.lit(1), IntegerType())
