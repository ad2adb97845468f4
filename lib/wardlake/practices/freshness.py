"""Whether each practice has its marts of the day before by the time that it expects them. Pure.

A practice is judged by its own clock and by nothing that a scheduler says: one whose run never began is as late as one whose run
failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from wardlake.model.practices import Lane, PracticesSpec, PracticeState, Standing


class Freshness(StrEnum):
    """From best to worst."""

    FRESH = "fresh"  # it has the day before
    ON_THE_WAY = "on the way"  # not yet, and there is time
    AT_RISK = "at risk"  # not yet, and it is expected soon
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A practice's freshness. `has`: the day up to which all its marts are; `due`: when `wants` is expected.

    `estimate`: when what waits of it will be merged at the lane's pace, where that is known.
    """

    state: PracticeState
    freshness: Freshness
    has: date | None
    wants: date
    due: datetime
    estimate: datetime | None

    @property
    def practice(self) -> str:
        return self.state.practice


def day_wanted(spec: PracticesSpec, practice: str, now: datetime, *, mornings_on: int = 0) -> tuple[date, datetime]:
    """The day that a practice wants by its next expected time, or wanted by today's where that is past; and that time in UTC.

    From the moment that a day is over where the practice is, that day is wanted by the next morning. `mornings_on`: the same for
    a later morning, by the calendar: where clocks change, a day is not 24 hours.
    """
    zone = ZoneInfo(spec.time_zone_of(practice))
    today = now.astimezone(zone).date() + timedelta(days=mornings_on)
    due = datetime.combine(today, spec.expected_by_of(practice), zone)
    return today - timedelta(days=1), due.astimezone(UTC)


def day_ends(spec: PracticesSpec, practice: str, day: date) -> datetime:
    """When a day is over where the practice is, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(spec.time_zone_of(practice))).astimezone(UTC)


def is_whole(state: PracticeState, captured_to: datetime | None, ends: datetime) -> bool:
    """Whether all that the source committed by then is captured and merged, and the practice is not set aside."""
    is_there = state.standing is Standing.READY and not state.base_waits
    is_merged = is_there and (state.oldest is None or state.oldest >= ends)
    return is_merged and captured_to is not None and captured_to >= ends


def judge(
    spec: PracticesSpec, state: PracticeState, has: date | None, now: datetime, *, ahead: int, pace: Mapping[Lane, float]
) -> Verdict:
    """`ahead`: entries of its lane that wait, its own among them; `pace`: entries a second that a lane merged last."""
    wants, due = day_wanted(spec, state.practice, now)
    estimate = _estimate(state, now, ahead, pace)
    if has is not None and has >= wants:
        freshness = Freshness.FRESH
    elif now >= due:
        freshness = Freshness.LATE
    elif now >= due - timedelta(hours=spec.warn_hours) or state.standing is not Standing.READY or (estimate or now) > due:
        freshness = Freshness.AT_RISK
    else:
        freshness = Freshness.ON_THE_WAY
    return Verdict(state=state, freshness=freshness, has=has, wants=wants, due=due, estimate=estimate)


def judge_all(
    spec: PracticesSpec,
    states: Iterable[PracticeState],
    has: Mapping[str, date],
    now: datetime,
    pace: Mapping[Lane, float],
) -> list[Verdict]:
    """Every practice that was let in, the worst first."""
    known = [state for state in states if state.onboarded]
    ahead = {lane: sum(state.rows for state in known if state.lane is lane) for lane in Lane}
    found = [judge(spec, each, has.get(each.practice), now, ahead=ahead[each.lane], pace=pace) for each in known]
    order = list(Freshness)
    return sorted(found, key=lambda each: (-order.index(each.freshness), each.due, each.practice))


def metrics(verdicts: Iterable[Verdict], now: datetime) -> str:
    """Counts and the worst ages in Prometheus' text format: labels are lanes and states, never a practice."""
    listed = list(verdicts)
    lines = ["# HELP wardlake_practices Practices by lane and freshness.", "# TYPE wardlake_practices gauge"]
    for lane in Lane:
        for freshness in Freshness:
            count = sum(each.state.lane is lane and each.freshness is freshness for each in listed)
            lines.append(f'wardlake_practices{{lane="{lane}",freshness="{freshness}"}} {count}')
    lines += ["# HELP wardlake_practices_set_aside Practices set aside.", "# TYPE wardlake_practices_set_aside gauge"]
    lines.append(f"wardlake_practices_set_aside {sum(each.state.standing is not Standing.READY for each in listed)}")
    lines += ["# HELP wardlake_waiting_entries Entries of the change log that wait.", "# TYPE wardlake_waiting_entries gauge"]
    lines += [
        f'wardlake_waiting_entries{{lane="{lane}"}} {sum(e.state.rows for e in listed if e.state.lane is lane)}' for lane in Lane
    ]
    late = [(now - each.due).total_seconds() for each in listed if each.freshness is Freshness.LATE]
    lines += ["# HELP wardlake_latest_seconds How late the latest practice is.", "# TYPE wardlake_latest_seconds gauge"]
    lines.append(f"wardlake_latest_seconds {max(late, default=0.0):.0f}")
    return "\n".join(lines) + "\n"


def _estimate(state: PracticeState, now: datetime, ahead: int, pace: Mapping[Lane, float]) -> datetime | None:
    """Everything of the lane that waits may come first; nothing waits: now."""
    if not state.rows:
        return now
    a_second = pace.get(state.lane, 0.0)
    return now + timedelta(seconds=ahead / a_second) if a_second > 0 else None
