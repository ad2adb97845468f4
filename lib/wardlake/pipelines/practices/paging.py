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


def page_people(practices: Practices, told: Told, *, key: str, title: str, lines: Sequence[str], runbook: str) -> bool:
    """Whether somebody was told; work goes on where nobody can be: the board shows the same. `key`: of the source's incident."""
    page = Page(key=f"practices/{practices.spec.name}/{key}", title=title, lines=tuple(lines), runbook=runbook, run_id="")
    try:
        practices.ports.pager.page(page)
    except PagerUnavailable as problem:
        told(f"nobody could be paged ({problem}): {title}")
        return False
    return True


def name_some(lines: Sequence[str], *, others: str = "") -> list[str]:
    """As many as a page holds, and how many more there are; `others`: what tells them."""
    more = len(lines) - NAMED_IN_A_PAGE
    said = f"and {more} more{f': {others}' if others else ''}"
    return [*lines[:NAMED_IN_A_PAGE], *([said] if more > 0 else [])]


def page_set_aside(practices: Practices, practice: str, lease: Lease, *, reason: str, tables: Sequence[str], told: Told) -> None:
    """A practice's changes wait: who, where and why."""
    shown = practice or "(no practice)"
    page_people(
        practices,
        told,
        key=f"{practice}/{reason}/{_last_batch(practice, lease)}",
        title=f"Practice {shown} is set aside: {reason}",
        lines=(f"lane {lease.lane.value}", *tables),
        runbook=RUNBOOK,
    )


def _last_batch(practice: str, lease: Lease) -> int:
    """What tells one incident of a practice from the next."""
    return max((batch for piece in lease.pieces if piece.practice == practice for batch in piece.batches), default=0)


def page_columns_gone(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """What concerns every practice that changes is paged once a day, and not for each of them."""
    day = f"{practices.ports.clock.now():%Y-%m-%d}"
    page_people(
        practices,
        told,
        key=f"gone/{','.join(columns)}/{day}",
        title=f"{practices.spec.name} tells columns no more that it told before: whose rows change is set aside",
        lines=(*columns, "wardlake practices freshness names the practices"),
        runbook=RUNBOOK,
    )


def page_capture_stopped(practices: Practices, problem: WardlakeError, told: Told) -> None:
    """The source cannot be captured any more: every practice waits, and these tables."""
    names = sorted(state.practice for state in practices.queue.states() if state.onboarded)
    which = "/".join((problem.what, *problem.which))
    page_people(
        practices,
        told,
        key=f"capture/{which}/{practices.queue.acknowledged()}",
        title=f"Capture of {practices.spec.name} stopped: {problem.what}",
        lines=(
            *problem.which,
            f"tables: {', '.join(sorted(practices.admission.captured))}",
            f"practices: {len(names)}",
            *name_some(names),
            *([problem.next_step] if problem.next_step else []),
        ),
        runbook=STOPPED,
    )


def page_strangers(practices: Practices, tables: Mapping[str, Collection[str]], told: Told) -> None:
    """Practices that nobody let in begin to change rows of these tables: their changes wait.

    Many at once are named on the board alone: a source whose columns slipped tells other cells where practices stood.
    """
    names = sorted(tables) if len(tables) <= MOST_STRANGERS else []
    concerned = sorted({table for each in tables.values() for table in each})
    page_people(
        practices,
        told,
        key=f"strangers/{sha256(repr(sorted(tables)).encode()).hexdigest()[:16]}",
        title=f"Changes of {len(tables)} practices of {practices.spec.name} wait: nobody let these in",
        lines=(f"tables: {', '.join(concerned)}", *names, "wardlake practices freshness names them all"),
        runbook=RUNBOOK,
    )


def page_nobodys(practices: Practices, table: str, problem: Problem, told: Told) -> None:
    """Changes of a table name nobody whose they are: once a day, for as long as they come."""
    page_people(
        practices,
        told,
        key=f"nobody/{table}/{problem}/{practices.ports.clock.now():%Y-%m-%d}",
        title=f"Changes of {table} of {practices.spec.name} are filed under no practice: {problem.value}",
        lines=(table, "no practice has them, and none waits for them"),
        runbook=RUNBOOK,
    )


def page_overdue(practices: Practices, lease: Lease, table: str, told: Told) -> None:
    """A merge takes longer than it may: its application ends, and the group is taken again in parts until who hangs is alone."""
    names = sorted(piece.practice or "(no practice)" for piece in lease.pieces)
    told(f"group {lease.number} does not end: this application ends, to be started again")
    page_people(
        practices,
        told,
        key=f"overdue/{lease.number}",
        title=f"A merge of {practices.spec.name} did not end in its time: {len(names)} practices are tried in smaller groups",
        lines=(
            f"lane {lease.lane.value}",
            *([table] if table else []),
            *name_some(names),
        ),
        runbook=RUNBOOK,
    )


def page_damaged(practices: Practices, damaged: Damaged, told: Told) -> None:
    """A file of changes waits, and with it what may only be told after it: table and file, and whom it concerns."""
    whom = f"practice {damaged.practice}" if damaged.practice is not None else "every practice of this table"
    page_people(
        practices,
        told,
        key=f"file/{damaged.place}/{damaged.stamp}",
        title=f"A change file of {damaged.table} is damaged: {damaged.place}",
        lines=(damaged.why, f"later changes of {whom} wait for it"),
        runbook=DAMAGED,
    )


def page_erased(practices: Practices, practice: str, table: str, told: Told) -> None:
    """The source still tells of a patient who was erased: nothing of it is kept."""
    page_people(
        practices,
        told,
        key=f"{practice}/erased/{table}/{practices.ports.clock.now():%Y-%m-%d}",
        title=f"Practice {practice or '(no practice)'} tells of a patient who was erased",
        lines=(table, "what it told is not kept: have the source erase the patient too"),
        runbook=RUNBOOK,
    )


def page_undeclared(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """Columns wait for a declaration and a decision: rows are merged without them."""
    page_people(
        practices,
        told,
        key=f"columns/{','.join(columns)}",
        title=f"Changes of {practices.spec.name} hold columns that nobody declared or decided on: rows go on without them",
        lines=tuple(columns),
        runbook=UNDECIDED,
    )


def page_widened(practices: Practices, columns: Sequence[str], told: Told) -> None:
    """Columns were decided on after rows had been merged without them: these rows have to be read anew for their values."""
    is_files = isinstance(practices.spec.capture, FileCapture)
    page_people(
        practices,
        told,
        key=f"widened/{','.join(columns)}",
        title=f"Raw tables of {practices.spec.name} have new columns: rows that were merged before hold no value in them",
        lines=(*columns, "have the migration service load the practices in full again" if is_files else READ_ALL_ANEW),
        runbook=UNDECIDED,
    )


def page_quarantine(practices: Practices, names: Collection[str], reason: str, told: Told) -> None:
    """What waits of practices is not shown, or what is merged still is: merging goes on without."""
    page_people(
        practices,
        told,
        key=f"quarantine/{reason}/{practices.ports.clock.now():%Y-%m-%d}",
        title=f"The quarantine of {practices.spec.name} does not show what waits now: {reason}",
        lines=name_some(sorted(names)),
        runbook=RUNBOOK,
    )


def page_mart_failed(practices: Practices, practice: str, mart: str, reason: str, told: Told) -> None:
    """A practice keeps what its mart held before."""
    page_people(
        practices,
        told,
        key=f"{practice}/mart/{mart}/{reason}/{practices.ports.clock.now():%Y-%m-%d}",
        title=f"Practice {practice} keeps yesterday's {mart}: {reason}",
        lines=(mart,),
        runbook=RUNBOOK,
    )
