"""PostgreSQL's logical replication messages (plug-in `pgoutput`, protocol version 1) as changes of rows.

Format: PostgreSQL 15 documentation, 55.9, Logical Replication Message Formats. Values stay text, as PostgreSQL writes them. A
message that is not understood stops the stream: what is skipped would be lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from wardlake.model.changes import Operation, Position, RowChange, TableEmptied
from wardlake.model.errors import ContractBroken

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts its microseconds from here
_KEY, _OLD, _NEW = b"K", b"O", b"N"
_OPERATIONS = {b"I": Operation.INSERT, b"U": Operation.UPDATE, b"D": Operation.DELETE}
_NONE: frozenset[str] = frozenset()
_TEXT, _NULL, _UNSENT = b"tnu"


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction is over: all of its changes were told. `end` is what may be acknowledged once they are kept."""

    position: int
    end: int


@dataclass(frozen=True, slots=True)
class _Relation:
    """A table as the stream described it last. `key`: the columns that an old row holds where it is not told whole."""

    name: str
    columns: tuple[str, ...]
    key: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Transaction:
    commit: int
    at: datetime


@dataclass(slots=True)
class PgOutputDecoder:
    """Reads messages one after the other; tables and the open transaction are remembered between them."""

    schema: str
    relations: dict[int, _Relation] = field(default_factory=dict)
    open: _Transaction | None = None
    told: int = 0

    def decode(self, message: bytes) -> Sequence[RowChange | TableEmptied | Committed]:
        """What a message says, if anything is to be kept of it. Raises `ContractBroken` for one that is not understood."""
        reader = _Reader(message)
        try:
            kind = reader.take(1)
            if kind in _OPERATIONS:
                return (self._row(kind, reader),)
            return tuple(self._decode(kind, reader))
        except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
            raise ContractBroken(
                f"The source's stream of changes holds a message that cannot be read: {type(error).__name__}.",
                which=[f"message {message[:1]!r} of {len(message)} bytes"],
                next_step="Is the slot's plug-in pgoutput, and the database in UTF-8? Else take the practices' snapshots again.",
            ) from None

    def _decode(self, kind: bytes, reader: _Reader) -> Iterator[RowChange | TableEmptied | Committed]:
        match kind:
            case b"B":
                commit, at = reader.numbers("!qq")
                self.open, self.told = _Transaction(commit, _EPOCH + timedelta(microseconds=at)), 0
            case b"C":
                _, commit, end = reader.numbers("!bqq")
                self.open = None
                yield Committed(commit, end)
            case b"R":
                self._describe(reader)
            case b"T":
                yield from self._truncate(reader)
            case b"O" | b"Y" | b"M":
                return  # where a transaction came from, a type, an application's own message: nothing of a row
            case _:
                raise KeyError(kind)

    def _describe(self, reader: _Reader) -> None:
        (oid,) = reader.numbers("!I")
        schema, name = reader.text(), reader.text()
        _, count = reader.numbers("!cH")
        columns, key = [], set()
        for _ in range(count):
            (flags,) = reader.numbers("!B")
            column = reader.text()
            reader.numbers("!Ii")
            columns.append(column)
            if flags & 1:
                key.add(column)
        shown = name if schema == self.schema else f"{schema}.{name}"
        self.relations[oid] = _Relation(shown, tuple(columns), frozenset(key))

    def _row(self, kind: bytes, reader: _Reader) -> RowChange:
        relation, step = self.relations[int.from_bytes(reader.take(4), "big")], reader.take(1)
        old: dict[str, str | None] | None = None
        new: dict[str, str | None] | None = None
        unchanged = _NONE
        if step in (_KEY, _OLD):
            old, _ = reader.row(relation)
            if step == _KEY:
                old = {name: value for name, value in old.items() if name in relation.key}
            step = reader.take(1) if kind == b"U" else b""
        if step == _NEW:
            new, unchanged = reader.row(relation)
        elif kind != b"D":
            raise KeyError(step)
        if old is not None and new is not None:  # told whole, the old row has what the new one does not send again
            new |= {name: old[name] for name in unchanged if name in old}
            unchanged -= old.keys()
        at, position = self._next()
        return RowChange(
            table=relation.name,
            operation=_OPERATIONS[kind],
            position=position,
            committed_at=at,
            new=new,
            old=old,
            unchanged=unchanged,
        )

    def _truncate(self, reader: _Reader) -> Iterator[TableEmptied]:
        count, _ = reader.numbers("!IB")
        for oid in reader.numbers(f"!{count}I"):
            at, position = self._next()
            yield TableEmptied(table=self.relations[oid].name, position=position, committed_at=at)

    def _next(self) -> tuple[datetime, Position]:
        if self.open is None:
            raise KeyError("a change outside of a transaction")
        self.told += 1
        return self.open.at, Position(self.open.commit, self.told)


@dataclass(slots=True)
class _Reader:
    """The rest of a message."""

    message: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        taken = self.message[self.at : self.at + count]
        if len(taken) < count:
            raise IndexError
        self.at += count
        return taken

    def numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self.message, self.at)
        self.at += struct.calcsize(form)
        return found

    def text(self) -> str:
        end = self.message.index(b"\0", self.at) if b"\0" in self.message[self.at :] else -1
        if end < 0:
            raise IndexError
        found = self.message[self.at : end].decode()
        self.at = end + 1
        return found

    def row(self, relation: _Relation) -> tuple[dict[str, str | None], frozenset[str]]:
        """The values that were sent, and the columns that were not."""
        if int.from_bytes(self.take(2), "big") != len(relation.columns):
            raise IndexError
        values: dict[str, str | None] = {}
        unchanged = []
        message, at = self.message, self.at  # millions of rows come through here
        number = int.from_bytes
        for name in relation.columns:
            kind = message[at]
            if kind == _TEXT:
                begin = at + 5
                at = begin + number(message[at + 1 : begin], "big")
                values[name] = message[begin:at].decode()
                continue
            at += 1
            if kind == _NULL:
                values[name] = None
            elif kind == _UNSENT:
                unchanged.append(name)
            else:
                raise KeyError(kind)
        if at > len(message):
            raise IndexError
        self.at = at
        return values, frozenset(unchanged) if unchanged else _NONE
