"""Trino, asked by the user who registers marts. What its errors say is withheld: it quotes statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

import requests
import trino

from wardlake.model.errors import ConfigurationError
from wardlake.ports.warehouse import WarehouseRefused, WarehouseUnavailable

SECONDS = 60.0
_HTTPS = 443
_DENIED = "PERMISSION_DENIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrinoAddress:
    """Where Trino is, who asks, and what its certificate is checked against: a file, or empty for the system's authorities."""

    url: str
    catalog: str
    user: str
    password: str = field(repr=False)
    authority: str = ""


class TrinoWarehouse:
    """The port `Warehouse`. Raises `ConfigurationError` for an address that is not of TLS: a password goes there."""

    def __init__(self, address: TrinoAddress) -> None:
        place = urlparse(address.url)
        if place.scheme != "https" or not place.hostname:
            raise ConfigurationError(
                what="The warehouse's address does not begin with https.", next_step="mend warehouse.url under conf/environments/"
            )
        self._address = address
        self._host, self._port = place.hostname, place.port or _HTTPS

    def tables(self, schema: str) -> Mapping[str, tuple[str, ...]]:
        of = f"FROM {_name(self._address.catalog)}.information_schema"
        where = f"WHERE table_schema = {_text(schema)}"
        with self._connection() as opened:
            names = _rows(opened, f"SELECT table_name {of}.tables {where}")
            found: dict[str, list[str]] = {str(row[0]): [] for row in names}
            for table, column in _rows(opened, f"SELECT table_name, column_name {of}.columns {where} ORDER BY ordinal_position"):
                found.setdefault(str(table), []).append(str(column))
        return {table: tuple(columns) for table, columns in sorted(found.items())}

    def register(self, schema: str, table: str, location: str) -> None:
        catalog = _name(self._address.catalog)
        with self._connection() as opened:
            _rows(opened, f"CREATE SCHEMA IF NOT EXISTS {catalog}.{_name(schema)}")
            _rows(opened, f"CALL {catalog}.system.register_table({_text(schema)}, {_text(table)}, {_text(location)})")

    @contextmanager
    def _connection(self) -> Iterator[trino.dbapi.Connection]:
        session = requests.Session()
        session.trust_env = False  # a bundle named by the environment would be preferred to ours
        session.verify = self._address.authority or True
        with _explained():
            opened = trino.dbapi.connect(  # type: ignore[no-untyped-call]
                host=self._host,
                port=self._port,
                http_scheme="https",
                auth=trino.auth.BasicAuthentication(self._address.user, self._address.password),
                user=self._address.user,
                catalog=self._address.catalog,
                http_session=session,
                source="wardlake",
                request_timeout=SECONDS,
            )
            try:
                yield opened
            finally:
                opened.close()


def _rows(opened: trino.dbapi.Connection, statement: str) -> Sequence[Sequence[Any]]:
    cursor = opened.cursor()
    cursor.execute(statement)
    rows: Sequence[Sequence[Any]] = cursor.fetchall()
    return rows


@contextmanager
def _explained() -> Iterator[None]:
    """Errors by their kind alone."""
    try:
        yield
    except trino.exceptions.TrinoQueryError as problem:
        if problem.error_name == _DENIED:
            raise WarehouseRefused("the warehouse's policies do not let this user") from None
        raise WarehouseUnavailable(f"the warehouse says {problem.error_name}") from None
    except (trino.exceptions.Error, trino.exceptions.HttpError, requests.RequestException) as problem:
        raise WarehouseUnavailable(f"the warehouse does not answer as it should: {type(problem).__name__}") from None


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
