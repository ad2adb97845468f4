"""What waits to be merged, by practice: applications take it in groups, everybody else enqueues and watches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wardlake.model.practices import Lane, LaneSpec, Lease, Piece, PracticeState, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What a batch of the log holds of one practice: entries, and when the newest was committed."""

    rows: int
    committed_at: datetime


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

    def enqueue(self, batch: int, arrived: Mapping[str, Arrived], *, giant_rows: int, is_base: bool = False) -> None:
        """A batch is in the log. Practices that nobody let in are quarantined, those that waited for more are tried again.

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

    def take(self, lane: Lane, limits: LaneSpec) -> Lease | None:
        """The practices whose turn it is, or None where nothing waits or all slots of the lane are taken.

        Turns go round: who was served last comes last. What the lease of a dead application held is taken as any other.
        """
        ...

    def renew(self, lease: Lease, seconds: int) -> bool:
        """Keep a lease for longer; False where it, or a practice of it, was lost."""
        ...

    def complete(self, lease: Lease, pieces: Sequence[Piece], *, small_rows: int) -> bool:
        """These pieces are merged: their practices' watermarks move. False, and nothing moves, where the lease was lost.

        A practice that has at most `small_rows` rows left has caught up, and goes on in the steady lane.
        """
        ...

    def set_aside(self, lease: Lease, practice: str, standing: Standing, *, reason: str, tables: Collection[str]) -> bool:
        """A practice leaves its lease unmerged, for a reason; False where the lease was lost."""
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

    def give_back(self, lease: Lease) -> None:
        """What is left of a lease waits again."""
        ...

    def release(self, practices: Collection[str], *, reason: str = "") -> list[str]:
        """Let go of practices that were set aside, for a `reason` only where one is given; returns those that were.

        Who is to be read anew stays aside.
        """
        ...

    def to_read_anew(self, practices: Collection[str]) -> list[str]:
        """Which of these were let in before capture began again: what was lost then only their rows can tell."""
        ...

    def states(self, practices: Collection[str] = ()) -> list[PracticeState]:
        """These practices, or all, by name."""
        ...
