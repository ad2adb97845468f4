"""One way to tokenise for both modes: expressions where tokens are keyed, a join on the mapping where they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyspark.sql.functions as F
from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StringType

from wardlake.model.quoting import quote_name
from wardlake.model.treatments import TokenMode
from wardlake.tokens.format_preserving import format_token_column
from wardlake.tokens.forms import kind_of, shown_column
from wardlake.tokens.keyed import attach_keys, detach_keys, token_column
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.mapping import Mappings, lookup_column


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A column to be tokenised. `output` names the column that receives the token; empty: the same one."""

    column: str
    domain: str
    data_type: DataType
    prefix: str = ""
    keep_format: bool = False
    output: str = ""

    @property
    def target(self) -> str:
        return self.output or self.column


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where tokens come from: the ring, and in random mode the mapping too."""

    mode: TokenMode
    ring: KeyRing
    mappings: Mappings | None = None


def tokenise(df: DataFrame, requests: Sequence[TokenRequest], source: TokenSource) -> DataFrame:
    """`df` with every requested column replaced by tokens: same rows, same columns in the same order, plus new outputs.

    In random mode the mapping must hold every identifier (`update_mapping`): on one that it does not hold the job fails,
    naming the domain.
    """
    if not requests:
        return df
    columns = [*df.columns, *(r.target for r in requests if r.target not in df.columns)]
    match source.mode:
        case TokenMode.KEYED:
            return _tokenise_by_key(df, requests, source.ring).select(*map(quote_name, columns))
        case TokenMode.RANDOM:
            return _tokenise_by_mapping(df, requests, source).select(*map(quote_name, columns))
        case _:
            raise ValueError(f"no such token mode: {source.mode}")


def _tokenise_by_key(df: DataFrame, requests: Sequence[TokenRequest], ring: KeyRing) -> DataFrame:
    tokens = {}
    for request in requests:
        value = F.col(quote_name(request.column))
        if request.keep_format:
            tokens[request.target] = format_token_column(value, domain=request.domain)
        else:
            tokens[request.target] = token_column(value, request.data_type, domain=request.domain, prefix=request.prefix)
    return detach_keys(attach_keys(df, ring, [r.domain for r in requests]).withColumns(tokens))


def _tokenise_by_mapping(df: DataFrame, requests: Sequence[TokenRequest], source: TokenSource) -> DataFrame:
    if source.mappings is None:
        raise ValueError("random tokens come from a mapping")
    lookups = {
        f"__lookup_{number}": lookup_column(F.col(quote_name(r.column)), r.data_type, domain=r.domain, keep_format=r.keep_format)
        for number, r in enumerate(requests)
    }
    rows = detach_keys(attach_keys(df, source.ring, [r.domain for r in requests]).withColumns(lookups))
    for number, request in enumerate(requests):
        rows = _join_mapping(rows, request, number, source.mappings, source.ring.keys[request.domain].version)
    return rows.withColumns({r.target: F.col(f"__token_{number}") for number, r in enumerate(requests)})


def _join_mapping(rows: DataFrame, request: TokenRequest, number: int, mappings: Mappings, version: int) -> DataFrame:
    lookup, bare, token = f"__lookup_{number}", f"__bare_{number}", f"__token_{number}"
    kind = kind_of(request.data_type, keep_format=request.keep_format)
    drawn = mappings.rows_of(request.domain, mode=TokenMode.RANDOM, key_version=version)
    known = drawn.filter(F.col("kind") == kind)
    joined = rows.join(known.select(F.col("lookup").alias(lookup), F.col("token").alias(bare)), lookup, "left")
    value = F.col(quote_name(request.column))
    shown = shown_column(F.col(bare), value, request.data_type, prefix=request.prefix, keep_format=request.keep_format)
    unknown = F.raise_error(F.lit(f"an identifier is not in the mapping {mappings.purpose}/{request.domain}"))
    nobody = F.left(value, F.lit(0)) if isinstance(request.data_type, StringType) else F.lit(None)
    token_or_stop = F.when(F.col(bare).isNull(), unknown.cast(request.data_type)).otherwise(shown)
    return joined.withColumn(token, F.when(F.col(lookup).isNull(), nobody).otherwise(token_or_stop))
