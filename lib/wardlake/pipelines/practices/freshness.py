"""`wardlake practices freshness`: the board, and the watch that pages before the morning.

The watch asks the queue and the registry and nothing else: it lives on when the scheduler, Spark or the lake does not.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wardlake.model.practices import PracticeState
from wardlake.pipelines.practices.erased import unfinished_erasures
from wardlake.pipelines.practices.marts import marts_that_can_be_built, what_is_built
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.pace import paces
from wardlake.pipelines.practices.paging import name_some, page_people
from wardlake.pipelines.practices.unite import MERGED
from wardlake.pipelines.practices.watching import describe, line, require_met
from wardlake.ports.registry import RegistryUnavailable
from wardlake.practices.freshness import Freshness, Verdict, judge_all, metrics
from wardlake.practices.log_entries import NOBODY

RUNBOOK = "docs/runbooks/practice-late.md"
RUNBOOK_SILENT = "docs/runbooks/capture-stopped.md"
RUNBOOK_ASIDE = "docs/runbooks/practice-set-aside.md"
RUNBOOK_ERASURE = "docs/runbooks/erasure-unfinished.md"
PAGED = "practice-freshness-pages"
CLOCKS_AGREE_SECONDS = 60
ERASED_WITHIN_HOURS = 1  # the longest that an erasure is left alone
_ALARMING = (Freshness.AT_RISK, Freshness.LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Files that are replaced at every look."""

    html: Path | None = None
    metrics: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at the queue found: the practices that were let in, the worst first, and whoever else waits in it."""

    verdicts: Sequence[Verdict]
    strangers: Sequence[PracticeState]


def look(practices: Practices, names: Collection[str] = ()) -> Seen:
    """Every practice asked for, or all that were let in; asks the queue for them once."""
    registry, source = practices.ports.registry, practices.spec.name
    states = practices.queue.states()
    require_met(names, states)
    found = judge_all(practices.spec, states, days_held(practices), _now(practices), paces(registry, source))
    return Seen(
        verdicts=[each for each in found if not names or each.practice in names],
        strangers=[state for state in states if not state.onboarded and (state.reason != MERGED or state.rows)],
    )


def document(practices: Practices, seen: Seen) -> dict[str, Any]:
    """The board as data. `of_no_practice`: entries that wait since nobody can tell whose they are; `clock_differs`: seconds."""
    return {
        "source": practices.spec.name,
        "at": _now(practices).isoformat(),
        "clock_differs": clock_differs(practices),
        "practices": [_row(each) for each in seen.verdicts],
        "not_let_in": [state.practice for state in seen.strangers if state.practice != NOBODY],
        "of_no_practice": sum(state.rows for state in seen.strangers if state.practice == NOBODY),
    }


def text_of(board: Mapping[str, Any]) -> str:
    """The board for people at a terminal."""
    lines = [f"{each['freshness']:<11} {line(each)}" for each in board["practices"]]
    return "\n".join([*cautions(board), *lines, *remarks(board)])


def cautions(board: Mapping[str, Any]) -> list[str]:
    """What people are to know before they read the board."""
    seconds = board["clock_differs"]
    clock = f"this machine's clock differs from the queue's by {seconds} s: times below are not to be trusted"
    return [clock] if seconds else []


def remarks(board: Mapping[str, Any]) -> list[str]:
    """What waits and is no practice's of the board; that there is nothing at all."""
    found = []
    if board["not_let_in"]:
        found.append(f"not let in: {', '.join(board['not_let_in'])}")
    if board["of_no_practice"]:
        found.append(f"{board['of_no_practice']:,} entries of no practice wait: {RUNBOOK_ASIDE}")
    return found if found or board["practices"] else ["no practice was let in yet"]


def clock_differs(practices: Practices) -> int:
    """Seconds by which this machine's clock is before the queue's (negative: behind); 0 where they agree well enough."""
    seconds = round((_now(practices) - practices.queue.now()).total_seconds())
    return seconds if abs(seconds) > CLOCKS_AGREE_SECONDS else 0


def write(outputs: Outputs, board: Mapping[str, Any], seen: Seen) -> None:
    """The page and the metrics, each replaced as a whole."""
    if outputs.html:
        _replace(outputs.html, render(board))
    if outputs.metrics:
        _replace(outputs.metrics, metrics(seen.verdicts, datetime.fromisoformat(board["at"])))


def render(board: Mapping[str, Any]) -> str:
    """The board as one page, which says what the terminal does: no script, nothing fetched; names are escaped."""
    environment = Environment(
        loader=PackageLoader("wardlake.pipelines.practices", "templates"), autoescape=True, undefined=StrictUndefined
    )
    counts = [(kind.value, sum(each["freshness"] == kind.value for each in board["practices"])) for kind in Freshness]
    page = environment.get_template("board.html.j2")
    return page.render(**board, counts=counts, cautions=cautions(board), remarks=remarks(board))


def watch(practices: Practices, names: Collection[str], outputs: Outputs, *, every: float, told: Told) -> None:
    """Look for ever. Where the queue does not answer, that is what is paged: nobody knows how fresh anything is."""
    blind = ""
    while True:
        try:
            seen = look(practices, names)
            alarm(practices, seen.verdicts, told)
            alarm_clock(practices, told)
            alarm_silence(practices, told)
            alarm_erasures(practices, told)
            blind = ""
            write(outputs, document(practices, seen), seen)
        except RegistryUnavailable as problem:
            hour = f"{_now(practices):%Y-%m-%d-%H}"
            if hour != blind and _alarm_blind(practices, str(problem), hour, told):
                blind = hour
        except OSError as problem:
            told(f"the board cannot be written: {type(problem).__name__}")
        time.sleep(every)


def alarm(practices: Practices, found: Sequence[Verdict], told: Told) -> list[str]:
    """Page for practices at risk or late that nobody was paged for yet; returns them.

    Each practice is paged for once a morning at risk and once late: one page names all that a look found.
    """
    registry = practices.ports.registry
    fresh = [each for each in found if each.freshness in _ALARMING and registry.get(PAGED, _incident(practices, each)) is None]
    if not fresh or not _alarm_of(practices, fresh, told):
        return []
    for each in fresh:
        registry.put(PAGED, _incident(practices, each), {"at": _now(practices).isoformat()})
    return [each.practice for each in fresh]


def alarm_clock(practices: Practices, told: Told) -> bool:
    """Page, once a day, where freshness is judged by a clock that differs from the queue's."""
    seconds = clock_differs(practices)
    if not seconds:
        return False
    return _alarm(
        practices,
        told,
        key=f"clock/{_now(practices):%Y-%m-%d}",
        title=f"The freshness of {practices.spec.name} is judged by a clock that differs",
        lines=(f"by {seconds} s from the queue's",),
        runbook=RUNBOOK,
    )


def alarm_silence(practices: Practices, told: Told) -> bool:
    """Page, once for each moment, where capture has not come beyond it for too long: the source or its capture may be dead."""
    captured_to, now = practices.queue.captured_to(), practices.queue.now()
    if captured_to is None or now - captured_to < timedelta(hours=practices.spec.silent_hours):
        return False
    return _alarm(
        practices,
        told,
        key=f"silent/{captured_to.isoformat()}",
        title=f"Nothing of {practices.spec.name} is known to be captured since {captured_to.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        lines=("capture has ended or cannot go on, or the service that drops change files is silent: no day ends meanwhile",),
        runbook=RUNBOOK_SILENT,
    )


def alarm_erasures(practices: Practices, told: Told) -> bool:
    """Page, once a day, where a patient's erasure was begun and is not done: what is left of the patient is shown until it is."""
    latest = _now(practices) - timedelta(hours=ERASED_WITHIN_HOURS)
    overdue = [(at, names) for at, names in unfinished_erasures(practices) if at < latest]
    if not overdue:
        return False
    return _alarm(
        practices,
        told,
        key=f"erasures/{_now(practices):%Y-%m-%d}",
        title=f"Erasures of patients of {practices.spec.name} that are not finished: {len(overdue)}",
        lines=name_some([f"tried {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {', '.join(names)}" for at, names in overdue]),
        runbook=RUNBOOK_ERASURE,
    )


def _alarm_of(practices: Practices, fresh: Sequence[Verdict], told: Told) -> bool:
    late = sum(each.freshness is Freshness.LATE for each in fresh)
    incidents = hashlib.sha256("\n".join(_incident(practices, each) for each in fresh).encode()).hexdigest()
    return _alarm(
        practices,
        told,
        key=f"freshness/{incidents}",
        title=f"{late} practices of {practices.spec.name} are late, {len(fresh) - late} at risk",
        lines=name_some([_words(each) for each in fresh], others="wardlake practices freshness"),
        runbook=RUNBOOK,
    )


def _words(each: Verdict) -> str:
    """Practice, lane, last good watermark, estimate."""
    mark = each.state.watermark.committed_at
    merged = f"merged to {mark.astimezone(UTC):%Y-%m-%d %H:%M}" if mark else "nothing merged yet"
    estimate = f"{each.estimate.astimezone(UTC):%H:%M}" if each.estimate else "not known"
    has = f"has {each.has}" if each.has else "has no marts"
    why = f", {each.state.reason}" if each.state.reason else ""
    due = f"due {each.due:%Y-%m-%d %H:%M} UTC"
    return f"{each.practice}: {each.freshness}, {due}, {has}, {each.state.lane} lane, {merged}, estimate {estimate}{why}"


def _alarm_blind(practices: Practices, problem: str, hour: str, told: Told) -> bool:
    return _alarm(
        practices,
        told,
        key=f"blind/{hour}",
        title=f"The freshness of {practices.spec.name} is not known: the queue does not answer",
        lines=(problem,),
        runbook="docs/runbooks/storage-unavailable.md",
    )


def _alarm(practices: Practices, told: Told, *, key: str, title: str, lines: Sequence[str], runbook: str) -> bool:
    """Whether somebody was told; where not, the next look tries again."""
    is_told = page_people(practices, told, key=key, title=title, lines=lines, runbook=runbook)
    if is_told:
        told(title)
    return is_told


def days_held(practices: Practices, names: Collection[str] = ()) -> dict[str, date]:
    """By practice, of these or of all, the day that every mart which can be built holds all changes of."""
    wanted = [mart.name for mart in marts_that_can_be_built(practices)]
    found: dict[str, date] = {}
    for practice, built in what_is_built(practices, names).items():
        whole = [built.get(name, {}).get("whole") for name in wanted]
        if whole and all(whole):
            found[practice] = min(map(date.fromisoformat, whole))
    return found


def _row(each: Verdict) -> dict[str, Any]:
    return {
        **describe(each.state),
        "freshness": each.freshness.value,
        "has": each.has.isoformat() if each.has else None,
        "wants": each.wants.isoformat(),
        "due": each.due.isoformat(),
        "estimate": each.estimate.isoformat() if each.estimate else None,
    }


def _incident(practices: Practices, each: Verdict) -> str:
    return f"{practices.spec.name}/{each.practice}/{each.wants.isoformat()}/{each.freshness.value}"


def _now(practices: Practices) -> datetime:
    return practices.ports.clock.now().astimezone(UTC)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
