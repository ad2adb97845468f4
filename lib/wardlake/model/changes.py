"""Changes of rows at a source, in the order in which its transactions were committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Row = Mapping[str, str | None]  # every value as the source writes it; None for null
EPOCH = 2**64  # more than any position of PostgreSQL: positions after a source was begun again are greater than all before


class Operation(StrEnum):
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a change stands: its transaction's commit, as the source counts, and its number within the transaction, from 1.

    Positions of one source only grow, so the newest change of a row is the one with the greatest position. One that a source
    gives twice with another content means that the source was restored.
    """

    commit: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.commit >> 32:X}/{self.commit & 0xFFFFFFFF:X}#{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row of one table inserted, updated or deleted.

    `new`: the row after it, absent for a delete. `old`: what the source says of the row before it, whole or its key alone; absent
    for an insert and where the key stayed. `unchanged`: columns that `new` leaves out since the source did not send them again.
    `stays_within`: the source says that no practice but the row's is concerned.
    """

    table: str
    operation: Operation
    position: Position
    committed_at: datetime
    new: Row | None = None
    old: Row | None = None
    unchanged: frozenset[str] = frozenset()
    stays_within: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEmptied:
    """A table lost all rows at once (TRUNCATE): no change of a row says so."""

    table: str
    position: Position
    committed_at: datetime
