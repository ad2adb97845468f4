"""Changes out of files that a migration service drops into a folder, CSV with a header or Parquet: `TABLE/NAME.csv`, or
`TABLE/PRACTICE/NAME.csv` for a file that holds one practice's changes alone.

A row says what was done (`Op`: I, U or D, as AWS DMS writes it), where it stands (a number that only grows) and when; an insert
and an update hold the whole row, a delete at least its key. Files are told in the order of their names, each whole or not at all,
a large one in several batches. One that is damaged is set aside, and files after it that may hold changes of the same rows wait.
One that is another by the time it was told, a writer's that had not finished, counts as damaged: nobody was told the rest of it.
So does one whose positions go back while its times go on: its source was restored, and what it tells would pass for old.

An empty folder says nothing of the time: how far a source is told, the latest change says. Where nothing may change for hours,
the service drops heartbeats: files in a folder of their own, with the service's own columns, of which only the time counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from wardlake.adapters.told_files import Content, Newest, ToldFiles
from wardlake.model.changes import Operation, Position, RowChange
from wardlake.model.errors import StorageUnavailable
from wardlake.ports.change_stream import Aside, Batch, Damaged

_OPERATIONS = {"I": Operation.INSERT, "U": Operation.UPDATE, "D": Operation.DELETE}
_ENDINGS = (".csv", ".parquet")
_PLACE = re.compile(r"[0-9]{1,35}")
_WITH_PRACTICE = 3  # parts of TABLE/PRACTICE/NAME
_CLOCKS_DIFFER = timedelta(minutes=5)  # between the machines of one source; a transaction's time may be when it began
_LOOKED_AT = 10_000  # of the files that were told, those that one listing looks at again


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeColumns:
    """The service's own columns; all others are the row's. A time without a zone is UTC.

    `late`: how long after its commit a change is dropped at most. `heartbeat`: the folder whose files tell the time alone.
    """

    operation: str = "Op"
    position: str = "change_seq"
    at: str = "change_time"
    late: timedelta = timedelta(0)
    heartbeat: str = ""

    @property
    def every(self) -> tuple[str, str, str]:
        return self.operation, self.position, self.at


class DamagedFile(Exception):
    """A file that cannot be told; the message says why, without a value."""


@dataclass(slots=True)
class _Opened:
    """A whole file, and how many of its rows are told."""

    name: str
    rows: pa.Table
    content: Content
    newest: Newest | None  # None without rows
    begins_anew: bool = False  # somebody let it go as it is: what follows counts on from it
    told: int = 0


class ChangeFiles:
    """The `ChangeStream` port over such a folder. Which files are acknowledged stands in `state`.

    The folder is listed once for all that is read until something is acknowledged, or until nothing is left of it.
    `needed`: columns by table that a file with rows must have.
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        *,
        columns: ChangeColumns | None = None,
        needed: Mapping[str, Sequence[str]] | None = None,
        aside: Aside | None = None,
    ) -> None:
        self._folder = folder
        self._columns = columns or ChangeColumns()
        self._needed = needed or {}
        self._aside = dict(aside.stamps) if aside else {}
        self._released = aside.released if aside else {}
        self._practices = aside.practices if aside else {}
        self._acknowledged = ToldFiles(state)
        self._told: dict[str, Content] = {}  # and not acknowledged
        self._went: dict[str, Newest] = {}  # how far these files did, by folder
        self._listed: deque[str] | None = None
        self._holds_back = False  # whether a file of that listing waits that may hold anybody's changes
        self._looked_at = 0  # how many listings looked at files that were told
        self._opened: _Opened | None = None
        self._is_empty = False
        self._listings = 0
        self._before: set[str] = set()  # the latest times of folders that were told before it was listed
        self._empty = ""  # the last file without rows, which nothing was told after

    def mark(self) -> str:
        """A folder has no order of commits: how often it was listed."""
        return str(self._listings)

    def has_told(self, mark: str) -> bool:
        """Once nothing is left that need not wait of the folder as it was listed after the latest time was told, or, where it
        is never still, after a time was told since the mark."""
        return self._is_empty and (self._before == self._times() or self._listings > int(mark) + 1)

    def told_to(self, at: datetime) -> datetime | None:
        """By the latest time that any file told, less what changes may come late by. A time still to come says nothing.

        Nobody can say while a file waits for one of a single practice, and may hold changes of others.
        """
        if self._holds_back:
            return None
        past = [moment for moment in map(_moment, self._before) if moment <= at + _CLOCKS_DIFFER]
        return min(max(past) - self._columns.late, at) if past else None

    def _times(self) -> set[str]:
        return {each.at for each in {**self._acknowledged.newest, **self._went}.values()}

    def read(self, *, most: int, seconds: float) -> Batch:  # noqa: ARG002 - a folder says at once what it holds
        """Rows of the next file, `most` of them at once; `end` comes with its last."""
        damaged: list[Damaged] = []
        before = set(self._aside)
        if self._opened is None:
            self._opened = self._next(damaged)
        mended = tuple(sorted(before - self._aside.keys()))
        opened = self._opened
        self._is_empty = opened is None
        if opened is None:
            end, self._empty = self._empty, ""
            return Batch((), end, tuple(damaged), mended)
        piece = opened.rows.slice(opened.told, most)
        changes = tuple(self._changes(opened.name, piece))
        opened.told += piece.num_rows
        is_whole = opened.told >= opened.rows.num_rows
        if is_whole:
            self._told[opened.name] = opened.content
            if opened.newest is not None:
                folder = _folder(opened.name)
                told = None if opened.begins_anew else self._newest(folder)
                self._went[folder] = _further([opened.newest, *([told] if told else [])])
            self._opened = None
        return Batch(changes, opened.name if is_whole else "", tuple(damaged), mended)

    def acknowledge(self, end: str) -> None:
        names = list(self._told)
        kept = names[: names.index(end) + 1] if end in self._told else [end]
        with _storage():
            went = {folder: self._went[folder] for folder in {_folder(name) for name in kept} & self._went.keys()}
            self._acknowledged.add({name: self._told.pop(name, Content()) for name in kept}, went)
        self._listed = None

    def close(self) -> None:
        self._told.clear()
        self._went.clear()
        self._listed = None
        self._opened = None

    def _next(self, damaged: list[Damaged]) -> _Opened | None:
        """The next file that has rows and need not wait; those found damaged on the way are set aside."""
        if self._listed is None:
            self._listed, self._holds_back = deque(self._list()), False
        while self._listed:
            name = self._listed.popleft()
            if self._waits(name):
                self._holds_back |= _of(name)[1] is None
                continue
            stamp = self._stamp(name)
            if stamp is None or self._aside.get(name) == stamp:
                continue
            try:
                found = self._open(name, stamp)
            except DamagedFile as problem:
                table, practice = _of(name)
                self._aside[name] = stamp
                damaged.append(Damaged(place=name, table=table, practice=practice, stamp=stamp, why=str(problem)))
                continue
            self._aside.pop(name, None)
            if found is not None and found.rows.num_rows:
                self._empty = ""
                return found
            if found is not None:
                self._told[name] = found.content
                self._empty = name
        self._listed = None
        return None

    def _list(self) -> list[str]:
        """The files that nobody was told, and those that are others by now, in their order.

        Of a large folder's files that were told some are looked at each time, all of them in turn.
        """
        self._before, self._listings = self._times(), self._listings + 1
        with _storage():
            if not self._folder.is_dir():  # a store that is not mounted is no folder in which nothing came
                raise StorageUnavailable("The folder of change files is not there.", which=[self._folder.name])
            there = set(self._names())
            told = self._acknowledged.files
            gone = told.keys() - there
            tables = {each.name for each in _folders(self._folder)} if gone else set()
            if gone and not tables:  # nor is the mount point of a store one that is empty
                raise StorageUnavailable("The folder of change files holds no table any more.", which=[self._folder.name])
            self._acknowledged.forget(name for name in gone if _of(name)[0] in tables)  # else the folder itself is not there
        self._note_acknowledged(told)
        turns = max(1, -(-len(told) // _LOOKED_AT))
        again = islice(told, self._looked_at % turns, None, turns)
        self._looked_at += 1
        others = {name for name in {*again, *self._aside} & told.keys() & there if self._is_other(name)}
        return sorted(((there - told.keys()) | others) - self._told.keys(), key=_order)

    def _note_acknowledged(self, told: Mapping[str, Content]) -> None:
        """What was set aside and is acknowledged since, as it lies there, is set aside no more."""
        for name in [each for each in self._aside if each in told]:
            if self._stamp(name) is not None and not self._is_other(name):
                del self._aside[name]

    def _is_other(self, name: str) -> bool:
        return not self._acknowledged.files[name].is_stamped(self._stamp(name) or "")

    def _open(self, name: str, stamp: str) -> _Opened | None:
        """A file to tell; None for one that was told and of which only the time is another. Raises `DamagedFile`."""
        with _storage():
            body = (self._folder / name).read_bytes()
        content = Content(stamp, hashlib.blake2b(body, digest_size=8).hexdigest())
        told = self._acknowledged.files.get(name)
        if told is not None and told.digest == content.digest:
            with _storage():
                self._acknowledged.add({name: content})
            return None
        if told is not None and self._released.get(name) != stamp:
            raise DamagedFile("it is another than when it was told")
        rows = self._read(name, body)
        newest = _newest_of(rows, self._columns)
        is_let_go = self._released.get(name) == stamp
        if not is_let_go:
            self._require_onward(name, rows)
        return _Opened(name, rows, content, newest, begins_anew=is_let_go)

    def _newest(self, folder: str) -> Newest | None:
        return self._went.get(folder) or self._acknowledged.newest.get(folder)

    def _require_onward(self, name: str, rows: pa.Table) -> None:
        """A change that comes late is of an earlier time too; of a later one it is a restored source's."""
        newest = self._newest(_folder(name))
        if newest is None:
            return
        latest = _moment(newest.at)
        own = zip(*(rows.column(column).to_pylist() for column in (self._columns.position, self._columns.at)), strict=True)
        if any(int(position) <= newest.position and _moment(at) - latest > _CLOCKS_DIFFER for position, at in own):
            raise DamagedFile("its positions go back while its times go on, as those of a restored source do")

    def _waits(self, name: str) -> bool:
        """Whether an earlier file that is set aside may hold changes of the same rows."""
        table, practice = _of(name)
        for other in self._aside:
            its_table, its_practice = _of(other)
            same = its_practice is None or practice is None or its_practice == practice
            if its_table == table and same and _order(other) < _order(name):
                return True
        return False

    def _names(self) -> Iterator[str]:
        """Every file's, without order. Hidden ones are being written."""
        for table in _folders(self._folder):
            for each in _shown(table.path):
                if each.is_dir():
                    yield from (f"{table.name}/{each.name}/{file.name}" for file in _shown(each.path) if _is_told(file))
                elif _is_told(each):
                    yield f"{table.name}/{each.name}"

    def _stamp(self, name: str) -> str | None:
        """What tells one content of a file from another without reading it; None where it is gone."""
        with _storage():
            try:
                found = (self._folder / name).stat()
            except FileNotFoundError:
                return None
        return f"{found.st_size}/{found.st_mtime_ns}"

    def _changes(self, name: str, rows: pa.Table) -> Iterator[RowChange]:
        (table, practice), own = _of(name), self._columns
        if table == own.heartbeat:
            return
        column = self._practices.get(table, "")
        for row in rows.to_pylist():
            said, position, at = (row.pop(each) for each in own.every)
            operation = _OPERATIONS[said]
            gone = operation is Operation.DELETE
            if practice is not None and column:
                row[column] = practice
            yield RowChange(
                table=table,
                operation=operation,
                position=Position(int(position), 1),
                committed_at=_moment(at),
                new=None if gone else row,
                old=row if gone else None,
                stays_within=practice is not None,
            )

    def _read(self, name: str, body: bytes) -> pa.Table:
        """A file's rows, every cell as text, once all of them can be told. Raises `DamagedFile`."""
        try:
            rows = _read_parquet(body) if name.endswith(".parquet") else _read_csv(body)
            rows.validate(full=True)  # Parquet's reader takes any bytes for a text
            self._require_columns(name, rows)
            self._require_rows(rows)
            self._require_own(name, rows)
        except (pa.ArrowException, OSError, ValueError):
            raise DamagedFile("it is cut off or damaged") from None
        return rows

    def _require_columns(self, name: str, rows: pa.Table) -> None:
        if len(set(rows.column_names)) < len(rows.column_names):
            raise DamagedFile("two of its columns have one name")
        missing = [column for column in self._columns.every if column not in rows.column_names]
        if not missing and set(rows.column(self._columns.operation).to_pylist()) - {"D"}:
            table, practice = _of(name)
            told = {*rows.column_names, *([self._practices.get(table, "")] if practice is not None else [])}
            missing = [column for column in self._needed.get(table, ()) if column not in told]
        if missing:
            raise DamagedFile(f"it lacks columns: {', '.join(missing)}")

    def _require_rows(self, rows: pa.Table) -> None:
        own = (rows.column(column).to_pylist() for column in self._columns.every)
        for number, (said, position, at) in enumerate(zip(*own, strict=True), start=1):
            if said not in _OPERATIONS or not _PLACE.fullmatch(position or "") or not _is_moment(at):
                raise DamagedFile(f"row {number} does not say what was done, where it stands or when")

    def _require_own(self, name: str, rows: pa.Table) -> None:
        table, practice = _of(name)
        column = self._practices.get(table, "")
        if practice is not None and column in rows.column_names and set(rows.column(column).to_pylist()) - {practice, None}:
            raise DamagedFile("it lies in a practice's folder and holds rows of another")


def _of(name: str) -> tuple[str, str | None]:
    """The table that a file's changes are of, and the practice where its folder says so."""
    parts = name.split("/")
    return parts[0], parts[1] if len(parts) == _WITH_PRACTICE else None


def _folder(name: str) -> str:
    """Whose files count on from each other."""
    return name.rpartition("/")[0]


def _newest_of(rows: pa.Table, columns: ChangeColumns) -> Newest | None:
    own = zip(*(rows.column(column).to_pylist() for column in (columns.position, columns.at)), strict=True)
    each = [Newest(int(position), _moment(at).isoformat()) for position, at in own]
    return _further(each) if each else None


def _further(each: Sequence[Newest]) -> Newest:
    return Newest(max(one.position for one in each), max(one.at for one in each))


def _order(name: str) -> tuple[str, str]:
    """By the file's own name, whatever table's it is: the service names them by time."""
    folder, _, own = name.rpartition("/")
    return own, folder


def _shown(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return [each for each in found if not each.name.startswith(".")]


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    return [each for each in _shown(folder) if each.is_dir()] if folder.is_dir() else []


def _is_told(file: os.DirEntry[str]) -> bool:
    return file.name.endswith(_ENDINGS) and not file.is_dir()


def _read_parquet(body: bytes) -> pa.Table:
    found = pq.read_table(pa.BufferReader(body))
    return found.cast(pa.schema([(column, pa.string()) for column in found.column_names]))


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


def _is_moment(text: str | None) -> bool:
    try:
        return bool(text and _moment(text))
    except (OverflowError, ValueError):
        return False


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@contextmanager
def _storage() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"The folder of change files does not answer: {type(error).__name__}.") from None
