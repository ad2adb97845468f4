"""Changes out of PostgreSQL by logical decoding: a replication slot that remembers what was acknowledged."""

from __future__ import annotations

import secrets
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from typing import LiteralString

import psycopg
import psycopg2
from psycopg import sql
from psycopg2 import errorcodes
from psycopg2.extras import LogicalReplicationConnection

from wardlake.adapters.pgoutput import Committed, PgOutputDecoder
from wardlake.adapters.postgres_database import CONNECT_SECONDS
from wardlake.model.changes import Position, Row, RowChange, TableEmptied
from wardlake.model.errors import ChangesLost, ConfigurationError, StorageUnavailable
from wardlake.ports.change_stream import Batch

_FEEDBACK_SECONDS = 10.0
REQUIRE_SECONDS = 30.0
_ANSWER_SECONDS = 1.0  # for a server that has nothing to tell to say so
_MOST_ASKED = 5
_RELEASE_SECONDS = 5.0  # for the server to see that a reader has gone: until then it refuses the next
_END_OF_LOG: LiteralString = "SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn"
_SNAPSHOTS_AGAIN = (
    "take the practices' snapshots again: wardlake practices onboard --all --new-slot, "
    "or of the most urgent first: --practice P --new-slot, and of the others afterwards"
)
_COLUMNS = """
    SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum"""
_PUBLISHED = """
    SELECT t.tablename FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname
    WHERE t.pubname = %s AND t.schemaname = %s AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate"""
_CONFIRMED: LiteralString = "SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
_IS_READ_BY: LiteralString = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active_pid = %s"
_SILENT = "The source's database does not answer or refuses"
_GONE = (errorcodes.UNDEFINED_OBJECT, errorcodes.OBJECT_NOT_IN_PREREQUISITE_STATE)
_IDENTITIES = """
    SELECT c.relname, c.relreplident::text,
           ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY (%s)"""


class PostgresChanges:
    """The `ChangeStream` port over one slot with plug-in pgoutput. One reader at a time: the server refuses a second.

    `require`: raises where the source does not tell all that it must any more; asked while it is read, every 30 seconds at most.
    """

    def __init__(
        self,
        dsn: str,
        *,
        slot: str,
        publication: str,
        schema: str = "public",
        require: Callable[[psycopg.Connection], None] | None = None,
        require_seconds: float = REQUIRE_SECONDS,
    ) -> None:
        self._slot = slot
        self._decoder = PgOutputDecoder(schema)
        self._kept = 0  # of the server's log, which it may forget
        self._told_to = 0  # all that was committed before was read
        self._ahead: deque[bytes] = deque()  # messages that came instead of an answer
        self._asked = 0  # in vain
        self._beside: psycopg.Connection | None = None
        self._dsn = dsn
        self._require = require
        self._require_seconds = require_seconds
        self._required_at = time.monotonic()
        with _failures(slot):
            self._connection = psycopg2.connect(
                dsn, connection_factory=LogicalReplicationConnection, connect_timeout=CONNECT_SECONDS
            )
            self._reader = self._connection.get_backend_pid()
            self._cursor = self._connection.cursor()
            options = {"proto_version": "1", "publication_names": publication}
            self._cursor.start_replication(slot_name=slot, options=options, status_interval=_FEEDBACK_SECONDS)

    def mark(self) -> str:
        """Up to where the server's log is written. Raises as `require` does."""
        with _silenced():
            if self._require is not None and time.monotonic() - self._required_at >= self._require_seconds:
                self._require(self._other())
                self._required_at = time.monotonic()
            (end,) = next(iter(self._other().execute(_END_OF_LOG)))
        return str(int(end))

    def has_told(self, mark: str) -> bool:
        if self._told_to >= int(mark):
            return True
        if self._ahead or self._decoder.open is not None or self._told_to > self._kept:  # what may be forgotten is kept first
            return False
        with _failures(self._slot):
            self._ask(int(mark))
        if self._told_to < int(mark) and not self._ahead:
            self._asked += 1
        if self._asked >= _MOST_ASKED:  # the log ends within a record that nobody can read yet: a commit of nothing completes it
            self._asked = 0
            with _silenced():
                self._other().execute("SELECT pg_current_xact_id()")
        return self._told_to >= int(mark)

    def told_to(self, at: datetime) -> datetime | None:
        """The server's log holds every commit at once."""
        return at

    def read(self, *, most: int, seconds: float) -> Batch:
        changes: list[RowChange | TableEmptied] = []
        until = time.monotonic() + seconds
        with _failures(self._slot):
            while len(changes) < most:
                message = self._ahead.popleft() if self._ahead else self._next()
                if message is not None:
                    for said in self._decoder.decode(message):
                        if isinstance(said, Committed):
                            self._told_to = max(self._told_to, said.end)
                        else:
                            changes.append(said)
                elif (left := until - time.monotonic()) <= 0 or (changes and self._decoder.open is None):
                    break
                else:
                    select.select([self._cursor], [], [], min(left, _FEEDBACK_SECONDS))
        return Batch(tuple(changes), str(self._told_to) if self._told_to > self._kept else "")

    def _ask(self, mark: int) -> None:
        """Have the server say how far it is: while it reads through a large transaction it tells nothing for seconds."""
        until = time.monotonic() + _ANSWER_SECONDS
        self._cursor.send_feedback(reply=True, force=True)
        while self._told_to < mark:
            message = self._next()
            if message is not None:
                self._ahead.append(message)
                return
            left = until - time.monotonic()
            if left <= 0:
                return
            if self._told_to < mark:
                select.select([self._cursor], [], [], left)

    def _next(self) -> bytes | None:
        """The next message that is there. Where none is, nothing of ours was committed up to where the server is by now."""
        message = self._cursor.read_message()
        if message is not None:
            return bytes(message.payload)
        if not self._ahead and self._decoder.open is None:
            self._told_to = max(self._told_to, int(self._cursor.wal_end or 0))
        return None

    def _other(self) -> psycopg.Connection:
        """A connection for questions: the one that changes come by takes none."""
        if self._beside is None or self._beside.closed:
            self._beside = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                tcp_user_timeout=30_000,
                options="-c statement_timeout=30s",
            )
        return self._beside

    def acknowledge(self, end: str) -> None:
        self._kept = kept = int(end)
        with _failures(self._slot):
            self._cursor.send_feedback(write_lsn=kept, flush_lsn=kept, apply_lsn=kept, force=True)

    def close(self) -> None:
        self._connection.close()
        until = time.monotonic() + _RELEASE_SECONDS
        with suppress(psycopg.Error):
            while self._other().execute(_IS_READ_BY, [self._slot, self._reader]).fetchone() and time.monotonic() < until:
                time.sleep(0.02)
        if self._beside is not None:
            self._beside.close()


def publish(opened: psycopg.Connection, publication: str, tables: Sequence[str], *, schema: str = "public") -> None:
    """Make the publication of these tables where there is none: one that is there is its owners', and may have other readers.

    Raises `ConfigurationError` where this role may not: that takes the tables' owner, and CREATE on the database.
    """
    if opened.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", [publication]).fetchone():
        return
    named = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
    try:
        opened.execute(sql.SQL("CREATE PUBLICATION {} FOR TABLE {}").format(sql.Identifier(publication), named))
    except psycopg.errors.InsufficientPrivilege:
        raise ConfigurationError(
            what=f"There is no publication {publication}, and the capture's role may not make it.",
            next_step=f"have the owner of these tables publish them under that name: {', '.join(sorted(tables))}",
        ) from None


def create_slot(dsn: str, *, slot: str) -> None:
    """Make the slot where it is not there. Changes from then on are kept for it."""
    with administration(dsn) as opened:
        if not opened.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot]).fetchone():
            opened.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])


def drop_slot(dsn: str, *, slot: str) -> None:
    """Forget the slot: the source keeps nothing for it any more."""
    with administration(dsn) as opened:
        opened.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", [slot])


def slot_position(dsn: str, slot: str) -> str:
    """Up to where a slot's reader has acknowledged: for a new one, where it begins."""
    with administration(dsn) as opened:
        return str(int(next(iter(opened.execute(_CONFIRMED, [slot])))[0]))


def published_tables(opened: psycopg.Connection, publication: str, *, schema: str = "public") -> frozenset[str]:
    """Tables whose inserts, updates, deletes and truncations a publication tells."""
    found = opened.execute(_PUBLISHED, [publication, schema]).fetchall()
    return frozenset(str(row[0]) for row in found)


def require_going_on(dsn: str, slot: str, acknowledged: str) -> None:
    """Raise `ChangesLost` where the database stands before what was acknowledged: it was restored from a backup; or where
    the slot begins after it: somebody made it anew."""
    with administration(dsn) as opened:
        row = opened.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
        begins = opened.execute(_CONFIRMED, [slot]).fetchone()
    if row is not None and int(row[0]) < int(acknowledged):
        raise ChangesLost(
            "The source's position went back: it was restored to a time before what was captured.", next_step=_SNAPSHOTS_AGAIN
        )
    if begins is not None and begins[0] is not None and int(begins[0]) > int(acknowledged):
        raise ChangesLost(
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
            self._opened = held.enter_context(psycopg.connect(self._dsn, connect_timeout=CONNECT_SECONDS))
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


def columns_told_of_deleted_rows(
    opened: psycopg.Connection, tables: Sequence[str], *, schema: str = "public"
) -> dict[str, frozenset[str] | None]:
    """By table, the columns that a deleted row is told with (its replica identity): None for all of them."""
    found = opened.execute(_IDENTITIES, [schema, list(tables)]).fetchall()
    return {name: None if identity == "f" else frozenset(() if identity == "n" else columns) for name, identity, columns in found}


@contextmanager
def administration(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection for questions and orders, each committed by itself."""
    with _silenced(), psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS) as opened:
        yield opened


@contextmanager
def _silenced() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise _refused(error.sqlstate) from None
    except psycopg.Error as error:
        raise StorageUnavailable(f"{_SILENT}: {error.sqlstate or 'no connection'}") from None


@contextmanager
def _failures(slot: str) -> Iterator[None]:
    """Errors of the server by their SQLSTATE alone: messages may hold values."""
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode in _GONE:
            raise ChangesLost(
                "The source no longer holds the changes that come next: its replication slot is gone or was overrun.",
                which=[slot],
                next_step=_SNAPSHOTS_AGAIN,
            ) from None
        if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE:
            raise _refused(error.pgcode) from None
        raise StorageUnavailable(f"{_SILENT}: {error.pgcode or 'no connection'}", which=[slot]) from None


def _refused(code: str | None) -> ConfigurationError:
    """Waiting mends no right."""
    return ConfigurationError(
        what=f"The source's database refuses this to the capture's role: {code}.",
        next_step="the role needs REPLICATION, and SELECT on every table of conf/sources",
    )
