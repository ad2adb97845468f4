"""Opens a source by its kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wardlake.adapters.csv_source import CsvSource
from wardlake.adapters.delta_source import DeltaSource
from wardlake.adapters.parquet_source import ParquetSource
from wardlake.adapters.postgres_source import Credentials, open_postgres
from wardlake.model.errors import ConfigurationError
from wardlake.model.sources import SourceKind, SourceSpec
from wardlake.ports.sources import OpenSource
from wardlake.ports.tables import Tables


class SparkSources:
    """The `Sources` port. `secret` turns a reference into the secret: `user:password` or `{"user": ..., "password": ...}`."""

    def __init__(self, tables: Tables, *, secret: Callable[[str], str]) -> None:
        self._tables = tables
        self._secret = secret

    @contextmanager
    def open(self, source: SourceSpec) -> Iterator[OpenSource]:
        """The source at one moment; raises `ContractBroken` or `ConfigurationError`."""
        match source.kind:
            case SourceKind.CSV:
                yield CsvSource(source, self._tables)
            case SourceKind.PARQUET:
                yield ParquetSource(source, self._tables)
            case SourceKind.DELTA:
                yield DeltaSource(source, self._tables)
            case SourceKind.POSTGRES:
                with open_postgres(source, self._tables, credentials(source.secret, self._secret)) as opened:
                    yield opened
            case _:
                raise ValueError(source.kind)


def credentials(reference: str, secret: Callable[[str], str]) -> Credentials:
    """A database role from a secret by reference."""
    text = secret(reference) if reference else ""
    if text.startswith("{"):
        document = json.loads(text)
        return Credentials(str(document.get("user", "")), str(document.get("password", "")))
    user, colon, password = text.partition(":")
    if not colon:
        raise ConfigurationError(what="The source's secret is not `user:password`.", next_step=f"mend {reference or 'secret'}")
    return Credentials(user, password)
