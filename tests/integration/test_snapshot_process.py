"""A snapshot as a process of its own: killed and repeated, and searched for what it must not show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
from tests.servers.postgres import Database
from tests.spec.snapshot.lab import Lab, lab

from wardlake.snapshot.manifest import read_manifest

__all__ = ["lab"]

ROOT = Path(__file__).parents[2]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.snapshot_process", str(folder), "run-1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lib")])}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.txt").open("w"),
        start_new_session=True,
    )


def say_source(folder: Path, *, kind: str, location: str, tables: list[str], secret: str = "") -> None:
    said = {"kind": kind, "location": location, "tables": tables, "secret": secret}
    (folder / "source.json").write_text(json.dumps(said))


def test_a_snapshot_killed_between_two_tables_repeats_whole(lab: Lab) -> None:
    for number in range(4):
        lab.write(f"t{number}.csv", "id,text\n" + "".join(f"{row},{'x' * 50}\n" for row in range(20_000)))
    say_source(lab.folder, kind="csv", location=str(lab.source), tables=[f"t{number}" for number in range(4)])
    process = start(lab.folder)
    assert process.stdout is not None
    first = process.stdout.readline()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    killed = read_manifest(lab.tables, lab.layout, "clinic", "run-1")

    again = start(lab.folder)
    said, _ = again.communicate()
    manifest = read_manifest(lab.tables, lab.layout, "clinic", "run-1")

    assert first == "t0: 20000 rows\n"
    assert killed is None
    assert again.returncode == 0, (lab.folder / "stderr.txt").read_text()
    assert manifest is not None
    assert said.splitlines()[-1] == manifest.snapshot_id
    lab.verify(manifest)
    for table in manifest.tables:
        files = {name for name in lab.tables.list_folder(table.path) if name.endswith(".parquet") and not name.startswith(".")}
        assert files == {Path(file.path).name for file in lab.tables.data_files(table.path)}
    assert sorted(lab.tables.list_folder(f"{lab.layout.snapshots('clinic')}/run-1")) == ["manifest.json", "secret.json"]


def test_the_password_is_in_no_event_log_and_no_output(lab: Lab, postgres_database: Database) -> None:
    with psycopg.connect(postgres_database.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    secret = f"{postgres_database.user}:{postgres_database.password}"
    say_source(lab.folder, kind="postgres", location=postgres_database.jdbc, tables=["t"], secret=secret)

    process = start(lab.folder)
    said, _ = process.communicate()

    logs = [path for path in (lab.folder / "events").rglob("*") if path.is_file() and not path.name.endswith(".crc")]
    events = "".join(path.read_text("utf-8", "replace") for path in logs)
    assert process.returncode == 0, (lab.folder / "stderr.txt").read_text()
    assert "SparkListenerApplicationEnd" in events
    assert "JDBCRelation" in events
    for text in (events, said, (lab.folder / "stderr.txt").read_text()):
        assert postgres_database.password not in text
