"""Random tokens for the rules: joined from the mapping, also to the identifiers within arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from wardlake.deidentify.token_columns.requests import (
    HIDDEN,
    ROW,
    ElementKind,
    Identifier,
    ListElements,
    hidden_column,
    require_no_format,
)
from wardlake.tokens.forms import identifier_text, kind_of
from wardlake.tokens.keyed import attach_keys, detach_keys, digest_column
from wardlake.tokens.keyring import KeyUse
from wardlake.tokens.source import TokenRequest, TokenSource, tokenise


@dataclass(slots=True)
class RandomTokens:
    """Tokens joined from the mapping, by requests that `attach` fulfils in one go.

    Surrogates and date offsets are drawn by the random token, so that they too come from nothing but chance (45 CFR
    164.514(c)(1)): a surrogate by its plain digest, an offset by its keyed one, since tokens are public and offsets are not.
    """

    source: TokenSource
    list_elements: ListElements | None = None
    among: dict[ElementKind, str] = field(default_factory=dict)  # by kind, the hidden column: a row's identifiers to their tokens
    values: dict[str, Column] = field(default_factory=dict)
    requests: list[TokenRequest] = field(default_factory=list)
    date_domains: set[str] = field(default_factory=set)
    digests: dict[str, Column] = field(default_factory=dict)

    def token(self, identifier: Identifier) -> Column:
        kind_of(identifier.data_type, keep_format=identifier.keep_format)  # refuses types that have no token
        if identifier.elements:
            return self._among_the_row_s(identifier)
        number = len(self.values)
        column, output = f"{HIDDEN}value_{number}", f"{HIDDEN}token_{number}"
        self.values[column] = identifier.value
        request = TokenRequest(
            column=column,
            domain=identifier.domain,
            data_type=identifier.data_type,
            prefix=identifier.prefix,
            keep_format=identifier.keep_format,
            output=output,
        )
        self.requests.append(request)
        return F.col(output)

    def owner_digest(self, owner: Identifier) -> Column:
        return F.sha2(F.concat(F.lit("surrogate "), self.token(owner).cast("string")), 256)

    def date_digest(self, patient: Identifier) -> Column:
        self.date_domains.add(patient.domain)
        digest = digest_column(self.token(patient), domain=patient.domain, label=KeyUse.DATE.value)
        return hidden_column("digest", digest, self.digests)

    def attach(self, df: DataFrame) -> DataFrame:
        if self.among and self.list_elements is not None:
            df = self._join_elements(*self.list_elements(df))
        if self.requests:
            df = tokenise(df.withColumns(self.values), self.requests, self.source)
        if self.date_domains:
            df = detach_keys(attach_keys(df, self.source.ring, sorted(self.date_domains)).withColumns(self.digests))
        return df

    def _among_the_row_s(self, identifier: Identifier) -> Column:
        require_no_format(identifier)
        if self.list_elements is None:
            raise ValueError("nobody lists the identifiers within arrays")
        kind = ElementKind(domain=identifier.domain, data_type=identifier.data_type, prefix=identifier.prefix)
        tokens = F.col(self.among.setdefault(kind, f"{HIDDEN}tokens_{len(self.among)}"))
        text = identifier_text(identifier.value, identifier.data_type)
        nobody = F.left(identifier.value, F.lit(0)) if isinstance(identifier.data_type, StringType) else F.lit(None)
        unknown = F.raise_error(F.lit(f"an identifier within an array of the row has no token of domain {identifier.domain}"))
        return F.when(text.isNull(), nobody).otherwise(F.coalesce(F.element_at(tokens, text), unknown.cast(identifier.data_type)))

    def _join_elements(self, rows: DataFrame, listed: Mapping[ElementKind, Sequence[DataFrame]]) -> DataFrame:
        for kind, column in self.among.items():
            values = reduce(DataFrame.unionAll, listed[kind]).distinct().where("value IS NOT NULL")
            request = TokenRequest(
                column="value", domain=kind.domain, data_type=kind.data_type, prefix=kind.prefix, output="token"
            )
            text = identifier_text(F.col("value"), kind.data_type)
            pair = F.struct(text.alias("text"), F.col("token")).alias("pair")
            pairs = tokenise(values, [request], self.source).select(ROW, pair).where("pair.text IS NOT NULL")
            tokens = pairs.groupBy(ROW).agg(F.map_from_entries(F.collect_list("pair")).alias(column))
            rows = rows.join(tokens, ROW, "left")
        return rows
