"""Pages about practices: names of practices, tables and columns; never a value of a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from wardlake.model.practices import Lease
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.change_stream import Damaged
from wardlake.ports.pager import Page, PagerUnavailable

RUNBOOK = "docs/runbooks/practice-set-aside.md"
DAMAGED = "docs/runbooks/damaged-change-file.md"
NAMED_IN_A_PAGE = 50
UNDECIDED = "docs/runbooks/unclassified-columns.md"


def page_set_aside(practices: Practices, practice: str, lease: Lease, *, reason: str, tables: Sequence[str], told: Told) -> None:
    """A practice's changes wait: who, where and why."""
    shown = practice or "(no practice)"
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/{practice}/{reason}/{_last_batch(practice, lease)}",
            title=f"Practice {shown} is set aside: {reason}",
            lines=(f"lane {lease.lane.value}", *tables),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def _last_batch(practice: str, lease: Lease) -> int:
    """What tells one incident of a practice from the next."""
    return max((batch for piece in lease.pieces if piece.practice == practice for batch in piece.batches), default=0)


def page_damaged(practices: Practices, damaged: Damaged, told: Told) -> None:
    """A file of changes waits, and with it what may only be told after it: table and file, and whom it concerns."""
    whom = f"practice {damaged.practice}" if damaged.practice is not None else "every practice of this table"
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/file/{damaged.place}/{damaged.stamp}",
            title=f"A change file of {damaged.table} is damaged: {damaged.place}",
            lines=(damaged.why, f"later changes of {whom} wait for it"),
            runbook=DAMAGED,
            run_id="",
        ),
        told,
    )


def page_erased(practices: Practices, practice: str, table: str, told: Told) -> None:
    """The source still tells of a patient who was erased: nothing of it is kept."""
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/{practice}/erased/{table}/{practices.ports.clock.now():%Y-%m-%d}",
            title=f"Practice {practice or '(no practice)'} tells of a patient who was erased",
            lines=(table, "what it told is not kept: have the source erase the patient too"),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def page_undeclared(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """Columns wait in the log for a declaration and a decision."""
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/columns/{','.join(columns)}",
            title=f"Changes of {practices.spec.name} hold columns that nobody declared or decided on: they wait in the log",
            lines=tuple(columns),
            runbook=UNDECIDED,
            run_id="",
        ),
        told,
    )


def page_quarantine(practices: Practices, names: Collection[str], reason: str, told: Told) -> None:
    """What waits of practices is not shown, or what is merged still is: merging goes on without."""
    few = sorted(names)[:NAMED_IN_A_PAGE]
    more = [f"and {len(names) - len(few)} more"] if len(names) > len(few) else []
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/quarantine/{reason}/{practices.ports.clock.now():%Y-%m-%d}",
            title=f"The quarantine of {practices.spec.name} does not show what waits now: {reason}",
            lines=(*few, *more),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def page_mart_failed(practices: Practices, practice: str, mart: str, reason: str, told: Told) -> None:
    """A practice keeps what its mart held before."""
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/{practice}/mart/{mart}/{reason}/{practices.ports.clock.now():%Y-%m-%d}",
            title=f"Practice {practice} keeps yesterday's {mart}: {reason}",
            lines=(mart,),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def _page(practices: Practices, page: Page, told: Told) -> None:
    """Merging goes on where nobody can be paged: the board shows the same."""
    try:
        practices.ports.pager.page(page)
    except PagerUnavailable as problem:
        told(f"nobody could be paged ({problem}): {page.title}")
