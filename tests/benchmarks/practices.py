"""Whether a small practice waits for a large one: freshness with and without a giant in backfill, beside one queue for all.

    python -m tests.benchmarks.practices --practices 1000 --rows 750 --seconds 120
    python -m tests.benchmarks.practices --practices 1000 --rows 750 --only steady
    python -m tests.benchmarks.practices --practices 1000 --rows 50 --only memory

A real PostgreSQL holds the practices' rows and the queue; capture and both lanes are processes of their own. Practices come with
`--rows` each, the giant with a thousand times as many. Changes of random practices (twenty rows a transaction) arrive at 40 % of
the capacity that the steady lane was just measured to have. Freshness is the time from before a commit until the practice's
watermark has passed it.

Memory is of two sites, one after the other, the second with ten times as many practices on board: in each, a steady application
that has just begun sees `--rounds` rounds of one change of every practice. Prints one JSON object; seconds unless named.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from tests.benchmarks.cost import cpu_of
from tests.benchmarks.practices_site import INSERT, ROOT, TYPES, Site, site

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.spark_session import start_session
from wardlake.practices.raw_tables import BUCKET, RawTable, make_rows, merge_of

GIANT, CONTROL = GIANTS = ("p0500-giant", "p0500-control")  # among the others, so that no range of names leaves them out
LOAD = 0.4
PAIR = 2
WATCH_SECONDS = 10.0
GIVE_UP_SECONDS = 1800.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--practices", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=500, help="that the median practice comes with")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--transaction", type=int, default=1_000_000, help="rows of the giant's one transaction")
    parser.add_argument("--rounds", type=int, default=5, help="of changes, after which memory is looked at")
    parser.add_argument("--only", choices=("steady", "freshness", "memory"), help="measure this alone; steady: without a giant")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="practices-"))
    measured: dict[str, Any] = {"practices": arguments.practices}
    try:
        if arguments.only == "steady":
            with site(folder / "steady", arguments.practices, arguments.rows) as made:
                measured |= measure_steady(made, arguments.seconds)
        if arguments.only in (None, "freshness"):
            with site(folder / "freshness", arguments.practices, arguments.rows, giants=GIANTS) as made:
                measured |= measure(made, arguments.seconds, arguments.transaction)
        if arguments.only in (None, "memory"):
            measured["memory"] = compare_memory(folder, arguments.practices, arguments.rows, arguments.rounds)
        print(json.dumps(measured, indent=2))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


def measure(made: Site, seconds: int, transaction: int) -> dict[str, Any]:
    few = made.practices[: max(1, len(made.practices) // 10)]
    onboarded = bring_on_board(made)  # its application lives long: it is there with and without a giant
    begin_steady(made)

    commit = [cost_of_a_commit(made, few[0]) for _ in range(5)]
    small = round_of_changes(made, few)
    whole = round_of_changes(made, made.practices)
    rate = LOAD * len(made.practices) / whole["seconds"]
    say(f"a commit {commit}, a round {whole}, of a tenth {small}")

    alone = freshness_of(arrive(made, rate, seconds))
    say(f"alone {alone}")
    made.run("onboard", "--practice", GIANT)
    left = [made.waiting(GIANT)]
    beside = freshness_of(arrive(made, rate, seconds, watch=lambda: left.append(made.waiting(GIANT))))
    say(f"beside a giant {beside}, left {left}")
    wait_until_merged(made, GIANT)

    million = freshness_beside_a_transaction(made, transaction)
    say(f"a small change beside a transaction of {transaction} rows: {million:.1f} s")
    wait_until_merged(made, made.practices[-1])
    made.stop("backfill", "steady", "capture")
    made.write_configuration(one_queue=True)
    begin_steady(made)  # as warm as before
    made.run("onboard", "--practice", CONTROL)
    made.into_steady()
    control = freshness_of(arrive(made, rate, seconds))
    say(f"one queue for all {control}")
    groups = whole["groups"]
    made.stop("steady", "capture")
    one_job = cost_of_one_job(made, whole["batches"])
    fixed = statistics.median(commit)
    return {
        "seconds_to_onboard_all": round(onboarded),
        "arrivals_a_second": round(rate, 2),
        "steady_alone": alone,
        "beside_a_giant_in_backfill": beside,
        "one_queue_for_all": control,
        "ratio_beside_giant": round(beside["p95"] / alone["p95"], 2),
        "ratio_one_queue": round(control["p95"] / alone["p95"], 2),
        "giant_rows_left_each_ten_seconds": left,
        "cpu_of_a_commit": round(fixed, 2),
        "cpu_of_a_round": whole,
        "cpu_of_a_round_of_a_tenth": small,
        "cpu_of_one_job_over_the_round": one_job,
        "ratio_less_the_fixed_part": round((whole["cpu"] - groups * fixed) / one_job, 2),
        "a_small_change_beside_a_transaction": {"rows": transaction, "seconds": round(million, 1)},
    }


def measure_steady(made: Site, seconds: int) -> dict[str, Any]:
    """How long a change takes while nothing else goes on."""
    onboarded = bring_on_board(made)
    begin_steady(made)
    rate = LOAD * len(made.practices) / round_of_changes(made, made.practices)["seconds"]
    alone = freshness_of(arrive(made, rate, seconds))
    return {"seconds_to_onboard_all": round(onboarded), "arrivals_a_second": round(rate, 2), "steady_alone": alone}


def compare_memory(folder: Path, practices: int, rows: int, rounds: int) -> dict[str, Any]:
    """The steady application's peak memory (MiB) after each round, in a site of a tenth of the practices and in one of all.

    The smaller goes on for ten times as many rounds: then both have merged as many groups.
    """
    few, many = max(1, practices // 10), practices
    of_few = peaks_of_a_site(folder / f"memory-of-{few}", few, rows, rounds * many // few)
    of_many = peaks_of_a_site(folder / f"memory-of-{many}", many, rows, rounds)
    return {
        str(few): of_few,
        str(many): of_many,
        "ratio": round(of_many[-1] / of_few[rounds - 1], 2),
        "ratio_after_as_many_groups": round(of_many[-1] / of_few[-1], 2),
    }


def peaks_of_a_site(folder: Path, practices: int, rows: int, rounds: int) -> list[int]:
    """What a steady application's memory was at most by the end of each round of changes of all practices."""
    with site(folder, practices, rows) as made:
        made.write_configuration(niceness=0)  # nobody else is there to give way to
        bring_on_board(made)
        made.stop("backfill")
        begin_steady(made)
        return [peak_after_a_round(made) for _ in range(rounds)]


def peak_after_a_round(made: Site) -> int:
    done = round_of_changes(made, made.practices)
    peak = made.peak_memory("steady")
    say(f"{len(made.practices)} practices, a round {done}, at most {peak} MiB")
    return peak


def bring_on_board(made: Site) -> float:
    """Every practice is read and merged by an application that goes on, and is in the steady lane; the seconds it took."""
    begun = time.monotonic()
    made.run("onboard", *(word for name in made.practices for word in ("--practice", name)))
    made.start("backfill", "work", "--lane", "backfill")
    wait_until_merged(made, *made.practices)
    seconds = time.monotonic() - begun
    say(f"{len(made.practices)} practices are on board after {seconds:.0f} s")
    made.into_steady()
    return seconds


def begin_steady(made: Site) -> None:
    """Capture and a steady application are there, and have merged a change."""
    made.start("capture", "capture")
    made.start("steady", "work", "--lane", "steady")
    wait_for(made, [(made.practices[0], made.change(made.practices[0]))])


def say(text: str) -> None:
    """How far it is, for whoever waits for hours."""
    print(text, file=sys.stderr, flush=True)


def cost_of_a_commit(made: Site, practice: str) -> float:
    before = made.cpu("steady")
    wait_for(made, [(practice, made.change(practice))])
    return made.cpu("steady") - before


def round_of_changes(made: Site, practices: Sequence[str]) -> dict[str, Any]:
    """Every practice changes once; how long the steady lane takes for all of them, and what it costs."""
    log, before, begun = made.folder / "steady.log", made.cpu("steady"), time.monotonic()
    groups, first = log.read_text().count("group "), batches(made)
    pending = [(name, made.change(name)) for name in practices]
    wait_for(made, pending)
    return {
        "practices": len(practices),
        "seconds": round(time.monotonic() - begun, 1),
        "cpu": round(made.cpu("steady") - before, 1),
        "groups": log.read_text().count("group ") - groups,
        "batches": [first + 1, batches(made)],
    }


def batches(made: Site) -> int:
    with psycopg.connect(made.registry) as opened:
        ((last,),) = opened.execute("SELECT last_batch FROM wardlake.captures").fetchall()
    return int(last)


def arrive(made: Site, rate: float, seconds: int, watch: Callable[[], object] = lambda: None) -> list[float]:
    """Changes of random practices at a steady rate; the seconds until each was merged."""
    chance, watcher = random.Random(7), Watcher(made)
    begun = looked = time.monotonic()
    number = 0
    while (now := time.monotonic()) - begun < seconds:
        if number <= (now - begun) * rate:
            practice = chance.choice(made.practices)
            watcher.expect(practice, made.change(practice))
            number += 1
        else:
            time.sleep(0.02)
        if now - looked > WATCH_SECONDS:
            looked = now
            watch()
    return watcher.wait()


class Watcher:
    """Looks at the watermarks twice a second, so that each change is seen when it is merged and not with a later one."""

    def __init__(self, made: Site) -> None:
        self._made = made
        self._pending: list[tuple[str, datetime]] = []
        self._found: list[float] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def expect(self, practice: str, at: datetime) -> None:
        with self._lock:
            self._pending.append((practice, at))

    def wait(self) -> list[float]:
        """The seconds that each change took, once all are merged."""
        self._over.set()
        self._thread.join()
        if self._pending:
            raise TimeoutError(f"{len(self._pending)} changes were never merged")
        return self._found

    def _watch(self) -> None:
        until = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < until:
            self._look()
            if self._over.is_set() and not self._pending:
                return
            time.sleep(0.5)

    def _look(self) -> None:
        marks = self._made.marks()
        left = []
        with self._lock:
            for practice, at in self._pending:
                committed, merged = marks[practice]
                if committed and merged and committed >= at:
                    self._found.append((merged - at).total_seconds())
                else:
                    left.append((practice, at))
            self._pending = left


def wait_for(made: Site, pending: Sequence[tuple[str, datetime]]) -> list[float]:
    """The seconds until each of these changes was merged."""
    watcher = Watcher(made)
    for practice, at in pending:
        watcher.expect(practice, at)
    return watcher.wait()


def wait_until_merged(made: Site, *practices: str) -> None:
    while made.waiting(*practices):
        time.sleep(1)


def freshness_beside_a_transaction(made: Site, rows: int) -> float:
    """A giant commits so many rows at once; the seconds until a small practice's change right after it is merged."""
    giant, small = made.practices[-1], made.practices[0]
    made.sql(INSERT, giant, rows)
    return wait_for(made, [(small, made.change(small))])[0]


def freshness_of(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=20)
    return {
        "changes": len(seconds),
        "median": round(statistics.median(seconds), 1),
        "p95": round(cuts[-1], 1),
        "most": round(max(seconds), 1),
    }


def cost_of_one_job(made: Site, of: Sequence[int]) -> float:
    """CPU of merging the same entries by one job into an empty table, warm."""
    spark = start_session("one-job", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf={"spark.driver.memory": "1g"})
    tables, table = DeltaTables(spark), RawTable(name="visits", columns=TYPES, buckets=8)
    log = tables.read(f"{made.folder}/lake/raw/clinics/practices/change_log").where(f"batch BETWEEN {of[0]} AND {of[-1]}")
    costs, now = [], datetime.now(UTC)
    for turn in range(PAIR):
        path = f"{made.folder}/one-job-{turn}"
        tables.create(path, table.schema, partition_by=[BUCKET])
        rows = make_rows(log, table, merged_at=now)
        costs.append(cpu_of(lambda path=path, rows=rows: tables.merge(path, rows, merge_of(table, made.practices))))
    spark.stop()
    return costs[-1]


if __name__ == "__main__":
    main()
