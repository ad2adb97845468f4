"""Messages of logical replication that a server rarely sends, or never."""

from __future__ import annotations

import struct

import pytest

from wardlake.adapters.pgoutput import Committed, PgOutputDecoder
from wardlake.model.changes import Position
from wardlake.model.errors import ContractBroken

BEGIN = b"B" + struct.pack("!qqI", 0x16_B374D848, 0, 7)
COMMIT = b"C" + struct.pack("!bqqq", 0, 0x16_B374D848, 0x16_B374D880, 0)
INSERT = b"I" + struct.pack("!I", 5) + b"N" + struct.pack("!H", 1) + b"t" + struct.pack("!I", 6) + b"secret"


def relation(schema: bytes = b"public", columns: tuple[bytes, ...] = (b"id",)) -> bytes:
    told = b"".join(b"\x01" + name + b"\0" + struct.pack("!Ii", 25, -1) for name in columns)
    return b"R" + struct.pack("!I", 5) + schema + b"\0visits\0" + b"d" + struct.pack("!H", len(columns)) + told


def decode(*messages: bytes) -> list[object]:
    decoder = PgOutputDecoder("public")
    return [said for message in messages for said in decoder.decode(message)]


def test_a_transaction_is_told_change_by_change_and_then_as_committed() -> None:
    change, committed = decode(BEGIN, relation(), INSERT, COMMIT)
    assert change.position == Position(0x16_B374D848, 1)
    assert str(change.position) == "16/B374D848#1"
    assert change.new == {"id": "secret"}
    assert committed == Committed(0x16_B374D848, 0x16_B374D880)


def test_a_table_of_another_schema_is_named_with_it() -> None:
    assert decode(BEGIN, relation(b"archive"), INSERT)[0].table == "archive.visits"


def test_origins_types_and_messages_of_applications_are_passed_over() -> None:
    assert decode(BEGIN, b"O" + bytes(8) + b"x\0", b"Y" + bytes(4) + b"a\0b\0", b"M" + bytes(20), COMMIT) == [
        Committed(0x16_B374D848, 0x16_B374D880)
    ]


@pytest.mark.parametrize(
    "messages",
    [
        (BEGIN, INSERT),  # of a table that was never described
        (relation(), INSERT),  # outside of a transaction
        (BEGIN, relation(), INSERT[:-3]),  # cut off
        (BEGIN, relation(columns=(b"id", b"more")), INSERT),  # fewer columns than described
        (BEGIN, relation(), INSERT.replace(b"t", b"b", 1)),  # a value in binary form
        (BEGIN, relation(), INSERT.replace(b"secret", b"secre\xff")),  # not UTF-8
        (BEGIN, b"R" + bytes(4) + b"public"),
        (BEGIN, b"S" + bytes(5)),  # streamed before its commit: never asked for
        (b"",),
    ],
)
def test_a_message_that_is_not_understood_stops_the_stream_and_shows_no_value(messages: tuple[bytes, ...]) -> None:
    with pytest.raises(ContractBroken, match="cannot be read") as stopped:
        decode(*messages)
    assert "secre" not in str(stopped.value)
