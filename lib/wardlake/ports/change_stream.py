"""A source's changes, one transaction after the other, until they are acknowledged: at least once, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wardlake.model.changes import Position, Row, RowChange, TableEmptied


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes in their order. `end`: what may be acknowledged once they are kept; empty where no transaction ended among them.

    A long transaction comes in several batches: what was kept of one that is told again has the same positions.
    """

    changes: tuple[RowChange | TableEmptied, ...] = ()
    end: str = ""


class SourceRows(Protocol):
    """A source's rows at one moment. What its change stream tells as later is not in them, and all the rest is."""

    @property
    def position(self) -> Position: ...

    @property
    def taken_at(self) -> datetime: ...

    def practices(self, table: str, column: str) -> list[str]:
        """The different values of a column that names practices."""
        ...

    def rows(self, table: str, column: str, practice: str) -> Iterator[Row]:
        """One practice's rows of a table, each value as the change stream writes it."""
        ...


class ChangeStream(Protocol):
    """A position in a source's changes that survives its readers.

    Every method raises `StorageUnavailable` where the source does not answer, and `ContractBroken` where it no longer has what
    comes next: then nothing but a fresh snapshot closes the gap.
    """

    def read(self, *, most: int, seconds: float) -> Batch:
        """The next changes after at most `seconds`, about `most` of them; none where nothing was committed meanwhile."""
        ...

    def acknowledge(self, end: str) -> None:
        """Everything up to a batch's `end` is kept: the source may forget it, and no reader is told it again."""
        ...

    def close(self) -> None:
        """Let another reader take over; what was not acknowledged is told again."""
        ...


class Captures(Protocol):
    """Where changes come from: opened anew by every application that captures."""

    def begin(self, needed: Mapping[str, Sequence[str]]) -> str: ...

    def begin_again(self, needed: Mapping[str, Sequence[str]]) -> str: ...

    def open(self, needed: Mapping[str, Sequence[str]], *, acknowledged: str) -> ChangeStream: ...

    def rows(self) -> AbstractContextManager[SourceRows]: ...
