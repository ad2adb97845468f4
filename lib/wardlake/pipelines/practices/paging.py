"""Pages about practices: names of practices, tables and columns; never a value of a row."""

from __future__ import annotations

from collections.abc import Sequence

from wardlake.model.practices import Lane
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.pager import Page, PagerUnavailable

RUNBOOK = "docs/runbooks/practice-set-aside.md"
UNDECIDED = "docs/runbooks/unclassified-columns.md"


def page_set_aside(practices: Practices, practice: str, lane: Lane, *, reason: str, tables: Sequence[str], told: Told) -> None:
    """A practice's changes wait: who, where and why."""
    shown = practice or "(no practice)"
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/{practice}/{reason}",
            title=f"Practice {shown} is set aside: {reason}",
            lines=(f"lane {lane.value}", *tables),
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


def _page(practices: Practices, page: Page, told: Told) -> None:
    """Merging goes on where nobody can be paged: the board shows the same."""
    try:
        practices.ports.pager.page(page)
    except PagerUnavailable as problem:
        told(f"nobody could be paged ({problem}): {page.title}")
