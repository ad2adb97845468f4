"""Identifiers inside URLs and file names."""

from __future__ import annotations

from collections.abc import Callable

import re2
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.column_types import is_text, unsuitable
from wardlake.model.errors import ConfigurationError


def replace_embedded(
    value: Column, data_type: DataType, *, pattern: str, token: Callable[[Column], Column], keep_rest: bool
) -> Column:
    """Put the token in the place of the identifier that `pattern`'s one group finds.

    Input: text; `token` gives the token of an identifier.
    Output: the text before the identifier, the token, the text behind; or the token alone where the rest is dropped.
    Guarantee: text in which the pattern finds nothing, or finds it twice, becomes null: what is not understood does not pass.
    """
    if not is_text(data_type):
        raise unsuitable("embedded_tokens", data_type)
    check_embedded_pattern(pattern)
    found = F.regexp_extract_all(value, F.lit(pattern), 1)
    identifier = F.get(found, F.lit(0))
    known = (F.size(found) == 1) & (F.length(identifier) > 0)
    if not keep_rest:
        return F.when(known, token(identifier))
    # the identifier may occur in the rest as well, so every place of it is replaced
    return F.when(known, F.replace(value, identifier, token(identifier)))


def check_embedded_pattern(pattern: str) -> None:
    """Refuse a pattern that is no RE2 expression with exactly one group."""
    try:
        groups = re2.compile(pattern).groups
    except re2.error as error:
        raise ConfigurationError(what=f"Rule embedded_tokens has a pattern that is not RE2: {error}") from None
    if groups != 1:
        raise ConfigurationError(
            what="Rule embedded_tokens needs a pattern with one group, round the identifier.",
            next_step="Write other groups as (?:...).",
        )
