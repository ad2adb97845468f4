"""Opens what practices are captured from, by its kind: the stream of changes, and the rows that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg

from wardlake.adapters.change_files import ChangeColumns, ChangeFiles
from wardlake.adapters.postgres_changes import (
    REQUIRE_SECONDS,
    PostgresChanges,
    PostgresRows,
    administration,
    columns_told_of_deleted_rows,
    create_slot,
    drop_slot,
    publish,
    published_tables,
    require_going_on,
    slot_position,
)
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.practices import FileCapture, PostgresCapture
from wardlake.ports.change_stream import Aside, ChangeStream, SourceRows


class Captures:
    """The `Captures` port. `secret` turns a reference into a connection string; `state` is where files are remembered.

    `require_seconds`: how often a database that is read is asked whether it still tells all that it must.
    """

    def __init__(
        self,
        capture: PostgresCapture | FileCapture,
        *,
        secret: Callable[[str], str],
        state: Path,
        require_seconds: float = REQUIRE_SECONDS,
    ) -> None:
        self._capture = capture
        self._secret = secret
        self._state = state
        self._require_seconds = require_seconds

    def prepare(self, needed: Mapping[str, Sequence[str]]) -> None:
        """Have the source publish these tables where nothing is published yet: all that `begin` needs before there is a slot.

        `needed` are the columns by table that a deleted row must be told with. Raises `ConfigurationError` where a table does not
        tell these or nobody may publish it, `ContractBroken` where a publication leaves something out.
        """
        if isinstance(found := self._capture, PostgresCapture):
            with administration(self._secret(found.dsn)) as opened:
                _require_told(opened, found, needed)
                publish(opened, found.publication, list(needed), schema=found.schema)
                _require_published(opened, found, needed)

    def begin(self, needed: Mapping[str, Sequence[str]]) -> str:
        """Have the source keep changes of these tables from now on; returns what to acknowledge first. Raises as `prepare`."""
        self.prepare(needed)
        return self._keep()

    def begin_again(self, needed: Mapping[str, Sequence[str]]) -> str:
        """The same with a new slot: what was not captured by then comes with new snapshots."""
        self.prepare(needed)
        if isinstance(found := self._capture, PostgresCapture):
            drop_slot(self._secret(found.dsn), slot=found.slot)
        return self._keep()

    def _keep(self) -> str:
        match self._capture:
            case FileCapture():
                return "0"
            case PostgresCapture() as found:
                dsn = self._secret(found.dsn)
                create_slot(dsn, slot=found.slot)
                return slot_position(dsn, found.slot)
        raise AssertionError

    def open(self, needed: Mapping[str, Sequence[str]], *, acknowledged: str, aside: Aside | None = None) -> ChangeStream:
        """The stream of changes after what was acknowledged; a slot that was lost is never made anew here.

        `aside`: files that were found damaged; a database's stream has none.

        Raises `ConfigurationError` as `begin` does, `ContractBroken` where the source lost or went behind what comes next, or
        does not publish a table. The stream's `mark` raises the same where the source stops to tell something.
        """
        match self._capture:
            case FileCapture() as files:
                columns = ChangeColumns(
                    operation=files.operation,
                    position=files.position,
                    at=files.at,
                    late=timedelta(minutes=files.late_minutes),
                    heartbeat=files.heartbeat,
                )
                self._state.parent.mkdir(parents=True, exist_ok=True)
                return ChangeFiles(Path(files.folder), self._state, columns=columns, needed=needed, aside=aside)
            case PostgresCapture() as found:
                dsn = self._secret(found.dsn)
                require = partial(_require_whole, capture=found, needed=needed)
                require_going_on(dsn, found.slot, acknowledged)
                stream = PostgresChanges(
                    dsn,
                    slot=found.slot,
                    publication=found.publication,
                    schema=found.schema,
                    require=require,
                    require_seconds=self._require_seconds,
                )
                try:
                    with administration(dsn) as opened:
                        require(opened)
                except BaseException:
                    stream.close()
                    raise
                return stream
        raise AssertionError

    @contextmanager
    def rows(self) -> Iterator[SourceRows]:
        """The source's rows at one position of its stream. A migration service drops them as files itself."""
        if not isinstance(self._capture, PostgresCapture):
            raise ConfigurationError(
                what="Change files bring a practice's first rows themselves: there is no database to read them from.",
                next_step="have the migration service load the practice in full; where nobody let it in yet: --no-snapshot",
            )
        with PostgresRows(self._secret(self._capture.dsn), schema=self._capture.schema) as opened:
            yield opened


def _require_whole(opened: psycopg.Connection, capture: PostgresCapture, needed: Mapping[str, Sequence[str]]) -> None:
    """That the source still tells all of these tables: its owners may take any of it back at any time."""
    _require_told(opened, capture, needed)
    _require_published(opened, capture, needed)


def _require_published(opened: psycopg.Connection, capture: PostgresCapture, needed: Mapping[str, Sequence[str]]) -> None:
    missing = sorted(needed.keys() - published_tables(opened, capture.publication, schema=capture.schema))
    if missing:
        raise ContractBroken(
            "The publication leaves out tables or kinds of change that are to be captured.",
            which=missing,
            next_step="add them to the publication, for every kind of change; then wardlake practices onboard --all --new-slot",
        )


def _require_told(opened: psycopg.Connection, capture: PostgresCapture, needed: Mapping[str, Sequence[str]]) -> None:
    told = columns_told_of_deleted_rows(opened, list(needed), schema=capture.schema)
    absent = sorted(needed.keys() - told.keys())
    if absent:
        raise ConfigurationError(
            what=f"The source's database lacks tables that are to be captured: {', '.join(absent)}.",
            next_step="mend conf/sources, or let the capture's role see them",
        )
    short = sorted(name for name, columns in told.items() if columns is not None and set(needed[name]) - columns)
    if short:
        raise ConfigurationError(
            what=f"Deleted rows of these tables are told without their practice or key: {', '.join(short)}.",
            next_step="set their REPLICA IDENTITY to FULL, or to a unique index over practice and key",
        )
