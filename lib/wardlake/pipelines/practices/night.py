"""The plan of `wardlake practices night`: who is awaited until when, and in which rounds marts are built. Pure.

Light on purpose: a scheduler imports it to map the steps and needs neither Spark nor the ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from wardlake.model.plan import Plan, Step
from wardlake.model.practices import Lane, PracticesSpec, PracticeState, Standing
from wardlake.practices.freshness import day_ends, day_wanted, is_whole

ENQUEUE, MARTS, FRESHNESS = "enqueue", "marts", "freshness"
WAIT = {lane: f"wait-{lane}" for lane in Lane}
PLAN = Plan(
    name="practices-night",
    lock="practices/{source}/night",  # a round holds it while it builds
    steps=(
        Step(name=ENQUEUE, title="Put every practice on the night's list"),
        *(Step(name=WAIT[lane], title=f"Wait for practices of the {lane} lane", needs=(ENQUEUE,), pool=lane) for lane in Lane),
        Step(name=MARTS, title="Build the marts of who is there", needs=(ENQUEUE,)),
        Step(name=FRESHNESS, title="Name who is not on time", needs=(*WAIT.values(), MARTS)),
    ),
)

AHEAD = timedelta(hours=12)  # a morning that is nearer than this is this night's
PATIENCE = timedelta(hours=1)  # how long a night waits where every morning is past already
TOGETHER = timedelta(hours=1)  # mornings that are no further apart share their rounds
MOST_PARTS = 100  # of a lane: what a scheduler is given to watch, however many practices there are
NEARLY_ALL = 0.9  # of those who are not set aside: then the first round does not wait for the rest
# When a morning's rounds begin at the latest, as shares of the time until then. What is left after the last is for building.
ROUNDS = ((1 / 2, NEARLY_ALL), (3 / 4, 1.0), (7 / 8, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A practice that this night is for: the day that it wants, when that day is over, and when its marts are expected.

    `last_call`: whoever is not there by then is in no round of its morning. Times are in UTC.
    """

    practice: str
    lane: Lane
    day: date
    ends: datetime
    due: datetime
    last_call: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Marts are built of all who are there: at `latest`, or before once this share of its morning (its `last_call`) is.

    `morning`: when they are to be built by.
    """

    latest: datetime
    last_call: datetime
    morning: datetime
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """Who is expected, by practice, and the rounds, by time."""

    expected: tuple[Expected, ...]
    rounds: tuple[Round, ...]


class Progress(StrEnum):
    """How far a practice is on its way to the day that it wants."""

    DONE = "done"  # its marts hold that day
    THERE = "there"  # all changes of the day are merged: a round can build it
    AWAITED = "awaited"
    ASIDE = "set aside"
    GONE = "gone"  # it left, or went into another practice, since the night was listed


SETTLED = (Progress.DONE, Progress.THERE, Progress.GONE)


def plan_night(
    spec: PracticesSpec,
    states: Iterable[PracticeState],
    has: Mapping[str, date],
    now: datetime,
    *,
    minutes: float | None = None,
) -> Night:
    """The night as of now: everybody who lacks the last day that is over, or the one that is over before a morning that is near.

    `minutes`: the night is over by then, whatever the mornings say.
    """
    until = now + timedelta(minutes=minutes) if minutes is not None else None
    asked = [_wanted(spec, state, has.get(state.practice), now, until) for state in states if state.onboarded]
    wanted = [each for each in asked if each is not None]
    mornings = [due for _, _, due in wanted if due > now]
    late_until = until or max(mornings, default=now + PATIENCE)
    deadlines = {state.practice: min(due if due > now else late_until, late_until) for state, _, due in wanted}
    calls = _last_calls(deadlines.values(), now)
    expected = tuple(
        Expected(
            practice=state.practice,
            lane=state.lane,
            day=day,
            ends=ends,
            due=due,
            last_call=calls[deadlines[state.practice]],
        )
        for state, day, due in wanted
        if (ends := day_ends(spec, state.practice, day)) < calls[deadlines[state.practice]]
    )
    awaited = {each.last_call for each in expected}
    rounds = [each for each in _rounds(deadlines.values(), now) if each.last_call in awaited]
    return Night(expected=expected, rounds=tuple(rounds))


def _wanted(
    spec: PracticesSpec, state: PracticeState, has: date | None, now: datetime, until: datetime | None
) -> tuple[PracticeState, date, datetime] | None:
    """The day that a practice lacks, and when that is due; None for one that is fresh and whose next morning is far."""
    day, due = day_wanted(spec, state.practice, now, mornings_on=1)
    if due - now > AHEAD or (until is not None and day_ends(spec, state.practice, day) >= until):
        day, due = day_wanted(spec, state.practice, now)
    return (state, day, due) if has is None or has < day else None


def _mornings(deadlines: Iterable[datetime]) -> list[list[datetime]]:
    """Deadlines that share their rounds, by time; the first of each morning counts for all of it."""
    mornings: list[list[datetime]] = []
    for deadline in sorted(set(deadlines)):
        if mornings and deadline - mornings[-1][0] <= TOGETHER:
            mornings[-1].append(deadline)
        else:
            mornings.append([deadline])
    return mornings


def _rounds(deadlines: Iterable[datetime], now: datetime) -> list[Round]:
    """Each morning's rounds in the time since the one before."""
    rounds: list[Round] = []
    begin = now
    for morning in _mornings(deadlines):
        moments = [(begin + (morning[0] - begin) * part, share) for part, share in ROUNDS]
        rounds += [Round(latest=moment, last_call=moments[-1][0], morning=morning[0], share=share) for moment, share in moments]
        begin = morning[0]
    return rounds


def _last_calls(deadlines: Iterable[datetime], now: datetime) -> dict[datetime, datetime]:
    """By deadline, when the last round of its morning begins."""
    known = list(deadlines)
    calls = sorted({each.last_call for each in _rounds(known, now)})
    mornings = zip(_mornings(known), calls, strict=True)
    return {deadline: call for morning, call in mornings for deadline in morning}


def progress_of(expected: Expected, state: PracticeState | None, has: date | None, captured_to: datetime | None) -> Progress:
    """How far a practice is. One of which nothing was ever merged has no marts to build."""
    if state is None or not state.onboarded:
        return Progress.GONE
    if has is not None and has >= expected.day:
        return Progress.DONE
    if state.standing is not Standing.READY:
        return Progress.ASIDE
    whole = is_whole(state, captured_to, expected.ends) and state.watermark.merges > 0
    return Progress.THERE if whole else Progress.AWAITED


def is_due(found: Round, night: Night, progress: Mapping[str, Progress], now: datetime) -> bool:
    """Whether a round begins: one practice that is slow or set aside keeps nobody from the first, and from none for ever."""
    concerned = [progress[each.practice] for each in night.expected if each.last_call == found.last_call]
    ready = sum(each in SETTLED for each in concerned)
    able = len(concerned) - (concerned.count(Progress.ASIDE) if found.share < 1 else 0)
    return now >= found.latest or (able > 0 and ready >= found.share * able)


def longest_turn(mornings: Iterable[datetime], now: datetime, least: timedelta) -> timedelta:
    """How long a command may build: half of what is left until the next morning, so that one that hangs leaves the rest time."""
    ahead = [morning - now for morning in mornings if morning > now]
    return max(min(ahead) / 2, least) if ahead else least


def group_practices(
    there: Sequence[str], doubtful: Sequence[Sequence[str]], size: int
) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """The groups to build first, and those after them: who was at hand when a build did not come back."""
    last = [[name for name in group if name in there] for group in doubtful]
    sure = [name for name in there if not any(name in group for group in last)]
    return [sure[begin : begin + size] for begin in range(0, len(sure), size)], [group for group in last if group]


def doubt(doubtful: Sequence[Sequence[str]], at_hand: Sequence[str]) -> list[list[str]]:
    """The doubtful groups after a build of `at_hand` did not come back: these in halves, behind the rest, until one is alone."""
    half = (len(at_hand) + 1) // 2
    return [*map(list, doubtful), *(list(part) for part in (at_hand[:half], at_hand[half:]) if part)]


def part_practices(night: Night, lane: Lane) -> list[list[str]]:
    """The practices of a lane in as many parts as there are practices, or as a scheduler can watch."""
    names = sorted(each.practice for each in night.expected if each.lane is lane)
    size = -(-len(names) // MOST_PARTS) or 1
    return [names[begin : begin + size] for begin in range(0, len(names), size)]


def to_document(night: Night) -> dict[str, Any]:
    """The night as JSON data."""
    return {
        "expected": [
            {
                "practice": each.practice,
                "lane": each.lane.value,
                "day": each.day.isoformat(),
                **{name: getattr(each, name).isoformat() for name in ("ends", "due", "last_call")},
            }
            for each in night.expected
        ],
        "rounds": [
            {**{name: getattr(each, name).isoformat() for name in ("latest", "last_call", "morning")}, "share": each.share}
            for each in night.rounds
        ],
    }


def from_document(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> Night:
    """What `to_document` made."""
    at = datetime.fromisoformat
    return Night(
        expected=tuple(
            Expected(
                practice=each["practice"],
                lane=Lane(each["lane"]),
                day=date.fromisoformat(each["day"]),
                ends=at(each["ends"]),
                due=at(each["due"]),
                last_call=at(each["last_call"]),
            )
            for each in document["expected"]
        ),
        rounds=tuple(
            Round(
                latest=at(each["latest"]),
                last_call=at(each["last_call"]),
                morning=at(each["morning"]),
                share=each["share"],
            )
            for each in document["rounds"]
        ),
    )
