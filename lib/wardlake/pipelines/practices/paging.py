"""Pages about practices: names of practices, tables and columns; never a value of a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256

from wardlake.model.errors import WardlakeError
from wardlake.model.practices import FileCapture, Lease
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.ports.change_stream import Damaged
from wardlake.ports.pager import Page, PagerUnavailable
from wardlake.practices.log_entries import Problem

RUNBOOK = "docs/runbooks/practice-set-aside.md"
DAMAGED = "docs/runbooks/damaged-change-file.md"
STOPPED = "docs/runbooks/capture-stopped.md"
NAMED_IN_A_PAGE = 50
MOST_STRANGERS = 5  # that a page names
UNDECIDED = "docs/runbooks/unclassified-columns.md"
READ_ALL_ANEW = "wardlake practices onboard --all"


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


def page_columns_gone(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """What concerns every practice that changes is paged once a day, and not for each of them."""
    day = f"{practices.ports.clock.now():%Y-%m-%d}"
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/gone/{','.join(columns)}/{day}",
            title=f"{practices.spec.name} tells columns no more that it told before: whose rows change is set aside",
            lines=(*columns, "wardlake practices freshness names the practices"),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def page_capture_stopped(practices: Practices, problem: WardlakeError, told: Told) -> None:
    """The source cannot be captured any more: every practice waits, and these tables."""
    names = sorted(state.practice for state in practices.queue.states() if state.onboarded)
    few = names[:NAMED_IN_A_PAGE]
    which = "/".join((problem.what, *problem.which))
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/capture/{which}/{practices.queue.acknowledged()}",
            title=f"Capture of {practices.spec.name} stopped: {problem.what}",
            lines=(
                *problem.which,
                f"tables: {', '.join(sorted(practices.admission.captured))}",
                f"practices: {len(names)}",
                *few,
                *([f"and {len(names) - len(few)} more"] if len(names) > len(few) else []),
                *([problem.next_step] if problem.next_step else []),
            ),
            runbook=STOPPED,
            run_id="",
        ),
        told,
    )


def page_strangers(practices: Practices, tables: Mapping[str, Collection[str]], told: Told) -> None:
    """Practices that nobody let in begin to change rows of these tables: their changes wait.

    Many at once are named on the board alone: a source whose columns slipped tells other cells where practices stood.
    """
    names = sorted(tables) if len(tables) <= MOST_STRANGERS else []
    concerned = sorted({table for each in tables.values() for table in each})
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/strangers/{sha256(repr(sorted(tables)).encode()).hexdigest()[:16]}",
            title=f"Changes of {len(tables)} practices of {practices.spec.name} wait: nobody let these in",
            lines=(f"tables: {', '.join(concerned)}", *names, "wardlake practices freshness names them all"),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def page_nobodys(practices: Practices, table: str, problem: Problem, told: Told) -> None:
    """Changes of a table name nobody whose they are: once a day, for as long as they come."""
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/nobody/{table}/{problem}/{practices.ports.clock.now():%Y-%m-%d}",
            title=f"Changes of {table} of {practices.spec.name} are filed under no practice: {problem.value}",
            lines=(table, "no practice has them, and none waits for them"),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


def page_overdue(practices: Practices, lease: Lease, table: str, told: Told) -> None:
    """A merge takes longer than it may: its application ends, and the group is taken again in parts until who hangs is alone."""
    names = sorted(piece.practice or "(no practice)" for piece in lease.pieces)
    few = names[:NAMED_IN_A_PAGE]
    told(f"group {lease.number} does not end: this application ends, to be started again")
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/overdue/{lease.number}",
            title=f"A merge of {practices.spec.name} did not end in its time: {len(names)} practices are tried in smaller groups",
            lines=(
                f"lane {lease.lane.value}",
                *([table] if table else []),
                *few,
                *([f"and {len(names) - len(few)} more"] if len(names) > len(few) else []),
            ),
            runbook=RUNBOOK,
            run_id="",
        ),
        told,
    )


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
    """Columns wait for a declaration and a decision: rows are merged without them."""
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/columns/{','.join(columns)}",
            title=f"Changes of {practices.spec.name} hold columns that nobody declared or decided on: rows go on without them",
            lines=tuple(columns),
            runbook=UNDECIDED,
            run_id="",
        ),
        told,
    )


def page_widened(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """Columns were decided on after rows had been merged without them: these rows have to be read anew for their values."""
    is_files = isinstance(practices.spec.capture, FileCapture)
    _page(
        practices,
        Page(
            key=f"practices/{practices.spec.name}/widened/{','.join(columns)}",
            title=f"Raw tables of {practices.spec.name} have new columns: rows that were merged before hold no value in them",
            lines=(*columns, "have the migration service load the practices in full again" if is_files else READ_ALL_ANEW),
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
