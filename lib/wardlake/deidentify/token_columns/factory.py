"""The token columns of either token mode."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame

from wardlake.deidentify.token_columns.keyed_mode import KeyedTokens
from wardlake.deidentify.token_columns.random_mode import RandomTokens
from wardlake.deidentify.token_columns.requests import ListElements, TokenColumns
from wardlake.model.treatments import TokenMode
from wardlake.tokens.source import TokenSource


def token_columns(
    source: TokenSource, *, parents: Mapping[str, DataFrame] | None = None, list_elements: ListElements | None = None
) -> TokenColumns:
    """What makes a source's tokens.

    `list_elements` gives the rows with a column `ROW`, and by kind the identifiers within their arrays, maps and JSON arrays
    (`ROW`, `value`): random tokens are joined to these, since nothing can be joined inside of a row.

    `parents`: by column, the few identifiers that its values are among (one column, none twice, no null). Keyed tokens are then
    computed once for each of them and looked up; on a value that is not among them the job fails, naming the column.
    """
    match source.mode:
        case TokenMode.KEYED:
            return KeyedTokens(source, parents or {})
        case TokenMode.RANDOM:
            return RandomTokens(source, list_elements)
    raise ValueError(f"no such token mode: {source.mode}")
