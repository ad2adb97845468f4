"""`wardlake practices marts`: every practice's partition of every mart, in one commit for a group of practices."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame

from wardlake.model.errors import ConfigurationError, ContractBroken, EngineLost, RunLocked, StorageUnavailable
from wardlake.model.practices import PracticeState, Standing
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.paging import page_mart_failed
from wardlake.ports.contracts import Suite
from wardlake.practices.bisection import bisect
from wardlake.practices.freshness import day_ends, is_whole
from wardlake.practices.marts.every import MARTS
from wardlake.practices.marts.mart import PRACTICE, Mart, find_untied
from wardlake.practices.marts.records import Records
from wardlake.practices.marts.sources import missing_records, select_records
from wardlake.publish.contracts import load_suite, require_contracts
from wardlake.runs.storage_failures import engine_errors_named

GROUP = 200
BUILT = "practice-marts"  # by source and practice: what each of its marts is of; written under the mart's lock alone
MART_LOCK = "practices/{source}/marts/{mart}"
LOCK_SECONDS = 600.0
BLAMELESS = (StorageUnavailable, RunLocked, EngineLost)
_NOT_BUILT = "A mart cannot be built"


@dataclass(slots=True)
class Built:
    """What was built: partitions by mart; practices that kept yesterday's, with why; marts that lack records."""

    marts: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def build_marts(
    practices: Practices,
    names: Collection[str],
    *,
    only: Collection[str],
    again: bool,
    day: date | None,
    told: Told,
    also_set_aside: bool = False,
) -> dict[str, Any]:
    """Bring marts up to date: of practices with changes since, or whose day has changed; `again`: of all.

    `day` is by default the last that is over where each practice is.

    A practice that cannot be built keeps what it has, and on-call people are told. One that is set aside keeps it too, also where
    it is named: some of its tables may hold its last changes, and others not. `also_set_aside`: build it all the same, for who
    must not leave in a mart what it holds.
    """
    chosen = _marts(practices, only)
    done = Built(left_out=chosen[1])
    captured_to = practices.queue.captured_to()
    found = [each for each in practices.queue.states(names) if each.onboarded and each.watermark.merges]
    behind = [each.practice for each in found if each.standing is not Standing.READY]
    states = [each for each in found if also_set_aside or each.practice not in behind]
    goals = {each.practice: _goal(practices, each, captured_to, day) for each in states}
    before = what_is_built(practices, names)
    for mart in chosen[0]:
        due = [name for name, goal in goals.items() if again or not goal.is_met(before.get(name, {}).get(mart.name, {}))]
        done.unchanged += len(goals) - len(due)
        for each_day in sorted({goals[name].day for name in due}):
            members = [name for name in due if goals[name].day == each_day]
            for begin in range(0, len(members), GROUP):
                _build_group(practices, mart, members[begin : begin + GROUP], goals, done, told)
        told(f"{mart.title}: {done.marts.get(mart.name, 0)} practices")
    return {
        "source": practices.spec.name,
        "built": done.marts,
        "unchanged": done.unchanged,
        "failed": done.failed,
        "left_out": done.left_out,
        "set_aside": behind,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a practice's marts are to be of: a day, and its changes so far; `is_whole`: whether all of that day's are merged."""

    day: date
    merges: int
    is_whole: bool

    def is_met(self, built: Mapping[str, Any]) -> bool:
        """Whether a mart is of this already; one of a day whose changes were not all there is built again."""
        same = built.get("day") == self.day.isoformat() and built.get("merges") == self.merges
        return same and (not self.is_whole or built.get("whole") == self.day.isoformat())

    def after(self, built: Mapping[str, Any], stamp: str) -> dict[str, Any]:
        """What is remembered of a mart once it is built; `whole` is the last day that it holds all changes of.

        `stamp`: tells this writing from every other.
        """
        whole = self.day.isoformat() if self.is_whole else built.get("whole")
        return {"day": self.day.isoformat(), "merges": self.merges, "whole": whole, "stamp": stamp}


def _goal(practices: Practices, state: PracticeState, captured_to: datetime | None, day: date | None) -> Goal:
    """A day is whole when all that the source committed in it is captured and merged, and the practice is not set aside."""
    zone = ZoneInfo(practices.spec.time_zone_of(state.practice))
    wanted = day or practices.ports.clock.now().astimezone(zone).date() - timedelta(days=1)
    ends = day_ends(practices.spec, state.practice, wanted)
    return Goal(day=wanted, merges=state.watermark.merges, is_whole=is_whole(state, captured_to, ends))


def _marts(practices: Practices, only: Collection[str]) -> tuple[list[Mart], dict[str, list[str]]]:
    """The marts to build, and those that cannot be, with what they lack."""
    unknown = sorted(set(only) - MARTS.keys())
    if unknown:
        raise ConfigurationError(what=f"No such mart: {', '.join(unknown)}.", next_step=f"known: {', '.join(sorted(MARTS))}")
    wanted = [mart for name, mart in MARTS.items() if not only or name in only]
    lacks = {mart.name: missing_records(mart, practices.spec, practices.admission) for mart in wanted}
    return [mart for mart in wanted if not lacks[mart.name]], {name: found for name, found in lacks.items() if found}


def what_is_built(practices: Practices, names: Collection[str] = ()) -> dict[str, Mapping[str, Any]]:
    """By practice, of these or of all, what each of its marts is of; nothing of practices without marts."""
    registry, prefix = practices.ports.registry, _key(practices, "")
    keys = [f"{prefix}{name}" for name in names]
    found = registry.get_all(BUILT, keys) if names else dict(registry.find(BUILT, prefix))
    return {key.removeprefix(prefix): built for key, built in found.items()}


def mart_lock(practices: Practices, mart: str) -> AbstractContextManager[None]:
    """Held by whoever writes to a mart."""
    return practices.ports.registry.lock(MART_LOCK.format(source=practices.spec.name, mart=mart), wait_seconds=LOCK_SECONDS)


def unsettle(practices: Practices, names: Collection[str], mart: str, *, keeps_days: bool) -> None:
    """Under the mart's lock: rows read before for these practices are not written any more, and theirs are to be built again.

    `keeps_days`: the mart still holds what it did, and so the days that it holds.
    """
    stamp = uuid.uuid4().hex
    before = _of_mart(practices, names, mart) if keeps_days else {}
    left = {name: {"whole": before[name].get("whole")} if name in before else {} for name in names}
    _remember(practices, mart, {name: {**document, "stamp": stamp} for name, document in left.items()})


def marts_that_can_be_built(practices: Practices) -> list[Mart]:
    """Those whose records are configured and admitted."""
    return _marts(practices, ())[0]


def _build_group(
    practices: Practices, mart: Mart, members: Sequence[str], goals: Mapping[str, Goal], done: Built, told: Told
) -> None:
    faults = dict(bisect(members, partial(_write, practices, mart, goals), BLAMELESS))
    for practice, problem in faults.items():
        done.failed[practice] = f"{mart.name}: {problem.what}"
        page_mart_failed(practices, practice, mart.name, problem.what, told)
    built = len(members) - len(faults)
    if built:
        done.marts[mart.name] = done.marts.get(mart.name, 0) + built


def _write(practices: Practices, mart: Mart, goals: Mapping[str, Goal], members: Sequence[str]) -> None:
    """Read, build and write until nobody else wrote these practices' partitions, or removed rows of theirs, meanwhile."""
    while not _write_unless_moved(practices, mart, goals, members):
        pass


def _write_unless_moved(practices: Practices, mart: Mart, goals: Mapping[str, Goal], members: Sequence[str]) -> bool:
    """One commit with these practices' partitions, for one day; raises `ContractBroken` where rows are not of the mart's grain.

    False, and nothing is written, where what was read may be older than what stands.
    """
    ports, spec = practices.ports, practices.spec
    before = _stamps(_of_mart(practices, members, mart.name))
    needed = {spec.records[kind].table for kind in mart.needs if kind in spec.records}
    raw = {name: ports.tables.read(ports.layout.practice_table(spec.name, name)) for name in needed}
    with engine_errors_named(_NOT_BUILT, mart.name):
        records = select_records(ports.tables.spark, raw, spec, members, goals[members[0]].day)
        rows = mart.build(records).persist()
        rows.count()
    try:
        _require_whole(practices, mart, rows, records)
        with mart_lock(practices, mart.name):
            stands = _of_mart(practices, members, mart.name)
            if _stamps(stands) != before:
                return False
            ports.tables.replace_partitions(ports.layout.mart(spec.name, mart.name), rows, partition=PRACTICE, values=members)
            stamp = uuid.uuid4().hex
            _remember(practices, mart.name, {name: goals[name].after(stands.get(name, {}), stamp) for name in members})
    finally:
        rows.unpersist()
    return True


def _of_mart(practices: Practices, names: Collection[str], mart: str) -> dict[str, Mapping[str, Any]]:
    """By practice, what this mart is of; nothing of practices that have none."""
    found = what_is_built(practices, names) if names else {}
    return {name: built[mart] for name, built in found.items() if mart in built}


def _stamps(built: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    return {name: each.get("stamp") for name, each in built.items()}


def _remember(practices: Practices, mart: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    keyed = {_key(practices, name): {mart: document} for name, document in documents.items()}
    practices.ports.registry.set_fields(BUILT, keyed)


def _require_whole(practices: Practices, mart: Mart, rows: DataFrame, records: Records) -> None:
    """The rows keep their contract, each is of one of these practices, and totals tie to the raw tables."""
    suite = load_suite(practices.expectations / "practices" / "marts.yaml")
    of_mart = Suite(name=suite.name, tables={mart.name: suite.tables[mart.name]})
    require_contracts(practices.ports.contracts.check(of_mart, {mart.name: rows}))
    with engine_errors_named(_NOT_BUILT, mart.name):
        wrong = find_untied(mart, rows, records).select("is_foreign").distinct().collect()
    if any(row["is_foreign"] for row in wrong):
        raise ContractBroken("A mart has rows of no practice, or of another.", which=[mart.name])
    if wrong:
        raise ContractBroken(f"The total of {mart.tied} does not tie to the raw tables.", which=[mart.name])


def _key(practices: Practices, practice: str) -> str:
    return f"{practices.spec.name}/{practice}"
