"""The night as data: who is awaited until when, when a round begins, and that one practice keeps nobody else from theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from wardlake.model.practices import FileCapture, Lane, PracticesSpec, PracticeState, Standing, Watermark
from wardlake.pipelines.practices.night import (
    MARTS,
    MOST_PARTS,
    PLAN,
    WAIT,
    Night,
    Progress,
    doubt,
    from_document,
    group_practices,
    is_due,
    longest_turn,
    part_practices,
    plan_night,
    progress_of,
    to_document,
)

ROOT = Path(__file__).parents[3]
SPEC = PracticesSpec(
    name="clinics",
    practice_column="practice",
    capture=FileCapture(folder="x"),
    time_zone="America/New_York",
    time_zones={"pacific": "America/Los_Angeles"},
)
FRIDAY, SATURDAY = date(2026, 1, 30), date(2026, 1, 31)


def at(text: str, day: str = "2026-01-31") -> datetime:
    """A moment by the clock of New York."""
    return datetime.fromisoformat(f"{day}T{text}:00-05:00").astimezone(UTC)


def state(practice: str, **rest: Any) -> PracticeState:
    whole = {
        "onboarded": True,
        "waiting": (),
        "lane": Lane.STEADY,
        "standing": Standing.READY,
        "reason": "",
        "tables": (),
        "leased": False,
        "rows": 0,
        "oldest": None,
        "watermark": Watermark(merges=1),
    }
    return PracticeState(practice=practice, **{**whole, **rest})


def plan(now: datetime, *names: str, has: Mapping[str, date] | None = None, minutes: float | None = None) -> Night:
    return plan_night(SPEC, [state(name) for name in names], has or {}, now, minutes=minutes)


def days(night: Night) -> dict[str, date]:
    return {each.practice: each.day for each in night.expected}


def test_after_midnight_everybody_who_lacks_the_day_that_is_over_is_expected_by_the_morning() -> None:
    night = plan(at("00:30"), "north", "south", has={"north": FRIDAY - timedelta(days=1), "south": FRIDAY})
    assert days(night) == {"north": FRIDAY}
    (north,) = night.expected
    assert (north.ends, north.due) == (at("00:00"), at("06:00"))


def test_a_practice_where_the_day_still_lasts_is_awaited_for_that_day() -> None:
    night = plan(at("00:30"), "pacific", has={"pacific": FRIDAY - timedelta(days=1)})
    assert days(night) == {"pacific": FRIDAY}
    assert night.expected[0].ends == at("03:00")


def test_in_the_daytime_only_who_is_late_is_expected_and_soon() -> None:
    night = plan(at("10:00"), "north", "south", has={"south": FRIDAY})
    assert days(night) == {"north": FRIDAY}
    assert at("10:00") < night.expected[0].last_call < at("11:00")


@pytest.mark.parametrize("sunday", [date(2026, 3, 8), date(2026, 11, 1)])
def test_where_clocks_change_the_night_is_for_every_time_zone(sunday: date) -> None:
    zones = {name: f"America/{name}" for name in ("New_York", "Chicago", "Denver", "Los_Angeles")}
    spec = replace(SPEC, time_zones=zones)
    now = datetime.combine(sunday, time(0, 5), ZoneInfo("America/New_York")).astimezone(UTC)
    saturday = sunday - timedelta(days=1)
    has = dict.fromkeys(zones, saturday - timedelta(days=1))
    night = plan_night(spec, [state(name) for name in zones], has, now)
    assert days(night) == dict.fromkeys(zones, saturday)
    mornings = {name: datetime.combine(sunday, time(6), ZoneInfo(zone)) for name, zone in zones.items()}
    assert {each.practice: each.due for each in night.expected} == mornings


def test_a_practice_that_nobody_let_in_is_not_expected() -> None:
    assert plan_night(SPEC, [state("met", onboarded=False)], {}, at("00:30")).expected == ()


def test_rounds_come_closer_towards_the_morning_and_leave_time_to_build() -> None:
    night = plan(at("02:00"), "north")
    assert [each.latest for each in night.rounds] == [at("04:00"), at("05:00"), at("05:30")]
    assert night.expected[0].last_call == at("05:30")


def test_a_later_morning_has_rounds_of_its_own() -> None:
    night = plan(at("02:00"), "north", "pacific")
    assert [each.latest for each in night.rounds][3:] == [at("07:30"), at("08:15"), datetime(2026, 1, 31, 13, 37, 30, tzinfo=UTC)]
    assert {each.practice: each.last_call for each in night.expected} == {
        "north": at("05:30"),
        "pacific": night.rounds[-1].latest,
    }


def test_minutes_end_the_night_before_the_morning_and_ask_for_the_day_that_is_over_by_then() -> None:
    held = {"north": FRIDAY - timedelta(days=1), "pacific": FRIDAY - timedelta(days=1)}
    night = plan(at("00:30"), "north", "pacific", "new", has=held, minutes=80)
    assert days(night) == {"north": FRIDAY, "new": FRIDAY}
    assert night.rounds[-1].latest == at("00:30") + timedelta(minutes=70)
    assert days(plan(at("00:30"), "pacific", minutes=80)) == {"pacific": FRIDAY - timedelta(days=1)}


def test_mornings_within_an_hour_share_their_rounds() -> None:
    spec = replace(SPEC, expected_times={"north": "05:30", "south": "06:10"})
    night = plan_night(spec, [state("north"), state("south")], {}, at("01:30"))
    assert len(night.rounds) == 3
    assert {each.last_call for each in night.expected} == {at("05:00")}


@pytest.mark.parametrize(
    ("rest", "has", "progress"),
    [
        ({}, FRIDAY, Progress.DONE),
        ({"standing": Standing.QUARANTINED}, FRIDAY, Progress.DONE),
        ({"standing": Standing.QUARANTINED}, None, Progress.ASIDE),
        ({"standing": Standing.WAITING}, None, Progress.ASIDE),
        ({"rows": 1, "oldest": at("23:59", "2026-01-30")}, None, Progress.AWAITED),
        ({"rows": 1, "oldest": at("00:01")}, None, Progress.THERE),
        ({"rows": 1, "oldest": at("00:01"), "base_waits": True}, None, Progress.AWAITED),
        ({"watermark": Watermark()}, None, Progress.AWAITED),
    ],
)
def test_a_practice_is_there_when_all_of_its_day_is_merged(rest: dict[str, Any], has: date | None, progress: Progress) -> None:
    (north,) = plan(at("00:30"), "north").expected
    assert progress_of(north, state("north", **rest), has, at("00:20")) is progress


def test_a_practice_that_left_since_is_not_waited_for() -> None:
    night = plan(at("02:00"), "north")
    (north,) = night.expected
    assert progress_of(north, None, None, at("02:00")) is Progress.GONE
    assert progress_of(north, state("north", onboarded=False), None, at("02:00")) is Progress.GONE
    assert all(due(night, number, at("02:05"), north=Progress.GONE) for number in range(3))


def test_nobody_is_there_before_capture_has_read_past_the_day() -> None:
    (north,) = plan(at("00:30"), "north").expected
    assert progress_of(north, state("north"), None, at("23:50", "2026-01-30")) is Progress.AWAITED
    assert progress_of(north, state("north"), None, None) is Progress.AWAITED


TWENTY = [f"p{number:02}" for number in range(20)]


def due(night: Night, number: int, now: datetime, **others: Progress) -> bool:
    progress = {each.practice: Progress.THERE for each in night.expected} | others
    return is_due(night.rounds[number], night, progress, now)


def test_one_slow_and_one_set_aside_do_not_hold_up_the_first_round() -> None:
    night = plan(at("02:00"), *TWENTY)
    assert due(night, 0, at("02:05"), p00=Progress.AWAITED, p01=Progress.ASIDE)
    assert not due(night, 1, at("02:05"), p00=Progress.AWAITED, p01=Progress.ASIDE)
    assert due(night, 1, at("05:00"), p00=Progress.AWAITED, p01=Progress.ASIDE)


def test_the_first_round_waits_for_nearly_all_until_its_time_has_come() -> None:
    night = plan(at("02:00"), *TWENTY)
    slow = {name: Progress.AWAITED for name in TWENTY[:3]}
    assert not due(night, 0, at("03:59"), **slow)
    assert due(night, 0, at("04:00"), **slow)


def test_every_round_begins_at_once_when_nobody_is_missing() -> None:
    night = plan(at("02:00"), *TWENTY)
    assert all(due(night, number, at("02:00")) for number in range(3))


def test_a_round_does_not_wait_for_whose_morning_is_later() -> None:
    night = plan(at("02:00"), *TWENTY, "pacific")
    assert due(night, 0, at("02:05"), pacific=Progress.AWAITED)
    assert not due(night, 3, at("02:05"), pacific=Progress.AWAITED)


def test_all_set_aside_is_nobody_to_build() -> None:
    night = plan(at("02:00"), "north")
    assert not due(night, 0, at("02:05"), north=Progress.ASIDE)


def test_a_scheduler_watches_each_practice_or_as_many_parts_as_it_can() -> None:
    assert part_practices(plan(at("00:30"), *TWENTY), Lane.STEADY) == [[name] for name in TWENTY]
    assert part_practices(plan(at("00:30"), *TWENTY), Lane.BACKFILL) == []
    many = [f"p{number:04}" for number in range(5000)]
    parts = part_practices(plan(at("00:30"), *many), Lane.STEADY)
    assert len(parts) == MOST_PARTS
    assert sorted(name for part in parts for name in part) == many


def test_a_build_that_hangs_leaves_half_of_the_time_until_the_morning() -> None:
    night = plan(at("02:00"), "north", "pacific")
    mornings, least = {each.morning for each in night.rounds}, timedelta(minutes=10)
    assert mornings == {at("06:00"), at("09:00")}
    assert longest_turn(mornings, at("04:00"), least) == timedelta(hours=1)
    assert longest_turn(mornings, at("05:50"), least) == least
    assert longest_turn(mornings, at("07:00"), least) == timedelta(hours=1)
    assert longest_turn(mornings, at("09:00"), least) == least


def test_who_was_at_hand_when_a_build_did_not_come_back_is_built_last_and_in_halves() -> None:
    assert group_practices(TWENTY, [], 8) == ([TWENTY[:8], TWENTY[8:16], TWENTY[16:]], [])
    doubtful = doubt([], TWENTY[:8])
    first, last = group_practices(TWENTY, doubtful, 8)
    assert first == [TWENTY[8:16], TWENTY[16:]]
    assert last == [TWENTY[:4], TWENTY[4:8]]
    assert doubt([["p04"]], ["p00"]) == [["p04"], ["p00"]]  # who hangs alone is behind the rest
    assert group_practices(["p04"], [["p04"], ["p00"]], 8) == ([], [["p04"]])


@pytest.mark.parametrize("hangs", ["p00", "p11", "p19"])
def test_one_that_hangs_whenever_it_is_built_keeps_nobody_else_from_theirs(hangs: str) -> None:
    doubtful: list[list[str]] = []
    there, commands = list(TWENTY), 0
    while there != [hangs]:
        commands += 1
        first, last = group_practices(there, doubtful, 8)
        groups = [*first, *last]
        stuck = next(number for number, group in enumerate(groups) if hangs in group)
        there = [name for name in there if not any(name in group for group in groups[:stuck])]
        doubtful = doubt([list(group) for group in groups[max(stuck + 1, len(first)) :]], groups[stuck])
    assert commands <= 5


def test_a_night_comes_back_from_its_document() -> None:
    night = plan(at("00:30"), "north", "pacific")
    assert from_document(to_document(night)) == night


def test_the_plan_waits_in_two_pools_and_its_last_step_needs_all_others() -> None:
    assert {step.pool for step in PLAN.steps if step.name in WAIT.values()} == {"steady", "backfill"}
    assert PLAN.step("freshness").needs == (*WAIT.values(), MARTS)


def test_the_scheduler_s_pools_are_those_of_the_plan() -> None:
    pools = json.loads((ROOT / "infra" / "airflow" / "pools.json").read_text())
    assert pools.keys() == {step.pool for step in PLAN.steps} - {"default"}
    assert all(pool["slots"] > 0 for pool in pools.values())
