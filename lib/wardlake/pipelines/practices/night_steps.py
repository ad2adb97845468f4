"""The steps of `wardlake practices night`: list, wait, build in rounds, name who is not on time.

Waiting asks PostgreSQL alone; a round that has somebody to build is the only thing here that starts Spark.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import PracticeState
from wardlake.pipelines.practices.freshness import alarm, days_held, look
from wardlake.pipelines.practices.marts import GROUP, build_marts
from wardlake.pipelines.practices.night import (
    PLAN,
    SETTLED,
    Expected,
    Night,
    Progress,
    doubt,
    from_document,
    group_practices,
    is_due,
    plan_night,
    progress_of,
    to_document,
)
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.practices.freshness import Freshness, Verdict

NIGHTS = "practice-nights"  # by source and night: who is expected
ROUNDS_OVER = "practice-night-rounds"  # by source and night: the numbers of those that were built
BUILDING = "practice-night-building"  # by source and night: whom a build is at, and the groups that one did not come back from
POLL_SECONDS = 3.0
LOCK_SECONDS = 600.0
NAMED_IN_A_LINE = 10


def enqueue(practices: Practices, night: str, *, minutes: float | None, told: Told) -> Night:
    """Put every practice that this night is for on its list; a night that has one keeps it, so that a step can be repeated."""
    registry = practices.ports.registry
    if registry.get(NIGHTS, _key(practices, night)) is None:
        states, now = practices.queue.states(), practices.ports.clock.now()
        planned = plan_night(practices.spec, states, days_held(practices), now, minutes=minutes)
        registry.insert(NIGHTS, _key(practices, night), to_document(planned))
        told(f"night {night}: {len(planned.expected)} practices, {len(planned.rounds)} rounds")
    return open_night(practices, night)


def open_night(practices: Practices, night: str) -> Night:
    """The list of a night; raises `ConfigurationError` where there is none."""
    document = practices.ports.registry.get(NIGHTS, _key(practices, night))
    if document is None:
        what = f"No such night: {night}."
        raise ConfigurationError(what=what, next_step=f"wardlake practices night --night {night} --only enqueue")
    return from_document(document)


def wait(practices: Practices, night: str, names: Collection[str], *, turn: float, told: Told) -> dict[str, Any]:
    """Watch these practices until each is there, set aside or past its last call, or for `turn` seconds.

    `awaited`: who is none of these yet. Nobody else waits for them: rounds ask the queue, not who waits.
    """
    listed = open_night(practices, night)
    _require_listed(night, listed, names)
    chosen = [each for each in listed.expected if each.practice in names]
    for progress, is_over in _looks(practices, chosen, turn, told):
        now = practices.ports.clock.now()
        missing = [each for each in chosen if progress[each.practice] is Progress.AWAITED]
        late = [each.practice for each in missing if now >= each.last_call]
        awaited = [each.practice for each in missing if now < each.last_call]
        if is_over or not awaited:
            return {**_answer(practices, night, progress), "awaited": awaited, "late": late}
    raise AssertionError


def build_rounds(practices: Practices, night: str, *, turn: float, told: Told) -> dict[str, Any]:
    """Build the marts of all who are there, each time that a round is due, until no round is left or for `turn` seconds.

    `rounds_left`: who arrives is built by one of these. A practice that cannot be built keeps what it has and is tried again.
    """
    listed = open_night(practices, night)
    built: Counter[str] = Counter()
    failed: dict[str, str] = {}
    for progress, is_over in _looks(practices, listed.expected, turn, told):
        left = set(range(len(listed.rounds))) - _rounds_over(practices, night)
        due = {each for each in left if is_due(listed.rounds[each], listed, progress, practices.ports.clock.now())}
        if due:
            done = _build(practices, night, listed, told)
            built.update(done["built"])
            failed = done["failed"]
            over = sorted(_rounds_over(practices, night) | due)
            practices.ports.registry.put(ROUNDS_OVER, _key(practices, night), {"rounds": over})
        left -= due
        if is_over or not left:
            return {**_answer(practices, night, progress), "rounds_left": len(left), "built": dict(built), "failed": failed}
    raise AssertionError


def _rounds_over(practices: Practices, night: str) -> set[int]:
    return set((practices.ports.registry.get(ROUNDS_OVER, _key(practices, night)) or {"rounds": ()})["rounds"])


def _build(practices: Practices, night: str, listed: Night, told: Told) -> dict[str, Any]:
    """Whoever is there once no other night builds; nobody: nothing is started.

    Whose build did not come back is remembered and built after all others the next time, in halves: one practice that hangs is
    soon alone, and keeps nobody else from theirs.
    """
    built: Counter[str] = Counter()
    failed: dict[str, str] = {}
    with practices.ports.registry.lock(PLAN.lock.format(source=practices.spec.name), wait_seconds=LOCK_SECONDS):
        there = [name for name, each in _progress(practices, listed.expected).items() if each is Progress.THERE]
        if there:
            told(f"building the marts of {len(there)} practices")
        days = {each.practice: each.day for each in listed.expected}
        there.sort(key=lambda name: (days[name], name))
        first, last = group_practices(there, _doubtful(practices, night, told), GROUP)
        for number, group in enumerate([*first, *last], start=1):
            done = _build_group(practices, night, group, last[max(0, number - len(first)) :], told)
            built.update(done["built"])
            failed |= done["failed"]
    return {"built": dict(built), "failed": failed}


def _doubtful(practices: Practices, night: str, told: Told) -> list[list[str]]:
    """The groups that a build did not come back from, whatever ended it."""
    found = practices.ports.registry.get(BUILDING, _key(practices, night)) or {"doubtful": [], "at_hand": []}
    if found["at_hand"]:
        told(f"a build of {len(found['at_hand'])} practices did not come back: they are built last")
    return doubt(found["doubtful"], found["at_hand"])


def _build_group(
    practices: Practices, night: str, group: Sequence[str], doubtful: Sequence[Sequence[str]], told: Told
) -> dict[str, Any]:
    registry, key = practices.ports.registry, _key(practices, night)
    came_back = {"doubtful": doubtful, "at_hand": []}
    registry.put(BUILDING, key, {"doubtful": doubtful, "at_hand": group})
    try:
        done = build_marts(practices, group, only=(), again=False, day=None, told=told)
    except Exception:
        registry.put(BUILDING, key, came_back)  # a store that does not answer is nobody's fault
        raise
    registry.put(BUILDING, key, came_back)
    return done


def name_late(practices: Practices, night: str, *, told: Told) -> dict[str, Any]:
    """Who is on time and who is not, with why; people are paged for those they were not paged for this morning.

    A night that never came to list anybody is listed now: whose run did not begin is as late as whose run failed.
    """
    listed = enqueue(practices, night, minutes=None, told=told)
    captured_to = practices.queue.captured_to()  # before who waits: what comes between is of after it
    verdicts = {each.practice: each for each in look(practices).verdicts}
    now = practices.ports.clock.now()
    late: dict[str, str] = {}
    alarming: list[Verdict] = []
    for each in listed.expected:
        found = verdicts.get(each.practice)
        if found is None:  # no longer a practice of its own
            continue
        progress = progress_of(each, found.state, found.has, captured_to)
        if progress is not Progress.DONE:
            late[each.practice] = _why(progress, found.state)
            alarming.append(_as_alarm(each, found, now))
    alarm(practices, alarming, told)
    on_time = [each.practice for each in listed.expected if each.practice in verdicts and each.practice not in late]
    return {"source": practices.spec.name, "night": night, "on_time": on_time, "late": late}


def run_night(practices: Practices, night: str, *, minutes: float | None, told: Told) -> dict[str, Any]:
    """All steps in this process, one after another."""
    enqueue(practices, night, minutes=minutes, told=told)
    build_rounds(practices, night, turn=float("inf"), told=told)
    return name_late(practices, night, told=told)


def _as_alarm(each: Expected, found: Verdict, now: datetime) -> Verdict:
    """What the watch would say of this practice's morning, were that as near as the end of the night."""
    return replace(found, wants=each.day, due=each.due, freshness=Freshness.LATE if now >= each.due else Freshness.AT_RISK)


def _why(progress: Progress, state: PracticeState) -> str:
    """In words: no value of a row."""
    match progress:
        case Progress.ASIDE:
            return f"set aside: {state.reason} ({', '.join(state.tables)})"
        case Progress.AWAITED:
            held = ", an application has them" if state.leased else ""
            return f"{state.rows} entries wait in the {state.lane} lane{held}" if state.rows else "its day is not captured whole"
        case Progress.THERE:
            return "merged, and its marts are not built"
        case Progress.DONE | Progress.GONE:
            return "nothing is missing"


def _looks(
    practices: Practices, chosen: Collection[Expected], turn: float, told: Told
) -> Iterator[tuple[dict[str, Progress], bool]]:
    """How far everybody is, again and again, and whether the turn is over; tells people when something has changed."""
    until = time.monotonic() + turn
    last: dict[str, Progress] = {}
    while True:
        progress = _progress(practices, chosen)
        if progress != last:
            told(_line(progress))
            last = progress
        yield progress, time.monotonic() >= until
        time.sleep(POLL_SECONDS)


def _progress(practices: Practices, chosen: Collection[Expected]) -> dict[str, Progress]:
    if not chosen:
        return {}
    names = [each.practice for each in chosen]
    captured_to = practices.queue.captured_to()  # before who waits: what comes between is of after it
    states = {state.practice: state for state in practices.queue.states(names)}
    days = days_held(practices, names)
    return {each.practice: progress_of(each, states.get(each.practice), days.get(each.practice), captured_to) for each in chosen}


def _line(progress: Mapping[str, Progress]) -> str:
    """Counts, and the names of those who are missing where these are few."""
    counts = [f"{sum(each is kind for each in progress.values())} {kind}" for kind in Progress]
    missing = [name for name, each in progress.items() if each in (Progress.AWAITED, Progress.ASIDE)]
    named = f": {', '.join(missing)} missing" if 0 < len(missing) <= NAMED_IN_A_LINE else ""
    return f"{', '.join(counts)}{named}"


def _answer(practices: Practices, night: str, progress: Mapping[str, Progress]) -> dict[str, Any]:
    return {
        "source": practices.spec.name,
        "night": night,
        "there": sum(each in SETTLED for each in progress.values()),
        "awaited": [name for name, each in progress.items() if each is Progress.AWAITED],
        "set_aside": [name for name, each in progress.items() if each is Progress.ASIDE],
    }


def _require_listed(night: str, listed: Night, names: Collection[str]) -> None:
    missing = sorted(set(names) - {each.practice for each in listed.expected})
    if missing:
        raise ConfigurationError(what=f"Night {night} is not for {', '.join(missing)}.", next_step="wardlake practices freshness")


def default_name(now: datetime) -> str:
    """A night's name from when it begins."""
    return f"{now.astimezone(UTC):%Yy%mm%dd-%Hh%Mm%Ss}"


def _key(practices: Practices, night: str) -> str:
    return f"{practices.spec.name}/{night}"
