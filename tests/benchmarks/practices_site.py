"""A database of practices, with a queue, a lake and applications as processes of their own, for benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from tests.servers.postgres import PostgresServer, start_postgres

from wardlake.adapters.postgres_database import migrate

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "wardlake"
ROWS_A_CHANGE = 20
GIANT_TIMES = 1000
TYPES = {
    "id": "bigint",
    "practice": "string",
    "patient": "bigint",
    "seen": "timestamp",
    "cost": "decimal(10,2)",
    "note": "string",
}
TICKS = os.sysconf("SC_CLK_TCK")
_TABLE = """
    CREATE TABLE visits (
        id bigserial PRIMARY KEY, practice text, patient bigint, seen timestamptz, cost numeric(10,2), note text)"""
INSERT = """
    INSERT INTO visits (practice, patient, seen, cost, note)
    SELECT %s, n, now(), n, 'comes again in week ' || n %% 53 FROM generate_series(1, %s) n"""


@dataclass
class Site:
    """One database of practices, its registry, a lake, and the applications that run."""

    folder: Path
    server: PostgresServer
    source: str
    registry: str
    environment: dict[str, str]
    practices: list[str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = psycopg.connect(self.source, autocommit=True)
        self.reader = psycopg.connect(self.registry, autocommit=True)

    def write_configuration(self, *, one_queue: bool = False, niceness: int | None = None) -> None:
        """With `one_queue`, whoever comes first is merged first, whole. `niceness`: of backfill, where it is not as usual."""
        whole = 10**9
        lane = f"{{practices: 100000, rows: {whole}, lease_seconds: 3600, merge_seconds: 3600}}"
        capture = {"kind": "postgres", "dsn": "env:CLINICS_DSN", "slot": "bench", "publication": "bench"}
        document = {"name": "clinics", "practice_column": "practice", "capture": capture, "buckets": 8}
        if niceness is not None:
            document["backfill"] = {"niceness": niceness}
        text = json.dumps({**document, "giant_rows": whole} if one_queue else document)
        self.write("practices", text[:-1] + (f', "steady": {lane}}}' if one_queue else "}"))

    def write(self, kind: str, text: str) -> None:
        (self.folder / "conf" / kind).mkdir(parents=True, exist_ok=True)
        (self.folder / "conf" / kind / "clinics.yaml").write_text(text, "utf-8")

    def command(self, *words: str) -> list[str]:
        flags = ["--conf", str(self.folder / "conf"), "--lake", str(self.folder / "lake"), "--env", "bench"]
        return [str(PROGRAM), "practices", *words, *flags]

    def run(self, *words: str) -> None:
        with (self.folder / "commands.log").open("ab") as log:
            subprocess.run(self.command(*words), check=True, env=self.environment, stdout=log, stderr=log)

    def start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.command(*words), env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, *names: str) -> None:
        for name in names or list(self.running):
            process = self.running.pop(name)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def cpu(self, name: str) -> float:
        """CPU seconds of an application so far, its JVM included."""
        return sum(each[0] for each in _processes(self.running[name].pid))

    def peak_memory(self, name: str) -> int:
        """The most memory that the processes of an application had resident, each at its own time, in MiB."""
        return sum(each[1] for each in _processes(self.running[name].pid)) >> 20

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.source, autocommit=True) as opened:
            found = opened.execute(statement.encode(), values)
            return found.fetchall() if found.description else []

    def change(self, practice: str) -> datetime:
        """Commit a practice's change of twenty rows; when it began, by the database's clock."""
        with self.writer.transaction():
            ((now,),) = self.writer.execute("SELECT clock_timestamp()").fetchall()
            self.writer.execute(INSERT, [practice, ROWS_A_CHANGE])
        return datetime.fromisoformat(str(now))

    def into_steady(self) -> None:
        """Nobody is leased, and everybody is in the steady lane."""
        with psycopg.connect(self.registry, autocommit=True) as opened:
            opened.execute("UPDATE wardlake.practices SET lane = 'steady', lease = NULL, leased_until = NULL, leased_lane = NULL")

    def marks(self) -> dict[str, tuple[datetime | None, datetime | None]]:
        """By practice, the newest commit that is merged, and when it was."""
        rows = self.reader.execute("SELECT practice, committed_at, merged_at FROM wardlake.practices").fetchall()
        return {name: (committed, merged) for name, committed, merged in rows}

    def waiting(self, *practices: str) -> int:
        """Entries that wait of these practices."""
        asked = "SELECT coalesce(sum(rows), 0) FROM wardlake.practice_work WHERE practice = ANY (%s)"
        ((rows,),) = self.reader.execute(asked, [list(practices)]).fetchall()
        return int(rows)


@contextmanager
def site(folder: Path, practices: int, rows: int, *, giants: Sequence[str] = ()) -> Iterator[Site]:
    """Servers, configuration, the practices' rows and the giants', with nobody on board yet."""
    server = start_postgres()
    source = server.as_admin(server.fresh_database("clinics"))
    registry = server.fresh_database()
    migrate(registry.dsn)
    environment = {**os.environ, "CLINICS_DSN": source.dsn, "REGISTRY_DSN": registry.dsn}
    names = [f"p{n:04}" for n in range(practices)]
    made = Site(folder, server, source.dsn, registry.dsn, environment, names)
    for part in ("detection", "disclosure", "surrogates"):
        shutil.copytree(ROOT / "conf" / part, folder / "conf" / part)
    (folder / "conf" / "environments").mkdir()
    text = (ROOT / "conf" / "environments" / "embedded.yaml").read_text()
    text = text.replace("name: embedded", "name: bench").replace("{kind: sqlite}", '{kind: postgres, dsn: "env:REGISTRY_DSN"}')
    text = text.replace("local[*]", "local[2]").replace("driver_memory: 2g", f"driver_memory: 2g\n  jars: {ROOT}/.tools/jars")
    (folder / "conf" / "environments" / "bench.yaml").write_text(text, "utf-8")
    tables = {"visits": {"primary_key": ["id"], "types": TYPES}}
    made.write(
        "sources",
        json.dumps(
            {
                "name": "clinics",
                "kind": "postgres",
                "location": "jdbc:x",
                "schema_version": "1",
                "contracts": False,
                "tables": tables,
            }
        ),
    )
    safe = dict.fromkeys(TYPES, "safe")
    made.write(
        "classification",
        json.dumps({"source": "clinics", "profile": "expert", "token_mode": "keyed", "tables": {"visits": safe}}),
    )
    made.write_configuration()
    made.sql(_TABLE)
    made.sql("ALTER TABLE visits REPLICA IDENTITY FULL")
    for name in names:
        made.sql(INSERT, name, rows)
    for giant in giants:
        made.sql(INSERT, giant, GIANT_TIMES * rows)
    try:
        yield made
    finally:
        made.stop()
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def _processes(group: int) -> Iterator[tuple[float, int]]:
    """CPU seconds and peak resident bytes of each process of a group."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            status = (entry / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        if int(stat[2]) == group:
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            yield sum(map(int, stat[11:15])) / TICKS, int(peak) << 10
