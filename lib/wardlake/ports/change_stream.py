"""A source's changes, one transaction after the other, until they are acknowledged: at least once, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from wardlake.model.changes import Position, Row, RowChange, TableEmptied


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A part of the stream that cannot be read, and what must wait for it.

    `place` names it, `stamp` tells one content of it from another, `why` holds no value. `practice`: whose changes alone it can
    hold; None: nobody can know whose they are.
    """

    place: str
    table: str
    practice: str | None
    stamp: str
    why: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes in their order. `end`: what may be acknowledged once they are kept; empty where that is
    nothing.

    A long transaction comes in several batches: what was kept of one that is told again has the same positions. `damaged`: parts
    that were found unreadable meanwhile; `mended`: places set aside before that are told by now.
    """

    changes: tuple[RowChange | TableEmptied, ...] = ()
    end: str = ""
    damaged: tuple[Damaged, ...] = ()
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What is set aside of a stream when it is opened: the stamp of each place. `released`: stamps of those that people let go,
    to be told as they are. `practices`: the column by table that names a row's practice, by which a part is known to be one
    practice's alone."""

    stamps: Mapping[str, str] = field(default_factory=dict)
    released: Mapping[str, str] = field(default_factory=dict)
    practices: Mapping[str, str] = field(default_factory=dict)


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

    def mark(self) -> str:
        """Where the source's changes end now. Raises as `Captures.open` where it tells not all of them any more."""
        ...

    def has_told(self, mark: str) -> bool:
        """Whether all that was committed before a mark was read. A source that is silent may still be busy with it."""
        ...

    def told_to(self, at: datetime) -> datetime | None:
        """Up to when everything that was committed is told, once all is that was there at a moment; None where nobody can say."""
        ...

    def read(self, *, most: int, seconds: float) -> Batch:
        """The next changes after at most `seconds`, about `most` of them; none where nothing was told meanwhile."""
        ...

    def acknowledge(self, end: str) -> None:
        """Everything up to a batch's `end` is kept: the source may forget it, and no reader is told it again."""
        ...

    def close(self) -> None:
        """Let another reader take over; what was not acknowledged is told again."""
        ...


class Captures(Protocol):
    """Where changes come from: opened anew by every application that captures."""

    def prepare(self, needed: Mapping[str, Sequence[str]]) -> None: ...

    def begin(self, needed: Mapping[str, Sequence[str]]) -> str: ...

    def begin_again(self, needed: Mapping[str, Sequence[str]]) -> str: ...

    def open(self, needed: Mapping[str, Sequence[str]], *, acknowledged: str, aside: Aside | None = None) -> ChangeStream: ...

    def rows(self) -> AbstractContextManager[SourceRows]: ...
