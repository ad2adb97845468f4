"""`wardlake practices night`: every practice's marts by its morning; the same plan that a scheduler maps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import ERRORS, Options, answer, command_flags, report_error
from wardlake.model.errors import DoneInPart
from wardlake.pipelines.practices import night as night_plan
from wardlake.pipelines.practices.night import PLAN, WAIT, Night, part_practices, to_document

if TYPE_CHECKING:
    from wardlake.pipelines.practices.opening import Practices

_NEXT = "wardlake practices freshness; docs/runbooks/practice-late.md"
NIGHT = """Bring every practice's marts to the day that it wants by its morning.

Waits for what applications merge (`wardlake practices work`), builds marts in rounds of all who are there, and names who is not
on time: then it ends with 22 and people are paged. Nobody waits for a practice that is slow or set aside; one that comes later
is built by a later round.

\b
  wardlake practices night
  wardlake practices night --minutes 30               # over by then, whatever the mornings say
  wardlake practices night --only enqueue --night N   # one step, as a scheduler gives it
  wardlake practices night --only marts --night N --turn 60
"""


@click.command(help=NIGHT)
@click.option("--source", default="", help="A file under conf/practices/; may be left out where there is one.")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="How long the night is at most.")
@click.option("--night", "name", default="", help="The night's name; steps of one night have the same. By default from the time.")
@click.option("--only", type=click.Choice([step.name for step in PLAN.steps]), help="One step of a night that was named.")
@click.option("--practice", "names", multiple=True, help="With --only wait-...: whom to wait for; may be given many times.")
@click.option("--turn", type=click.FloatRange(min=0), default=float("inf"), help="Seconds that one step waits at most.")
@command_flags
def night(
    options: Options,
    source: str,
    minutes: float | None,
    name: str,
    only: str | None,
    names: tuple[str, ...],
    turn: float,
) -> None:
    from wardlake.pipelines.practices import night_steps as steps
    from wardlake.pipelines.practices.opening import open_practices

    if only and not name:
        raise click.UsageError("a step is of a night: give --night")
    if bool(names) != (only in WAIT.values()):
        raise click.UsageError("--practice goes with --only wait-..., and that with --practice")
    with opened(options) as context:
        practices = open_practices(context.settings, context.wiring, source)
        name = name or steps.default_name(context.wiring.clock.now())
        match only:
            case None:
                _tell_late(options, steps.run_night(practices, name, minutes=minutes, told=_told()))
            case night_plan.ENQUEUE:
                listed = steps.enqueue(practices, name, minutes=minutes, told=_told())
                answer(options, _listed(practices, name, listed), f"{len(listed.expected)} practices are expected")
            case night_plan.MARTS:
                _tell_built(options, steps.build_rounds(practices, name, turn=turn, told=_told()))
            case night_plan.FRESHNESS:
                _tell_late(options, steps.name_late(practices, name, told=_told()))
            case _:
                _tell_waited(options, steps.wait(practices, name, names, turn=turn, told=_told()))


def _listed(practices: Practices, name: str, listed: Night) -> dict[str, Any]:
    parts = {WAIT[lane]: part_practices(listed, lane) for lane in WAIT}
    return {"source": practices.spec.name, "night": name, "parts": parts, **to_document(listed)}


def _tell_waited(options: Options, done: Mapping[str, Any]) -> None:
    answer(options, done, f"{done['there']} are there; {len(done['awaited'])} are awaited still")
    missing = [f"{name}: set aside" for name in done["set_aside"]] + [f"{name}: not there in time" for name in done["late"]]
    if missing and not done["awaited"]:
        _end_in_part("Practices are not there for this night.", missing)


def _tell_built(options: Options, done: Mapping[str, Any]) -> None:
    built = [f"{mart:<24} {count:>6} practices" for mart, count in done["built"].items()]
    answer(options, done, "\n".join([*built, f"{done['rounds_left']} rounds are left"]))
    if done["failed"] and not done["rounds_left"]:
        _end_in_part("Practices keep what their marts held before.", [f"{name}: {why}" for name, why in done["failed"].items()])


def _tell_late(options: Options, done: Mapping[str, Any]) -> None:
    answer(options, done, f"{len(done['on_time'])} practices are on time, {len(done['late'])} are not")
    if done["late"]:
        _end_in_part("Practices are not on time.", [f"{name}: {why}" for name, why in done["late"].items()])


def _end_in_part(what: str, which: Sequence[str]) -> None:
    """The answer is printed: stdout holds one object."""
    sys.exit(report_error(DoneInPart(what, which=which, next_step=_NEXT), as_json=False))


def _told() -> Callable[[str], Any]:
    return lambda text: ERRORS.print(text, markup=False)
