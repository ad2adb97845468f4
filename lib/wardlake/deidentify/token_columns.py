"""Tokens and digests for the rules, whichever the token mode: rules ask for expressions, the columns behind come later.

Rules are turned into expressions first; they note here what they need. Then `attach` adds exactly that to the rows:
keyed tokens need the hidden key column only, random ones are joined from the mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.model.errors import ConfigurationError
from wardlake.model.quoting import quote_name
from wardlake.model.treatments import TokenMode
from wardlake.tokens.format_preserving import format_token_column
from wardlake.tokens.forms import kind_of
from wardlake.tokens.keyed import attach_keys, detach_keys, digest_column, token_column
from wardlake.tokens.keyring import KeyUse
from wardlake.tokens.source import TokenRequest, TokenSource, tokenise

_HIDDEN = "__wardlake_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A value that is to be tokenised.

    `column`: the table's column that it is, as it stands; empty for any other value. `elements`: it lies within an array, map or
    JSON array of the row.
    """

    value: Column
    data_type: DataType
    domain: str
    prefix: str = ""
    keep_format: bool = False
    elements: bool = False
    column: str = ""


class TokenColumns(Protocol):
    """What rules ask of the token mode."""

    def token(self, identifier: Identifier) -> Column:
        """The identifier's token, of its own type."""
        ...

    def owner_digest(self, owner: Identifier) -> Column:
        """64 hexadecimal digits to draw surrogates by: the same for the same owner."""
        ...

    def date_digest(self, patient: Identifier) -> Column:
        """64 hexadecimal digits to draw a date offset by, which no reader of tokens can compute."""
        ...

    def attach(self, df: DataFrame) -> DataFrame:
        """`df` with the hidden columns that the expressions asked for read: same rows, no more."""
        ...


@dataclass(slots=True, kw_only=True)
class _Lookup:
    """One column's answers, computed once for each of its parents: hidden columns beside the parent's own, `key`."""

    column: str
    domain: str
    key: str
    answers: dict[str, Column] = field(default_factory=dict)


def token_columns(source: TokenSource, parents: Mapping[str, DataFrame] | None = None) -> TokenColumns:
    """The token columns of a source's mode.

    `parents`: by column, the few identifiers that its values are among (one column, none twice, no null). Keyed tokens are then
    computed once for each of them and looked up; on a value that is not among them the job fails, naming the column.
    """
    match source.mode:
        case TokenMode.KEYED:
            return KeyedTokens(source, parents or {})
        case TokenMode.RANDOM:
            return RandomTokens(source)
    raise ValueError(f"no such token mode: {source.mode}")


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
        if identifier.elements and identifier.keep_format:
            raise ConfigurationError(
                what="A format token cannot be made within an array or map.", next_step="Use rule token, or `blocked`."
            )

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
            _Lookup(column=identifier.column, domain=identifier.domain, key=f"{_HIDDEN}parent_{number}"),
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
        return _hidden("digest", digest, self.digests)


@dataclass(slots=True)
class RandomTokens:
    """Tokens joined from the mapping, by requests that `attach` fulfils in one go.

    Surrogates and date offsets are drawn by the random token, so that they too come from nothing but chance (45 CFR
    164.514(c)(1)): a surrogate by its plain digest, an offset by its keyed one, since tokens are public and offsets are not.
    """

    source: TokenSource
    values: dict[str, Column] = field(default_factory=dict)
    requests: list[TokenRequest] = field(default_factory=list)
    date_domains: set[str] = field(default_factory=set)
    digests: dict[str, Column] = field(default_factory=dict)

    def token(self, identifier: Identifier) -> Column:
        if identifier.elements:
            raise ConfigurationError(
                what="Random tokens cannot be looked up within an array or map.",
                next_step="Block the field, or use token mode keyed where the profile allows it.",
            )
        kind_of(identifier.data_type, keep_format=identifier.keep_format)
        number = len(self.values)
        column, output = f"{_HIDDEN}value_{number}", f"{_HIDDEN}token_{number}"
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
        return _hidden("digest", digest, self.digests)

    def attach(self, df: DataFrame) -> DataFrame:
        if self.requests:
            df = tokenise(df.withColumns(self.values), self.requests, self.source)
        if self.date_domains:
            df = detach_keys(attach_keys(df, self.source.ring, sorted(self.date_domains)).withColumns(self.digests))
        return df


@dataclass(slots=True)
class IdentifierRecorder:
    """Notes what would be tokenised and gives nulls: for listing identifiers, not for making a table."""

    mode: TokenMode
    identifiers: list[Identifier] = field(default_factory=list)

    def token(self, identifier: Identifier) -> Column:
        kind_of(identifier.data_type, keep_format=identifier.keep_format)
        if not identifier.elements:
            self.identifiers.append(identifier)
        return F.lit(None).cast(identifier.data_type)

    def owner_digest(self, owner: Identifier) -> Column:
        return self.token(owner).cast("string") if self.mode is TokenMode.RANDOM else F.lit(None).cast("string")

    def date_digest(self, patient: Identifier) -> Column:
        return self.owner_digest(patient)

    def attach(self, df: DataFrame) -> DataFrame:
        return df


def _hidden(kind: str, column: Column, known: dict[str, Column]) -> Column:
    name = f"{_HIDDEN}{kind}_{len(known)}"
    known[name] = column
    return F.col(name)
