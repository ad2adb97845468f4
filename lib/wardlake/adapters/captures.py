"""Opens what practices are captured from, by its kind: the stream of changes, and the rows that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from wardlake.adapters.change_files import ChangeColumns, ChangeFiles
from wardlake.adapters.postgres_changes import (
    PostgresChanges,
    PostgresRows,
    columns_told_of_deleted_rows,
    create_slot,
    drop_slot,
    published_tables,
    require_going_on,
    slot_position,
)
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.model.practices import FileCapture, PostgresCapture
from wardlake.ports.change_stream import Aside, ChangeStream, SourceRows


class Captures:
    """The `Captures` port. `secret` turns a reference into a connection string; `state` is where files are remembered."""

    def __init__(self, capture: PostgresCapture | FileCapture, *, secret: Callable[[str], str], state: Path) -> None:
        self._capture = capture
        self._secret = secret
        self._state = state

    def begin(self, needed: Mapping[str, Sequence[str]]) -> str:
        """Have the source keep changes of these tables from now on; returns what to acknowledge first.

        `needed` are the columns by table that a deleted row must be told with. Raises `ConfigurationError` where a table does not
        tell these.
        """
        match self._capture:
            case FileCapture():
                return "0"
            case PostgresCapture() as found:
                dsn = self._secret(found.dsn)
                _require_told(columns_told_of_deleted_rows(dsn, list(needed), schema=found.schema), needed)
                create_slot(dsn, slot=found.slot, publication=found.publication, tables=list(needed), schema=found.schema)
                return slot_position(dsn, found.slot)
        raise AssertionError

    def begin_again(self, needed: Mapping[str, Sequence[str]]) -> str:
        """The same with a new slot: what was not captured by then comes with new snapshots."""
        if isinstance(self._capture, PostgresCapture):
            dsn = self._secret(self._capture.dsn)
            drop_slot(dsn, slot=self._capture.slot, publication=self._capture.publication)
        return self.begin(needed)

    def open(self, needed: Mapping[str, Sequence[str]], *, acknowledged: str, aside: Aside | None = None) -> ChangeStream:
        """The stream of changes after what was acknowledged; a slot that was lost is never made anew here.

        `aside`: files that were found damaged; a database's stream has none.

        Raises `ConfigurationError` as `begin` does, `ContractBroken` where the source lost or went behind what comes next, or
        does not publish a table.
        """
        match self._capture:
            case FileCapture() as files:
                columns = ChangeColumns(operation=files.operation, position=files.position, at=files.at)
                self._state.parent.mkdir(parents=True, exist_ok=True)
                return ChangeFiles(Path(files.folder), self._state, columns=columns, needed=needed, aside=aside)
            case PostgresCapture() as found:
                dsn = self._secret(found.dsn)
                _require_told(columns_told_of_deleted_rows(dsn, list(needed), schema=found.schema), needed)
                require_going_on(dsn, found.slot, acknowledged)
                stream = PostgresChanges(dsn, slot=found.slot, publication=found.publication, schema=found.schema)
                try:
                    _require_published(published_tables(dsn, found.publication, schema=found.schema), needed)
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
                next_step="have the migration service load the practice in full; then --no-snapshot",
            )
        with PostgresRows(self._secret(self._capture.dsn), schema=self._capture.schema) as opened:
            yield opened


def _require_published(published: frozenset[str], needed: Mapping[str, Sequence[str]]) -> None:
    missing = sorted(needed.keys() - published)
    if missing:
        raise ContractBroken(
            "The publication leaves out tables or kinds of change that are to be captured.",
            which=missing,
            next_step="add them to the publication, for every kind of change; then wardlake practices onboard --all --new-slot",
        )


def _require_told(told: Mapping[str, frozenset[str] | None], needed: Mapping[str, Sequence[str]]) -> None:
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
