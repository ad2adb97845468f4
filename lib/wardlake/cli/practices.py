"""`wardlake practices`: the changes of many practices in one database, merged so that no practice waits for another."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
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
lost replication slot, a restored source or rows that nobody can mend. With --all, newcomers whose names read as others' are left
out; then it ends with 22 and names them.

\b
  wardlake practices onboard --practice P1 --practice P2
  wardlake practices onboard --all
  wardlake practices onboard --all --new-slot      # after the slot was lost
  wardlake practices onboard --practice P1 --new-slot   # the same, the most urgent first; then the others without --new-slot
  wardlake practices onboard --all --no-snapshot   # newcomers, whose rows come as change files
"""


@practices.command(help=ONBOARD)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times.")
@click.option("--all", "every", is_flag=True, help="Every practice that the source's rows name.")
@click.option("--snapshot/--no-snapshot", default=True, show_default=True, help="Read the rows that are there.")
@click.option(
    "--new-slot", is_flag=True, help="Capture from now on, whatever was lost before: others stay aside until they are read."
)
@command_flags
def onboard(options: Options, source: str, names: tuple[str, ...], every: bool, snapshot: bool, new_slot: bool) -> None:
    from wardlake.pipelines.practices.onboard import MEND_NAMES
    from wardlake.pipelines.practices.onboard import onboard as let_in

    if bool(names) == every:
        raise click.UsageError("give --practice, or --all")
    with _opened(options, source) as at_work:
        done = let_in(at_work, names, every=every, snapshot=snapshot, new_slot=new_slot, told=_told())
        answer(options, done, f"{len(done['practices'])} practices let in, {done['entries']:,} entries read")
    if done["alike"]:
        which = [" and ".join(map(ascii, group)) for group in done["alike"]]
        part = DoneInPart("Names of practices read the same; these were not let in.", which=which, next_step=MEND_NAMES)
        sys.exit(report_error(part, as_json=False))


SAMPLE = """Write the bundled records as the change files of practices that share a database: conf/practices/clinics.yaml.

\b
  wardlake practices sample
  wardlake practices capture --until-idle
  wardlake practices onboard --all --no-snapshot
  wardlake practices work --lane backfill --until-idle
  wardlake practices marts
"""


@practices.command(help=SAMPLE)
@click.option(
    "--source", default="", help="A Synthea export: a name under conf/sources/, or NAME=FOLDER; by default the bundled one."
)
@command_flags
def sample(options: Options, source: str) -> None:
    from wardlake.pipelines.practices.sample import write_sample

    with opened(options) as context:
        done = write_sample(context.settings, context.wiring, source)
        answer(options, done, f"{sum(done['rows'].values()):,} rows of {len(done['rows'])} tables in {done['folder']}")


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

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # a service that is stopped gives its group back
    with _opened(options, source) as at_work:
        done = run(at_work, Lane(lane), until_idle=until_idle, told=_told())
        text = f"{done.pieces} practices' pieces in {done.groups} groups, {done.rows:,} entries; {len(done.set_aside)} set aside"
        answer(options, dataclasses.asdict(done), text)
        if done.set_aside:  # the answer is printed: stdout holds one object
            part = DoneInPart("Practices were set aside.", which=done.set_aside, next_step="wardlake practices freshness")
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


MARTS_HELP = """Bring the practices' marts up to date: of those with changes since, or whose day has changed.

A practice that cannot be built keeps what it had; then the command ends with 22 and names it. So does one that is set aside,
since its raw tables may hold its last changes in part: it is named in the answer, and ends the command with 22 where --practice
asked for it.

\b
  wardlake practices marts
  wardlake practices marts --practice P1 --mart visits --again
"""


@practices.command(help=MARTS_HELP)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times. By default all.")
@click.option("--mart", "only", multiple=True, help="A mart; may be given many times. By default all.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="As of this day, by default the last that is over.")
@click.option("--again", is_flag=True, help="Also where nothing has changed.")
@command_flags
def marts(
    options: Options, source: str, names: tuple[str, ...], only: tuple[str, ...], day: datetime | None, again: bool
) -> None:
    from wardlake.pipelines.practices.marts import build_marts
    from wardlake.pipelines.practices.watching import require

    with _opened(options, source) as at_work:
        require(at_work, names)
        done = build_marts(at_work, names, only=only, again=again, day=day.date() if day else None, told=_told())
        lines = [f"{mart:<24} {count:>6} practices" for mart, count in done["built"].items()]
        lines += [f"{mart}: not built, {', '.join(lacks)} missing" for mart, lacks in done["left_out"].items()]
        lines += [f"{practice}: set aside, keeps what it had" for practice in done["set_aside"]]
        answer(options, done, "\n".join(lines) or "every mart is up to date")
        which = [f"{practice}: {why}" for practice, why in done["failed"].items()]
        which += [f"{practice}: set aside" for practice in done["set_aside"] if practice in names]
        if which:  # the answer is printed: stdout holds one object
            part = DoneInPart(
                "Practices keep what their marts held before.", which=which, next_step="wardlake practices freshness"
            )
            sys.exit(report_error(part, as_json=False))


FRESHNESS = """Which practices have their marts of the day before, and which will not by the time that they expect them.

How far each is merged, what waits, and why it is set aside stands beside it. Ends with 22 where a practice is late.

\b
  wardlake practices freshness
  wardlake practices freshness --practice P1 --json
  wardlake practices freshness --html board.html --metrics practices.prom
  wardlake practices freshness --watch --every 60    # for ever; pages before the morning
"""


@practices.command(help=FRESHNESS)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times. By default all.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the board as a page.")
@click.option("--metrics", type=click.Path(path_type=Path, dir_okay=False), help="Write counts in Prometheus' text format.")
@click.option("--watch", is_flag=True, help="Look again and again, and page for practices at risk, until stopped.")
@click.option("--every", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds between looks.")
@command_flags
def freshness(
    options: Options, source: str, names: tuple[str, ...], html: Path | None, metrics: Path | None, watch: bool, every: float
) -> None:
    from wardlake.pipelines.practices import freshness as board
    from wardlake.practices.freshness import Freshness

    with _opened(options, source) as at_work:
        outputs = board.Outputs(html=html, metrics=metrics)
        if watch:
            board.watch(at_work, names, outputs, every=every, told=_told())
        seen = board.look(at_work, names)
        shown = board.document(at_work, seen)
        board.write(outputs, shown, seen)
        answer(options, shown, board.text_of(shown))
        late = [each.practice for each in seen.verdicts if each.freshness is Freshness.LATE]
        if late:  # the answer is printed: stdout holds one object
            sys.exit(report_error(DoneInPart("Practices are late.", which=late, next_step=board.RUNBOOK), as_json=False))


RELEASE = """Have what was set aside tried again, once what was wrong is mended.

A practice: what waits of it is merged again. A damaged change file is tried again by itself as soon as it is another; --file has
it tried as it is, and lets later files go on without it where it is no longer there: what it held is then never merged.

With --without-bad-changes, changes of the practice that wait now and that do not say of which row they are (no key, or a key,
practice or values that the source did not send) are given up: all else is merged, these never, and what they told is missing or
stays as it was until the source tells the row again. How many they are is said and recorded. Later ones set it aside again.

\b
  wardlake practices release --practice P1
  wardlake practices release --practice P1 --without-bad-changes
  wardlake practices release --file visits/20260131-0001.csv
"""


@practices.command(help=RELEASE)
@_SOURCE
@click.option("--practice", "names", multiple=True, help="A practice; may be given many times.")
@click.option("--file", "files", multiple=True, help="A change file, as its page names it; may be given many times.")
@click.option(
    "--without-bad-changes", is_flag=True, help="Give up those changes of the practices that wait now and are bad by themselves."
)
@command_flags
def release(options: Options, source: str, names: tuple[str, ...], files: tuple[str, ...], without_bad_changes: bool) -> None:
    from wardlake.pipelines.practices.damaged_files import release_files
    from wardlake.pipelines.practices.onboard import release as let_go
    from wardlake.pipelines.practices.onboard import release_without_bad_changes

    if not names and not files:
        raise click.UsageError("give --practice or --file")
    if without_bad_changes and not names:
        raise click.UsageError("--without-bad-changes is of practices: give --practice")
    with _opened(options, source) as at_work:
        let = release_files(at_work, files) if files else []
        given_up = release_without_bad_changes(at_work, names) if without_bad_changes else {}
        released = list(given_up) if without_bad_changes else let_go(at_work, names) if names else []
        every = [*released, *let]
        done = {"released": released, **({"files": let} if files else {}), **({"given_up": given_up} if given_up else {})}
        lines = [f"{len(every)} tried again: {', '.join(every) or 'none was set aside'}"]
        lines += [f"{name}: {count:,} changes given up" for name, count in given_up.items()]
        answer(options, done, "\n".join(lines))


MERGE = """Close a practice that went into another, once the source has moved all its rows and these are merged.

Its entitlements end, its part of every mart is removed, and what still comes of it waits in quarantine.

\b
  wardlake practices merge --from A --into B
"""


@practices.command(help=MERGE)
@_SOURCE
@click.option("--from", "before", required=True, help="The practice that is one no more.")
@click.option("--into", required=True, help="The practice that has its rows.")
@command_flags
def merge(options: Options, source: str, before: str, into: str) -> None:
    from wardlake.pipelines.practices.unite import unite

    with _opened(options, source) as at_work:
        done = unite(at_work, before, into, told=_told())
        answer(options, done, f"{before} went into {into}")


TIDY = """Remove what nobody needs any more, write small files together, and end history; nightly, beside everything else.

Entries of the change log that are merged and tombstones of deleted rows go so many days after they came; so does what tables were
before. A change that comes later than that may be taken for new.
"""


@practices.command(help=TIDY)
@_SOURCE
@click.option("--keep-days", type=click.IntRange(min=1), default=30, show_default=True)
@command_flags
def tidy(options: Options, source: str, keep_days: int) -> None:
    from wardlake.pipelines.practices.tidy import tidy as run

    with _opened(options, source) as at_work:
        done = run(at_work, keep_days=keep_days, told=_told())
        text = f"{done['entries']:,} entries and {done['tombstones']:,} tombstones removed, {done['tables']} tables compacted"
        answer(options, done, text)


@contextmanager
def _opened(options: Options, source: str) -> Iterator[Practices]:
    with opened(options) as context:
        yield open_practices(context.settings, context.wiring, source)


def _told() -> Callable[[str], Any]:
    return lambda text: ERRORS.print(text, markup=False)
