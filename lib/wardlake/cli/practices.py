"""`wardlake practices`: the changes of many practices in one database, merged so that no practice waits for another."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import ERRORS, Options, answer, command_flags, report_error
from wardlake.model.errors import DoneInPart
from wardlake.model.practices import Lane
from wardlake.pipelines.practices.opening import Practices, open_practices

_LANES = click.Choice([lane.value for lane in Lane])
_SOURCE = click.option("--source", default="", help="A file under conf/practices/; may be left out where there is one.")
_UNTIL_IDLE = click.option("--until-idle", is_flag=True, help="End when nothing is left, instead of waiting for more.")


@click.group(help="Practices of one database: capture their changes, merge them fairly, see how far each is.")
def practices() -> None: ...


ONBOARD = """Let practices in, and read the rows that they have so far (as backfill).

Given again for a practice that is in, its rows are read anew and replace what was merged before: that is the way out after a
lost replication slot, a restored source or rows that nobody can mend.

\b
  wardlake practices onboard --practice P1 --practice P2
  wardlake practices onboard --all
  wardlake practices onboard --all --new-slot      # after the slot was lost
  wardlake practices onboard --practice P1 --no-snapshot   # its rows come as change files
"""


@practices.command(help=ONBOARD)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times.")
@click.option("--all", "every", is_flag=True, help="Every practice that the source's rows name.")
@click.option("--snapshot/--no-snapshot", default=True, show_default=True, help="Read the rows that are there.")
@click.option("--new-slot", is_flag=True, help="Capture from now on, whatever was lost before; needs --all.")
@command_flags
def onboard(options: Options, source: str, names: tuple[str, ...], every: bool, snapshot: bool, new_slot: bool) -> None:
    from wardlake.pipelines.practices.onboard import onboard as let_in

    if bool(names) == every or (every and not snapshot):
        raise click.UsageError("give --practice, or --all with a snapshot")
    with _opened(options, source) as at_work:
        done = let_in(at_work, names, every=every, snapshot=snapshot, new_slot=new_slot, told=_told())
        answer(options, done, f"{len(done['practices'])} practices let in, {done['entries']:,} entries wait to be merged")


CAPTURE = """Read changes of the source into the change log, for ever. One application at a time.

What was not acknowledged when it stops is read again by the next one.
"""


@practices.command(help=CAPTURE)
@_SOURCE
@_UNTIL_IDLE
@command_flags
def capture(options: Options, source: str, until_idle: bool) -> None:
    from wardlake.pipelines.practices.capture import capture as run

    with _opened(options, source) as at_work:
        done = run(at_work, until_idle=until_idle, told=_told())
        answer(options, dataclasses.asdict(done), f"{done.changes:,} changes in {done.batches} batches")


WORK = """Merge what waits in a lane, group by group, for ever.

As many may run as the lane has slots (conf/practices). One that dies leaves its group to the others. Ends with 22 where practices
were set aside.
"""


@practices.command(help=WORK)
@_SOURCE
@click.option("--lane", type=_LANES, required=True)
@_UNTIL_IDLE
@command_flags
def work(options: Options, source: str, lane: str, until_idle: bool) -> None:
    from wardlake.pipelines.practices.ingest import work as run

    with _opened(options, source) as at_work:
        done = run(at_work, Lane(lane), until_idle=until_idle, told=_told())
        text = f"{done.pieces} practices' pieces in {done.groups} groups, {done.rows:,} entries; {len(done.set_aside)} set aside"
        answer(options, dataclasses.asdict(done), text)
        if done.set_aside:  # the answer is printed: stdout holds one object
            part = DoneInPart("Practices were set aside.", which=done.set_aside, next_step="wardlake practices board")
            sys.exit(report_error(part, as_json=False))


INGEST = """Watch until all that waits now is merged; `wardlake practices work` merges it.

Ends with 22 and names the practices that are set aside, or late after --minutes.

\b
  wardlake practices ingest
  wardlake practices ingest --practice P1 --minutes 5
  wardlake practices ingest --lane steady
"""


@practices.command(help=INGEST)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times. By default all.")
@click.option("--lane", type=_LANES, help="Only practices of this lane.")
@click.option("--minutes", type=click.FloatRange(min=0), default=60.0, show_default=True)
@command_flags
def ingest(options: Options, source: str, names: tuple[str, ...], lane: str | None, minutes: float) -> None:
    from wardlake.pipelines.practices.watching import line, wait

    with _opened(options, source) as at_work:
        done = wait(at_work, names, Lane(lane) if lane else None, minutes=minutes, told=_told())
        answer(options, done, "\n".join(line(each) for each in done["practices"]) or "nothing waits")


@practices.command(help="How far each practice is: its lane, what waits, the last change that was merged, why it is set aside.")
@_SOURCE
@click.option("--practice", "names", multiple=True)
@command_flags
def board(options: Options, source: str, names: tuple[str, ...]) -> None:
    from wardlake.pipelines.practices.watching import line, show

    with _opened(options, source) as at_work:
        found = show(at_work, names)
        answer(options, found, "\n".join(line(each) for each in found["practices"]) or "no practice was let in yet")


@practices.command(help="Have practices that were set aside tried again, once what was wrong is mended.")
@_SOURCE
@click.option("--practice", "names", multiple=True, required=True)
@command_flags
def release(options: Options, source: str, names: tuple[str, ...]) -> None:
    from wardlake.pipelines.practices.watching import require

    with _opened(options, source) as at_work:
        require(at_work, names)
        released = at_work.queue.release(names)
        answer(options, {"released": released}, f"{len(released)} tried again: {', '.join(released) or 'none was set aside'}")


@contextmanager
def _opened(options: Options, source: str) -> Iterator[Practices]:
    with opened(options) as context:
        yield open_practices(context.settings, context.wiring, source)


def _told() -> Callable[[str], Any]:
    return lambda text: ERRORS.print(text, markup=False)
