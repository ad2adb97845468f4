"""Two hundred analysts at once under row policies: errors, rows of another practice, and how long they wait.

    python -m tests.benchmarks.analysts --analysts 200 --seconds 300 --think 0

A real Trino with rules for 5,000 practices and 10,000 users, which works on so many queries at once as it is told to and lets the
others wait. Each analyst has one practice, signs in by password, and asks one query after another, with a pause of `--think`
seconds on average. Every answer is held against what the practice's rows give. Prints one JSON object; seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import trino
from tests.benchmarks.policies import SCHEMA, ours_of, practice, put, write_tables
from tests.servers.keycloak import start_keycloak
from tests.servers.processes import running
from tests.servers.trino import AS_IN_PRODUCTION, TrinoServer, start_trino

DAYS = [date(2026, 1, 1) + timedelta(days=day) for day in range(30)]
GIVE_UP_SECONDS = 600.0
FROM = {name: f"{SCHEMA}.{name}" for name in ("mart_0", "mart_1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """`text` has `{own}`; `answer` is what it gives of a practice."""

    text: str
    answer: Any


def queries(own: str) -> Mapping[str, Query]:
    """Of a practice that has one visit on each day."""
    days = [[own, day.isoformat(), 1] for day in DAYS]
    first, second = FROM.values()
    return {
        "all rows": Query(text=f"SELECT practice_id, CAST(day AS varchar), visits FROM {first} ORDER BY 2", answer=days),
        "count": Query(text=f"SELECT practice_id, count(*) FROM {first} GROUP BY 1", answer=[[own, len(DAYS)]]),
        "by day": Query(
            text=f"SELECT practice_id, CAST(day AS varchar), sum(visits) FROM {second} GROUP BY 1, 2 ORDER BY 2", answer=days
        ),
        "join": Query(
            text=f"SELECT a.practice_id, b.practice_id, count(*) FROM {first} a JOIN {second} b ON a.day = b.day GROUP BY 1, 2",
            answer=[[own, own, len(DAYS)]],
        ),
        "others": Query(text=f"SELECT practice_id FROM {second} WHERE practice_id <> '{own}'", answer=[]),
    }


@dataclass(slots=True)
class Told:
    """What all analysts saw together."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    foreign_rows: int = 0
    wrong_answers: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, taken: float, rows: Sequence[Sequence[Any]], own: str, answer: Any) -> None:
        foreign = sum(any(str(cell).startswith("practice-") and cell != own for cell in row) for row in rows)
        with self.lock:
            self.seconds[name].append(taken)
            self.foreign_rows += foreign
            self.wrong_answers += [list(row) for row in rows] != answer

    def fail(self, error: str) -> None:
        with self.lock:
            self.errors[error] += 1


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--analysts", type=int, default=200, help="at most 200: so many practices have rows")
    asked.add_argument("--seconds", type=float, default=300.0)
    asked.add_argument("--think", type=float, default=0.0, help="seconds between an answer and the next question, on average")
    asked.add_argument("--at-work", type=int, default=8, help="queries that Trino works on at once")
    asked.add_argument("--practices", type=int, default=5000)
    asked.add_argument("--users", type=int, default=10_000)
    given = asked.parse_args()
    settings = {
        **{"query.max-concurrent-queries": str(given.at_work), "query.max-queued-queries": "5000"},
        **{"query.max-memory": "1GB", "query.max-memory-per-node": "1GB", "memory.heap-headroom-per-node": "500MB"},
    }
    with (
        running(start_keycloak) as keycloak,
        running(lambda: start_trino(keycloak, settings=settings, java=AS_IN_PRODUCTION)) as server,
    ):
        write_tables(server)
        rules, groups = ours_of(given.practices, given.users)
        put(server, rules, groups)
        users = {f"user{number}": secrets.token_hex(8) for number in range(given.analysts)}
        server.add_users(users)
        told = ask_together(server, given.analysts, given.seconds, given.think)
        print(json.dumps({"analysts": given.analysts, "think": given.think, **summary(told, given.seconds)}, indent=2))


def ask_together(server: TrinoServer, analysts: int, seconds: float, think: float) -> Told:
    """All analysts, each in a thread of their own, until the time is over and their last question is answered."""
    told = Told()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_analyst, args=(server, number, until, think, told)) for number in range(analysts)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(seconds + GIVE_UP_SECONDS)
        if each.is_alive():
            told.fail("no answer")
    return told


def _analyst(server: TrinoServer, number: int, until: float, think: float, told: Told) -> None:
    own, chance = practice(number), random.Random(number)
    known = queries(own)
    with server.connect(f"user{number}") as opened:
        while time.monotonic() < until:
            name = chance.choice(list(known))
            began = time.perf_counter()
            try:
                rows = opened.cursor().execute(known[name].text).fetchall()
            except (trino.exceptions.Error, trino.exceptions.HttpError) as problem:
                told.fail(getattr(problem, "error_name", None) or type(problem).__name__)
            else:
                told.add(name, time.perf_counter() - began, rows, own, known[name].answer)
            if think:
                time.sleep(chance.expovariate(1 / think))


def summary(told: Told, seconds: float) -> dict[str, Any]:
    every = [taken for each in told.seconds.values() for taken in each]
    return {
        "answers": len(every),
        "answers_a_second": round(len(every) / seconds, 1),
        "errors": dict(told.errors),
        "foreign_rows": told.foreign_rows,
        "wrong_answers": told.wrong_answers,
        "all": _cuts(every),
        **{name: _cuts(each) for name, each in sorted(told.seconds.items())},
    }


def _cuts(seconds: Sequence[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "median": round(statistics.median(seconds), 2),
        "p95": round(hundredths[94], 2),
        "p99": round(hundredths[98], 2),
        "most": round(max(seconds), 2),
    }


if __name__ == "__main__":
    main()
