"""What waits to be merged, by practice: applications take it in groups, everybody else enqueues and watches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from wardlake.model.practices import GIANT_ROWS, Lane, LaneSpec, Lease, Piece, PracticeState, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What a batch of the log holds of one practice: entries, when the newest was committed, and the first (None: then too)."""

    rows: int
    committed_at: datetime
    first_at: datetime | None = None


class WorkQueue(Protocol):
    """Practices of one source and the batches that wait for each; a practice is never in two leases.

    Every method raises `RegistryUnavailable` where the store does not answer.
    """

    def onboard(self, practices: Collection[str], lane: Lane, *, base: int = 0) -> None:
        """Let practices in: their changes are merged from now on, first in that lane. Those that are in stay as they are.

        `base`: the commit as of which their rows were read; all that is older is told by these rows. A practice that is in
        already begins again from a later base, also out of quarantine.
        """
        ...

    def next_batch(self) -> int:
        """A number for a batch of the log, greater than all before."""
        ...

    def meet(self, practices: Collection[str]) -> None:
        """Know practices by name before anything of them is captured; who is known already stays as it is."""
        ...

    def enqueue(self, batch: int, arrived: Mapping[str, Arrived], *, giant_rows: int, is_base: bool = False) -> list[str]:
        """A batch is in the log. Practices that nobody let in are quarantined, those that waited for more are tried again.

        Returns whom nobody let in and nobody met before.

        `is_base`: it holds rows as they were read, which come before every change.

        A practice of the steady lane with more than `giant_rows` rows goes on in backfill until it has caught up.
        """
        ...

    def acknowledge(self, end: str) -> None:
        """Remember what the source was told that it may forget."""
        ...

    def caught_up(self, at: datetime) -> None:
        """Everything that the source had committed by then is in the log and enqueued. Never later than the store's own clock."""
        ...

    def captured_to(self) -> datetime | None:
        """Up to when everything is captured; None before anything was, and where the store's clock has gone back behind it."""
        ...

    def epoch(self) -> int:
        """How often capture began again: positions of a later epoch are greater than all of an earlier one."""
        ...

    def begin_again(self, reason: str) -> None:
        """A new epoch. Every practice is set aside, for this reason, until its rows are read anew."""
        ...

    def acknowledged(self) -> str:
        """What was acknowledged last; empty before anything was."""
        ...

    def take(self, lane: Lane, limits: LaneSpec, *, giant_rows: int = GIANT_ROWS) -> Lease | None:
        """The practices whose turn it is, or None where nothing waits or all slots of the lane are taken.

        Turns go round: who was served last comes last, also where a lease ran out meanwhile. What the lease of a dead application
        held is taken as any other, but in smaller groups with every time that its leases run out (`LaneSpec.most_after`), and
        never beside practices to which that did not happen as often.

        A practice with more than `giant_rows` rows waiting goes by itself: where its turn is first, nobody else is in the lease;
        else it is left for one of the next.
        """
        ...

    def renew(self, lease: Lease, seconds: int, *, merging: str | None = None) -> bool:
        """Keep a lease for longer; False where it, or a practice of it, was lost. `merging`: a table that is merged from now."""
        ...

    def complete(self, lease: Lease, pieces: Sequence[Piece], *, small_rows: int) -> bool:
        """These pieces are merged: their practices' watermarks move. False, and nothing moves, where the lease was lost.

        A practice that has at most `small_rows` rows left has caught up, and goes on in the steady lane.
        """
        ...

    def set_aside(
        self, lease: Lease, practice: str, standing: Standing, *, reason: str, tables: Collection[str]
    ) -> Standing | None:
        """A practice leaves its lease unmerged, for a reason; returns how it stands now, None where the lease was lost.

        One that is to wait for more, and of which more waits than this piece, is `ready` again: its next piece reaches twice as
        far, whatever the lane's `rows`, until it is merged or all that waits was in a piece. Then it waits.
        """
        ...

    def hold(self, practices: Collection[str], *, reason: str, tables: Collection[str]) -> None:
        """Set practices aside that nobody has to answer for themselves; those not let in, or aside already, stay as they are.

        Their leases end: who is merging them finds them lost, and nothing of them is taken after it.
        """
        ...

    def close(self, practice: str, *, reason: str) -> None:
        """A practice is one no more: nobody takes its changes, and what comes of it waits in quarantine for this reason."""
        ...

    def now(self) -> datetime:
        """The store's clock: leases, arrivals and what is captured go by it."""
        ...

    def give_back(self, lease: Lease, *, has_lapsed: bool = False) -> None:
        """What is left of a lease waits again; where it `has_lapsed`, as one of an application that died."""
        ...

    def release(
        self, practices: Collection[str], *, reason: str = "", without_bad: Mapping[str, int] = MappingProxyType({})
    ) -> list[str]:
        """Let go of practices that were set aside, for a `reason` only where one is given; returns those that were.

        Who is to be read anew stays aside. `without_bad`: by practice, the batch up to which entries that have a problem are
        given up for good: its pieces say so (`Piece.without_bad_to`).
        """
        ...

    def to_read_anew(self, practices: Collection[str]) -> list[str]:
        """Which of these were let in before capture began again: what was lost then only their rows can tell."""
        ...

    def states(self, practices: Collection[str] = ()) -> list[PracticeState]:
        """These practices, or all, by name."""
        ...
