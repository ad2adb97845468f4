"""Changes out of PostgreSQL by logical decoding: a replication slot that remembers what was acknowledged."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import psycopg2
from psycopg import sql
from psycopg2 import errorcodes
from psycopg2.extras import LogicalReplicationConnection

from wardlake.adapters.pgoutput import Committed, PgOutputDecoder
from wardlake.model.changes import RowChange, TableEmptied
from wardlake.model.errors import ContractBroken, StorageUnavailable
from wardlake.ports.change_stream import Batch

_FEEDBACK_SECONDS = 10.0
_SILENT = "The source's database does not answer or refuses"
_GONE = (errorcodes.UNDEFINED_OBJECT, errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE)
_IDENTITIES = """
    SELECT c.relname, c.relreplident::text,
           ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY (%s)"""


class PostgresChanges:
    """The `ChangeStream` port over one slot with plug-in pgoutput. One reader at a time: the server refuses a second."""

    def __init__(self, dsn: str, *, slot: str, publication: str, schema: str = "public") -> None:
        self._slot = slot
        self._decoder = PgOutputDecoder(schema)
        with _failures(slot):
            self._connection = psycopg2.connect(dsn, connection_factory=LogicalReplicationConnection, connect_timeout=5)
            self._cursor = self._connection.cursor()
            options = {"proto_version": "1", "publication_names": publication}
            self._cursor.start_replication(slot_name=slot, options=options, status_interval=_FEEDBACK_SECONDS)

    def read(self, *, most: int, seconds: float) -> Batch:
        changes: list[RowChange | TableEmptied] = []
        end, until = "", time.monotonic() + seconds
        with _failures(self._slot):
            while len(changes) < most:
                message = self._cursor.read_message()
                if message is not None:
                    for said in self._decoder.decode(message.payload):
                        if isinstance(said, Committed):
                            end = str(said.end)
                        else:
                            changes.append(said)
                elif (left := until - time.monotonic()) <= 0 or (changes and self._decoder.open is None):
                    break
                else:
                    select.select([self._cursor], [], [], min(left, _FEEDBACK_SECONDS))
        return Batch(tuple(changes), end)

    def acknowledge(self, end: str) -> None:
        kept = int(end)
        with _failures(self._slot):
            self._cursor.send_feedback(write_lsn=kept, flush_lsn=kept, apply_lsn=kept, force=True)

    def close(self) -> None:
        self._connection.close()


def create_slot(dsn: str, *, slot: str, publication: str, tables: Sequence[str], schema: str = "public") -> None:
    """Publish the tables and make the slot, where they are not there. Changes from then on are kept for it."""
    with _administration(dsn) as opened:
        if not opened.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", [publication]).fetchone():
            named = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
            opened.execute(sql.SQL("CREATE PUBLICATION {} FOR TABLE {}").format(sql.Identifier(publication), named))
        if not opened.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone():
            opened.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def drop_slot(dsn: str, *, slot: str, publication: str) -> None:
    """Forget the slot and the publication: the source keeps nothing for it any more."""
    with _administration(dsn) as opened:
        opened.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot])
        opened.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(publication)))


def columns_told_of_deleted_rows(dsn: str, tables: Sequence[str], *, schema: str = "public") -> dict[str, frozenset[str] | None]:
    """By table, the columns that a deleted row is told with (its replica identity): None for all of them."""
    with _administration(dsn) as opened:
        found = opened.execute(_IDENTITIES, [schema, list(tables)]).fetchall()
    return {name: None if identity == "f" else frozenset(() if identity == "n" else columns) for name, identity, columns in found}


@contextmanager
def _administration(dsn: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as opened:
            yield opened
    except psycopg.Error as error:
        raise StorageUnavailable(f"{_SILENT}: {error.sqlstate or 'no connection'}") from None


@contextmanager
def _failures(slot: str) -> Iterator[None]:
    """Errors of the server by their SQLSTATE alone: messages may hold values."""
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode in _GONE:
            raise ContractBroken(
                "The source no longer holds the changes that come next: its replication slot is gone or was overrun.",
                which=[slot],
                next_step="take the practices' snapshots again, with a new slot made before them",
            ) from None
        raise StorageUnavailable(f"{_SILENT}: {error.pgcode or 'no connection'}", which=[slot]) from None
