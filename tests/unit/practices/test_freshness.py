"""A practice is judged by its own clock, whether a run began or not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from wardlake.model.practices import FileCapture, Lane, PracticesSpec, PracticeState, Standing, Watermark
from wardlake.practices.freshness import Freshness, Verdict, day_wanted, judge, judge_all, metrics

SPEC = PracticesSpec(
    name="clinics",
    practice_column="practice",
    capture=FileCapture(folder="x"),
    time_zone="America/New_York",
    time_zones={"tokyo": "Asia/Tokyo"},
    expected_times={"early": "04:30"},
)
YESTERDAY = date(2026, 1, 30)


def at(text: str) -> datetime:
    """A moment of 31 January 2026 by the clock of New York."""
    return datetime.fromisoformat(f"2026-01-31T{text}:00-05:00").astimezone(UTC)


def state(practice: str = "north", **rest: Any) -> PracticeState:
    whole = {
        "onboarded": True,
        "waiting": (),
        "lane": Lane.STEADY,
        "standing": Standing.READY,
        "reason": "",
        "tables": (),
        "leased": False,
        "rows": 0,
    }
    return PracticeState(practice=practice, oldest=None, watermark=Watermark(), **{**whole, **rest})


def verdict(now: datetime, has: date | None, of: PracticeState | None = None, *, ahead: int = 0, pace: float = 0.0) -> Verdict:
    return judge(SPEC, of or state(), has, now, ahead=ahead, pace={Lane.STEADY: pace})


@pytest.mark.parametrize(
    ("now", "has", "freshness"),
    [
        ("00:10", date(2026, 1, 29), Freshness.ON_THE_WAY),
        ("03:59", date(2026, 1, 29), Freshness.ON_THE_WAY),
        ("04:00", date(2026, 1, 29), Freshness.AT_RISK),
        ("06:00", date(2026, 1, 29), Freshness.LATE),
        ("06:00", None, Freshness.LATE),
        ("23:59", YESTERDAY, Freshness.FRESH),
        ("04:00", YESTERDAY, Freshness.FRESH),
    ],
)
def test_a_practice_has_until_its_own_morning(now: str, has: date | None, freshness: Freshness) -> None:
    assert verdict(at(now), has).freshness is freshness


def test_each_practice_has_its_own_clock_and_time() -> None:
    now = at("04:30")
    assert day_wanted(SPEC, "north", now) == (YESTERDAY, at("06:00"))
    assert day_wanted(SPEC, "early", now)[1] == at("04:30")
    assert day_wanted(SPEC, "tokyo", now) == (date(2026, 1, 30), datetime(2026, 1, 30, 21, tzinfo=UTC))
    assert judge(SPEC, state("early"), None, now, ahead=0, pace={}).freshness is Freshness.LATE


def test_a_night_with_a_missing_hour_does_not_move_the_morning() -> None:
    """Clocks went forward in New York on 8 March 2026 at two in the morning."""
    spring = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert day_wanted(SPEC, "north", spring) == (date(2026, 3, 7), datetime(2026, 3, 8, 10, tzinfo=UTC))


def test_who_is_set_aside_is_at_risk_at_once() -> None:
    aside = state(standing=Standing.QUARANTINED, reason="a change without a key")
    assert verdict(at("00:10"), None, aside).freshness is Freshness.AT_RISK


@pytest.mark.parametrize(
    ("pace", "freshness"), [(10.0, Freshness.ON_THE_WAY), (0.1, Freshness.AT_RISK), (0.0, Freshness.ON_THE_WAY)]
)
def test_who_will_not_be_there_in_time_at_this_pace_is_at_risk(pace: float, freshness: Freshness) -> None:
    found = verdict(at("00:10"), None, state(rows=100), ahead=5000, pace=pace)
    assert found.freshness is freshness
    assert found.estimate == (at("00:10") + timedelta(seconds=5000 / pace) if pace else None)


def test_the_worst_come_first_and_who_was_not_let_in_is_not_judged() -> None:
    states = [state("fresh"), state("late"), state("", onboarded=False), state("risk", standing=Standing.WAITING)]
    found = judge_all(SPEC, states, {"fresh": YESTERDAY, "risk": date(2026, 1, 29)}, at("03:00"), {})
    assert [(each.practice, each.freshness) for each in found] == [
        ("risk", Freshness.AT_RISK),
        ("late", Freshness.ON_THE_WAY),
        ("fresh", Freshness.FRESH),
    ]


def test_metrics_count_by_lane_and_name_no_practice() -> None:
    states = [state(f"p{n}", lane=Lane.BACKFILL if n % 2 else Lane.STEADY, rows=n) for n in range(50)]
    text = metrics(judge_all(SPEC, states, {"p2": YESTERDAY}, at("07:00"), {}), at("07:00"))
    assert 'wardlake_practices{lane="steady",freshness="fresh"} 1' in text
    assert 'wardlake_practices{lane="backfill",freshness="late"} 25' in text
    assert "wardlake_latest_seconds 3600" in text
    assert "p2" not in text
    assert len(text.splitlines()) < 30
