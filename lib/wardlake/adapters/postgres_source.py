"""PostgreSQL over JDBC: every table, in parallel, from one exported transaction snapshot.

One connection holds a repeatable-read transaction open, exports its snapshot and keeps the tables from being rewritten. Each of
Spark's connections adopts that snapshot before it reads, so all of them see the database as of one moment. Ranges of the tuple
identifier divide a table among the readers: any table can be divided so, and no value enters a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pyspark.sql import DataFrame

from wardlake.adapters.postgres_database import CONNECT_SECONDS
from wardlake.model.errors import ContractBroken, WardlakeError
from wardlake.model.sources import SourceSpec, TableSpec
from wardlake.ports.sources import RawTable
from wardlake.ports.tables import Tables

_RELATIONS = """
    SELECT c.relname, c.relkind::text, (SELECT coalesce(max(pg_relation_size(t.relid)), 0) FROM pg_partition_tree(c.oid) t),
           pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND has_table_privilege(c.oid, 'SELECT') ORDER BY c.relname"""
_COLUMNS = """
    SELECT a.attname, t.typname, t.typtype::text, a.atttypmod, e.typname FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_POSITION = """
    SELECT pg_export_snapshot(), current_setting('server_version'), current_setting('block_size')::int,
           (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text"""
_AS_IS = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "bytea", "date", "timestamptz"}
    | {"timestamp"}
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A database role with its password, which stays out of `repr`."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Relation:
    name: str
    kind: str
    size: int


class PostgresSource:
    """The `OpenSource` port over one database schema (`read.schema`, else `public`)."""

    def __init__(self, source: SourceSpec, tables: Tables, credentials: Credentials, holder: psycopg.Connection) -> None:
        self._source = source
        self._tables = tables
        self._credentials = credentials
        self._holder = holder
        self._schema = source.read.get("schema", "public")
        self._readers = int(source.read.get("readers", "4"))
        self._bytes_per_reader = int(source.read.get("bytes_per_reader", str(64 << 20)))
        rows = holder.execute(_RELATIONS, [self._schema]).fetchall()
        self._relations = {r[0]: _Relation(r[0], r[1], max(r[2], r[3])) for r in rows}
        self._lock_tables()
        self._snapshot, self._server, self._block, self._lsn = holder.execute(_POSITION).fetchone() or ("", "", 0, "")

    @property
    def position(self) -> Mapping[str, str]:
        return {"lsn": self._lsn, "exported_snapshot": self._snapshot, "server_version": self._server}

    def table_names(self) -> tuple[str, ...]:
        declared = {(table.file or name): name for name, table in self._source.tables.items()}
        return tuple(sorted(declared.get(name, name) for name in self._relations))

    def read(self, table: TableSpec) -> RawTable:
        relation = self._relations[table.file or table.name]
        columns, name = self._select_list(relation), self._name(relation)
        parts = [f"(SELECT {columns} FROM {name} WHERE {part}) AS t" for part in self._parts(relation, table)]  # noqa: S608
        return RawTable(rows=reduce(DataFrame.unionAll, [self._read_part(part) for part in parts]))

    def _read_part(self, query: str) -> DataFrame:
        properties = {
            "user": self._credentials.user,
            "password": self._credentials.password,
            "driver": "org.postgresql.Driver",
            "fetchsize": self._source.read.get("fetchsize", "10000"),  # above 0 it also keeps the transaction open
            "sessionInitStatement": self._adopt(),
            "preferTimestampNTZ": "true",
        }
        return self._tables.spark.read.jdbc(self._source.location, query, properties=properties)

    def confirm(self, table: TableSpec, fault: str) -> str:
        raise ValueError(f"{table.name}: {fault}")

    def _adopt(self) -> str:
        return f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self._snapshot}'"

    def _lock_tables(self) -> None:
        """Keep `VACUUM FULL` and the like away: they would move rows between two readers' ranges."""
        for relation in self._relations.values():
            if relation.kind in ("r", "p"):
                name = sql.Identifier(self._schema, relation.name)
                self._holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(name))

    def _name(self, relation: _Relation) -> str:
        return sql.Identifier(self._schema, relation.name).as_string(self._holder)

    def _select_list(self, relation: _Relation) -> str:
        """Columns as Spark can hold them: what it cannot hold without loss comes as text."""
        rows = self._holder.execute(_COLUMNS, [self._schema, relation.name]).fetchall()
        return ", ".join(_selected(sql.Identifier(r[0]).as_string(self._holder), *r[1:]) for r in rows)

    def _parts(self, relation: _Relation, table: TableSpec) -> list[str]:
        """Conditions that each row meets exactly one of. Views have no tuple identifier: they are divided by a hash."""
        if relation.kind in ("r", "p", "m"):
            readers = min(self._readers, 1 + relation.size // self._bytes_per_reader)
            return _tid_ranges(readers, max(1, -(-relation.size // self._block // readers)))
        if table.partition_by:
            column = sql.Identifier(table.partition_by).as_string(self._holder)
            count = self._readers
            return [f"coalesce(abs(hashtext({column}::text)::bigint) % {count}, 0) = {part}" for part in range(count)]
        return ["TRUE"]


@contextmanager
def open_postgres(source: SourceSpec, tables: Tables, credentials: Credentials) -> Iterator[PostgresSource]:
    """Hold one transaction snapshot of the database for as long as the source is read."""
    try:
        holder = psycopg.connect(_target(source.location, credentials), connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError:
        raise WardlakeError(
            "The source database does not answer or refuses the credentials.",
            which=[source.location.partition("?")[0]],
            next_step="Check the address, that the server is up, and the secret that conf/sources refers to.",
        ) from None
    with holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.read_only = True
        try:
            opened = PostgresSource(source, tables, credentials, holder)
        except psycopg.Error as error:
            raise ContractBroken(
                f"The source database cannot be read: SQLSTATE {error.sqlstate}.",
                which=[source.name],
                next_step="The role needs SELECT on every table of the schema.",
            ) from None
        yield opened


def _target(location: str, credentials: Credentials) -> str:
    """psycopg's connection string from a JDBC URL without credentials."""
    parts = urlsplit(location.removeprefix("jdbc:"))
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return make_conninfo(
        host=parts.hostname or "localhost",
        port=parts.port or 5432,
        dbname=parts.path.lstrip("/"),
        user=credentials.user,
        password=credentials.password,
        **{key: asked[key] for key in ("sslmode", "sslrootcert") if key in asked},
    )


def _selected(column: str, kind: str, category: str, modifier: int, element: str | None) -> str:
    """One item of the select list. Numbers without a declared scale, documents and own types come as text."""
    if category == "c":
        return f"to_json({column})::text AS {column}"
    if kind == "numeric" and modifier != -1:
        return column
    if element is not None:
        return column if element in _AS_IS - {"bytea"} else f"to_json({column})::text AS {column}"
    return column if kind in _AS_IS else f"{column}::text AS {column}"


def _tid_ranges(readers: int, step: int) -> list[str]:
    """Ranges of blocks; the last is open, since a table may have grown since it was measured."""
    edges = [f"'({part * step},0)'::tid" for part in range(1, readers)]
    if not edges:
        return ["TRUE"]
    middle = [f"ctid >= {low} AND ctid < {high}" for low, high in pairwise(edges)]
    return [f"ctid < {edges[0]}", *middle, f"ctid >= {edges[-1]}"]
