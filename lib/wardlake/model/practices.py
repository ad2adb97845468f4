"""Practices that share one database: how their changes are captured, and the lanes in which these are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Literal


class Lane(StrEnum):
    """`steady` keeps every practice fresh; `backfill` takes what is large: a practice that comes on board, a giant's backlog."""

    STEADY = "steady"
    BACKFILL = "backfill"


GIANT_ROWS = 20_000
MOST_LAPSES = 3  # of leases in a row; an application may also have been killed for another reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """What one lane may take. `slots` is how many groups of it are merged at once, by as many applications.

    A group holds at most `practices` practices and about `rows` rows of the change log; of one practice as much goes into a
    piece. `lease_seconds`: how long a group stays with an application that is not heard of, since it died; `merge_seconds`: how
    long one merge into a table may take before its application ends itself, since it hangs. Who was in such a group goes on in
    ever smaller ones, and is set aside once it is alone.
    """

    slots: int = 1
    practices: int = 100
    rows: int = 50_000
    lease_seconds: int = 120
    merge_seconds: int = 900
    niceness: int = 0  # of the operating system: 0 to 19

    def most_after(self, lapses: int) -> int:
        """How many practices a group holds whose leases have run out so many times in a row."""
        return max(1, self.practices >> 3 * lapses)

    def gives_up(self, piece: Piece) -> bool:
        """Whether a practice is at fault by now: its leases ran out again and again, at last alone, and others' did not."""
        return piece.lapses >= MOST_LAPSES and self.most_after(piece.lapses - 1) == 1 and piece.others_go_on


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresCapture:
    """Logical decoding from a shared PostgreSQL. `dsn` refers to a libpq connection string of a role with REPLICATION."""

    kind: Literal["postgres"] = "postgres"
    dsn: str
    slot: str
    publication: str
    schema: str = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCapture:
    """Change files of a migration service: `FOLDER/TABLE/NAME.csv` or `.parquet`, with these columns of its own.

    A change is dropped at most `late_minutes` after its commit. What nobody was told of is not known to be over: where nothing
    may change for hours, the service drops files into `heartbeat`, a folder beside the tables', of which the time alone counts.
    `state`: a folder of this machine that remembers which files were read; empty: in the zone `restricted`.
    """

    kind: Literal["files"] = "files"
    folder: str
    operation: str = "Op"
    position: str = "change_seq"
    at: str = "change_time"
    late_minutes: float = 5.0
    heartbeat: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsFrom:
    """Where records of one kind come from: a table of the source, and its column for each of the kind's."""

    table: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCodes:
    """A source's own codes for a value set of the marts: either `add` them to those that it has, or `replace` these."""

    add: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticesSpec:
    """The practices of the source of the same name: the column that names a row's practice, and the lanes.

    A practice with more than `giant_rows` rows waiting goes by itself, and not in the steady lane until it has caught up. Changes
    are appended to the log every `append_seconds`, or when `append_rows` have come.
    """

    name: str
    practice_column: str
    capture: PostgresCapture | FileCapture
    practice_columns: Mapping[str, str] = field(default_factory=dict)  # by table, where it is another
    buckets: int = 8  # of each raw table; cannot change later
    giant_rows: int = GIANT_ROWS
    append_seconds: float = 5.0
    append_rows: int = 50_000
    records: Mapping[str, RecordsFrom] = field(default_factory=dict)  # by kind: what marts are made of
    value_sets: Mapping[str, OwnCodes] = field(default_factory=dict)  # by the name of a value set of the marts
    time_zone: str = "UTC"  # of practices that `time_zones` does not name, e.g. America/New_York
    time_zones: Mapping[str, str] = field(default_factory=dict)  # by practice
    expected_by: str = "06:00"  # when a practice's marts of the day before are expected, by its own clock
    expected_times: Mapping[str, str] = field(default_factory=dict)  # by practice, where it is another time
    warn_hours: float = 2.0  # how long before that people hear of a practice at risk
    silent_hours: float = 1.0  # people hear where nothing was captured to a later moment for so long
    steady: LaneSpec = LaneSpec()
    backfill: LaneSpec = LaneSpec(niceness=10)

    def practice_column_of(self, table: str) -> str:
        return self.practice_columns.get(table, self.practice_column)

    def time_zone_of(self, practice: str) -> str:
        return self.time_zones.get(practice, self.time_zone)

    def expected_by_of(self, practice: str) -> time:
        """By the practice's own clock."""
        return time.fromisoformat(self.expected_times.get(practice, self.expected_by))

    def lane(self, lane: Lane) -> LaneSpec:
        return self.steady if lane is Lane.STEADY else self.backfill


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is to be merged of one practice: its entries of exactly these batches of the log, older commits than `base` not.

    `without_bad_to`: the batch up to which people gave up entries that have a problem.

    `lapses`: how many leases in a row ran out on it, the last while `merging` was merged, if any table was yet. `others_go_on`:
    since the first of these another practice was merged, so it is not the store or the machine that fails.
    """

    practice: str
    batches: tuple[int, ...]
    rows: int
    base: int = 0
    without_bad_to: int = 0
    lapses: int = 0
    merging: str = ""
    others_go_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A group of pieces that one application has for itself until its time is over. `number` grows with every lease."""

    number: int
    lane: Lane
    pieces: tuple[Piece, ...]


class Standing(StrEnum):
    """Whether a practice's changes are merged. `waiting`: until more of them come; `quarantined`: until a person lets go."""

    READY = "ready"
    WAITING = "waiting"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """How far a practice's changes have been merged: `merges` counts them, `committed_at` is when the newest was committed."""

    batch: int = 0
    merges: int = 0
    committed_at: datetime | None = None
    merged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeState:
    """A practice as the queue sees it.

    `rows`: of its entries that wait; `oldest`: when the first of these was committed; `waiting`: their batches; `base_waits`:
    its rows as they were read are among them, so that what is merged of it is not whole. One that is not `onboarded` was only
    met: nobody let it in.
    """

    practice: str
    lane: Lane
    standing: Standing
    reason: str
    tables: tuple[str, ...]
    leased: bool
    rows: int
    oldest: datetime | None
    waiting: tuple[int, ...]
    onboarded: bool
    watermark: Watermark
    base_waits: bool = False
