"""Changes out of files that a migration service drops into a folder: `TABLE/NAME.csv` with a header, or `TABLE/NAME.parquet`.

A row says what was done (`Op`: I, U or D, as AWS DMS writes it), where it stands (a number that only grows) and when; an insert
and an update hold the whole row, a delete at least its key. Files are told in the order of their names, each as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from wardlake.model.changes import Operation, Position, RowChange
from wardlake.model.errors import ContractBroken, StorageUnavailable
from wardlake.ports.change_stream import Batch

_OPERATIONS = {"I": Operation.INSERT, "U": Operation.UPDATE, "D": Operation.DELETE}
_ENDINGS = (".csv", ".parquet")
_NEXT = "have the service drop the file again under another name, and remove the damaged one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeColumns:
    """The service's own columns; all others are the row's. A time without a zone is UTC."""

    operation: str = "Op"
    position: str = "change_seq"
    at: str = "change_time"


class ChangeFiles:
    """The `ChangeStream` port over such a folder. The names of acknowledged files stand in `state`, one a line."""

    def __init__(self, folder: Path, state: Path, *, columns: ChangeColumns | None = None) -> None:
        self._folder = folder
        self._state = state
        self._columns = columns or ChangeColumns()
        self._told: list[str] = []

    def read(self, *, most: int, seconds: float) -> Batch:  # noqa: ARG002 - a folder says at once what it holds
        """The next file's changes, whole."""
        done = self._acknowledged() | set(self._told)
        for name in self._names():
            if name not in done:
                changes = tuple(self._changes(name))
                self._told.append(name)
                return Batch(changes, name)
        return Batch()

    def acknowledge(self, end: str) -> None:
        kept = self._told[: self._told.index(end) + 1] if end in self._told else [end]
        whole = sorted(self._acknowledged() | set(kept))
        with _storage():
            fresh = self._state.with_suffix(".new")
            fresh.write_text("".join(f"{name}\n" for name in whole), "utf-8")
            fresh.replace(self._state)

    def close(self) -> None:
        self._told.clear()

    def _acknowledged(self) -> set[str]:
        with _storage():
            return set(self._state.read_text("utf-8").splitlines()) if self._state.exists() else set()

    def _names(self) -> list[str]:
        """By the file's own name, whatever table's it is: the service names them by time."""
        with _storage():
            files = [path for path in self._folder.glob("*/*") if path.suffix in _ENDINGS]
        return [path.relative_to(self._folder).as_posix() for path in sorted(files, key=lambda path: (path.name, path.parent))]

    def _changes(self, name: str) -> Iterator[RowChange]:
        table, own = name.split("/", maxsplit=1)[0], self._columns
        rows = self._read(name)
        missing = [column for column in (own.operation, own.position, own.at) if column not in rows.column_names]
        if missing:
            raise ContractBroken("A change file lacks columns of the service.", which=[f"{name}: {column}" for column in missing])
        for number, row in enumerate(rows.to_pylist(), start=1):
            said, position, at = (row.pop(column) for column in (own.operation, own.position, own.at))
            try:
                operation, moment = _OPERATIONS[said], _moment(at)
                place = Position(int(position), 1)
            except (KeyError, TypeError, ValueError):
                raise ContractBroken(
                    "A row of a change file does not say what was done, where it stands or when.",
                    which=[f"{name}: row {number}"],
                    next_step=_NEXT,
                ) from None
            gone = operation is Operation.DELETE
            yield RowChange(
                table=table,
                operation=operation,
                position=place,
                committed_at=moment,
                new=None if gone else row,
                old=row if gone else None,
            )

    def _read(self, name: str) -> pa.Table:
        """Every cell as text. Raises `ContractBroken` for a file that is cut off or otherwise damaged."""
        path = self._folder / name
        with _storage():
            try:
                if path.suffix == ".parquet":
                    rows = pq.read_table(path)
                    return rows.cast(pa.schema([(column, pa.string()) for column in rows.column_names]))
                return _read_csv(path.read_bytes())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
                raise ContractBroken("A change file is cut off or damaged.", which=[name], next_step=_NEXT) from None


def _read_csv(body: bytes) -> pa.Table:
    """Every cell as text, null where nothing stands and no quotes. The reader takes a last quote that never closes for a text."""
    if not body.endswith(b"\n") or body.count(b'"') % 2:
        raise pa.ArrowInvalid("cut off")
    names = pa_csv.read_csv(pa.BufferReader(body.partition(b"\n")[0] + b"\n")).column_names
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    return pa_csv.read_csv(pa.BufferReader(body), convert_options=convert, parse_options=parse)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"The folder of change files does not answer: {type(error).__name__}.") from None
