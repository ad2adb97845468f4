"""Pages about practices: names of practices, tables and columns; never a value of a row."""

from __future__ import annotations

from collections.abc import Sequence

from wardlake.model.practices import Lease
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.pager import Page, PagerUnavailable

RUNBOOK = "docs/runbooks/practice-set-aside.md"
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
