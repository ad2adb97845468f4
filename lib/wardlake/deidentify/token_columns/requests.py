"""What rules ask of the token mode: tokens and digests as expressions; the columns behind them come later.

Rules are turned into expressions first; what they need is noted. Then `attach` adds exactly that to the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import TokenMode
from wardlake.tokens.forms import kind_of

HIDDEN = "__wardlake_"
ROW = "__wardlake_row"  # what rows of one content share, where identifiers within arrays are looked up


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementKind:
    """Identifiers within arrays whose tokens look alike."""

    domain: str
    data_type: DataType
    prefix: str = ""


ListElements = Callable[[DataFrame], tuple[DataFrame, Mapping[ElementKind, Sequence[DataFrame]]]]


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


def require_no_format(identifier: Identifier) -> None:
    """Raise `ConfigurationError` for a format token within an array or map."""
    if identifier.elements and identifier.keep_format:
        raise ConfigurationError(
            what="A format token cannot be made within an array or map.", next_step="Use rule token, or `blocked`."
        )


def hidden_column(kind: str, column: Column, known: dict[str, Column]) -> Column:
    """A column kept aside under a name that no table has."""
    name = f"{HIDDEN}{kind}_{len(known)}"
    known[name] = column
    return F.col(name)


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
