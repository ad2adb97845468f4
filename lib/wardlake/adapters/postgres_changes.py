"""Changes out of PostgreSQL by logical decoding: a replication slot that remembers what was acknowledged."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from typing import LiteralString

import psycopg
import psycopg2
from psycopg import sql
from psycopg2 import errorcodes
from psycopg2.extras import LogicalReplicationConnection

from wardlake.adapters.pgoutput import Committed, PgOutputDecoder
from wardlake.model.changes import Position, Row, RowChange, TableEmptied
from wardlake.model.errors import ContractBroken, StorageUnavailable
from wardlake.ports.change_stream import Batch

_FEEDBACK_SECONDS = 10.0
_SNAPSHOTS_AGAIN = "take the practices' snapshots again: wardlake practices onboard --all --new-slot"
_COLUMNS = """
    SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum"""
_PUBLISHED = """
    SELECT t.tablename FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname
    WHERE t.pubname = %s AND t.schemaname = %s AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate"""
_CONFIRMED: LiteralString = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
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
        self._kept = 0
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
        return Batch(tuple(changes), end or self._idle_end(changes))

    def _idle_end(self, changes: Sequence[object]) -> str:
        """Where nothing of ours was committed, the server need not keep what others wrote meanwhile."""
        told = int(self._cursor.wal_end or 0)
        return str(told) if not changes and self._decoder.open is None and told > self._kept else ""

    def acknowledge(self, end: str) -> None:
        self._kept = kept = int(end)
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


def slot_position(dsn: str, slot: str) -> str:
    """Up to where a slot's reader has acknowledged: for a new one, where it begins."""
    with _administration(dsn) as opened:
        return str(int(next(iter(opened.execute(_CONFIRMED, [slot])))[0]))


def published_tables(dsn: str, publication: str, *, schema: str = "public") -> frozenset[str]:
    """Tables whose inserts, updates, deletes and truncations a publication tells."""
    with _administration(dsn) as opened:
        found = opened.execute(_PUBLISHED, [publication, schema]).fetchall()
    return frozenset(str(row[0]) for row in found)


def require_going_on(dsn: str, slot: str, acknowledged: str) -> None:
    """Raise `ContractBroken` where the database stands before what was acknowledged: it was restored from a backup; or where
    the slot begins after it: somebody made it anew."""
    with _administration(dsn) as opened:
        row = opened.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
        begins = opened.execute(_CONFIRMED, [slot]).fetchone()
    if row is not None and int(row[0]) < int(acknowledged):
        raise ContractBroken(
            "The source's position went back: it was restored to a time before what was captured.", next_step=_SNAPSHOTS_AGAIN
        )
    if begins is not None and begins[0] is not None and int(begins[0]) > int(acknowledged):
        raise ContractBroken(
            "The replication slot begins after what was captured: it was made anew, and changes between are lost.",
            which=[slot],
            next_step=_SNAPSHOTS_AGAIN,
        )


class PostgresRows:
    """The `SourceRows` port over an exported snapshot, as a context: a temporary slot says exactly which commits are in it.

    Rows whose column is null belong to nobody and are not read.
    """

    def __init__(self, dsn: str, *, schema: str = "public") -> None:
        self._dsn = dsn
        self._schema = schema
        self._held = ExitStack()
        self._slot = f"wardlake_rows_{secrets.token_hex(4)}"

    def __enter__(self) -> PostgresRows:
        with _failures(self._slot), _silenced(), ExitStack() as held:
            replication = held.enter_context(
                closing(psycopg2.connect(self._dsn, connection_factory=LogicalReplicationConnection))
            )
            cursor = replication.cursor()
            cursor.execute(f"CREATE_REPLICATION_SLOT {self._slot} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
            _, consistent, exported, _ = cursor.fetchone()
            self._opened = held.enter_context(psycopg.connect(self._dsn, connect_timeout=5))
            self._opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._opened.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(exported)))
            self._taken_at: datetime = next(iter(self._opened.execute("SELECT now()")))[0]
            high, low = str(consistent).split("/")
            self._position = Position((int(high, 16) << 32) + int(low, 16) - 1, 0)  # before the first commit that is not in it
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with _silenced():
            self._held.close()

    @property
    def position(self) -> Position:
        return self._position

    @property
    def taken_at(self) -> datetime:
        return self._taken_at

    def practices(self, table: str, column: str) -> list[str]:
        names = {"column": sql.Identifier(column), "table": sql.Identifier(self._schema, table)}
        query = sql.SQL("SELECT DISTINCT {column}::text FROM {table} WHERE {column} IS NOT NULL ORDER BY 1").format(**names)
        with _silenced():
            return [str(row[0]) for row in self._opened.execute(query)]

    def rows(self, table: str, column: str, practice: str) -> Iterator[Row]:
        with _silenced(), self._opened.cursor() as cursor:
            columns = [str(each[0]) for each in cursor.execute(_COLUMNS, [self._schema, table])]
            names = {
                "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
                "table": sql.Identifier(self._schema, table),
                "column": sql.Identifier(column),
                "practice": sql.Literal(practice),
            }
            # COPY writes values by their types' output functions, as pgoutput does; a cast to text writes booleans otherwise.
            query = sql.SQL("COPY (SELECT {columns} FROM {table} WHERE {column}::text = {practice}) TO STDOUT").format(**names)
            with cursor.copy(query) as copy:
                for row in copy.rows():
                    yield dict(zip(columns, row, strict=True))


def columns_told_of_deleted_rows(dsn: str, tables: Sequence[str], *, schema: str = "public") -> dict[str, frozenset[str] | None]:
    """By table, the columns that a deleted row is told with (its replica identity): None for all of them."""
    with _administration(dsn) as opened:
        found = opened.execute(_IDENTITIES, [schema, list(tables)]).fetchall()
    return {name: None if identity == "f" else frozenset(() if identity == "n" else columns) for name, identity, columns in found}


@contextmanager
def _administration(dsn: str) -> Iterator[psycopg.Connection]:
    with _silenced(), psycopg.connect(dsn, autocommit=True, connect_timeout=5) as opened:
        yield opened


@contextmanager
def _silenced() -> Iterator[None]:
    try:
        yield
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
                next_step=_SNAPSHOTS_AGAIN,
            ) from None
        raise StorageUnavailable(f"{_SILENT}: {error.pgcode or 'no connection'}", which=[slot]) from None
