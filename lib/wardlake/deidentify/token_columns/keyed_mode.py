"""Keyed tokens for the rules: computed from the hidden key column, or looked up where a column's parents are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.deidentify.token_columns.requests import HIDDEN, Identifier, hidden_column, require_no_format
from wardlake.model.quoting import quote_name
from wardlake.tokens.format_preserving import format_token_column
from wardlake.tokens.keyed import attach_keys, detach_keys, digest_column, token_column
from wardlake.tokens.keyring import KeyUse
from wardlake.tokens.source import TokenSource


@dataclass(slots=True, kw_only=True)
class _Lookup:
    """One column's answers, computed once for each of its parents: hidden columns beside the parent's own, `key`."""

    column: str
    domain: str
    key: str
    answers: dict[str, Column] = field(default_factory=dict)


@dataclass(slots=True)
class KeyedTokens:
    """Tokens as expressions over the hidden key column, or looked up where a column's parents are few."""

    source: TokenSource
    parents: Mapping[str, DataFrame] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    digests: dict[str, Column] = field(default_factory=dict)
    lookups: dict[str, _Lookup] = field(default_factory=dict)

    def token(self, identifier: Identifier) -> Column:
        self.domains.add(identifier.domain)
        require_no_format(identifier)

        def compute(value: Column) -> Column:
            if identifier.keep_format:
                return format_token_column(value, domain=identifier.domain)
            return token_column(value, identifier.data_type, domain=identifier.domain, prefix=identifier.prefix)

        return self._looked_up(identifier, compute)

    def owner_digest(self, owner: Identifier) -> Column:
        self.domains.add(owner.domain)
        digest = digest_column(owner.value, domain=owner.domain, label=KeyUse.SURROGATE.value)
        return digest if owner.elements else self._once(digest)

    def date_digest(self, patient: Identifier) -> Column:
        self.domains.add(patient.domain)

        def compute(value: Column) -> Column:
            return digest_column(value, domain=patient.domain, label=KeyUse.DATE.value)

        return self._once(self._looked_up(patient, compute))

    def attach(self, df: DataFrame) -> DataFrame:
        if not self.domains:
            return df
        for lookup in self.lookups.values():
            df = df.join(F.broadcast(self._answers(lookup)), F.col(quote_name(lookup.column)) == F.col(lookup.key), "left")
        return attach_keys(df, self.source.ring, sorted(self.domains)).withColumns(self.digests)

    def _looked_up(self, identifier: Identifier, compute: Callable[[Column], Column]) -> Column:
        """What is computed of an identifier, once for each of its parents where they are few.

        Nothing is computed for a value without a parent, although it could be: generated code that holds both ways is too long
        for Java to compile, and took twice the time.
        """
        if identifier.column not in self.parents:
            return compute(identifier.value)
        number = len(self.lookups)
        lookup = self.lookups.setdefault(
            identifier.column,
            _Lookup(column=identifier.column, domain=identifier.domain, key=f"{HIDDEN}parent_{number}"),
        )
        answer = f"{lookup.key}_answer_{len(lookup.answers)}"
        lookup.answers[answer] = compute(F.col(lookup.key))
        unknown = F.raise_error(F.lit(f"a value of column {identifier.column} is not among its parents"))
        return F.when(identifier.value.isNotNull() & F.col(answer).isNull(), unknown).otherwise(F.col(answer))

    def _answers(self, lookup: _Lookup) -> DataFrame:
        parents = self.parents[lookup.column].toDF(lookup.key)
        return detach_keys(attach_keys(parents, self.source.ring, [lookup.domain]).withColumns(lookup.answers))

    def _once(self, digest: Column) -> Column:
        """A hidden column, so that a digest several rules read is computed once a row."""
        return hidden_column("digest", digest, self.digests)
