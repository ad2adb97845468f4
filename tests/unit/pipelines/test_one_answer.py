"""With `--json` a command prints one object on stdout, also where it ends in a code; people are told on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.cli.frame import run
from wardlake.cli.program import main, wardlake
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import NotAllowed


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return make_clinic(tmp_path)


def leave(clinic: Clinic, *command: str) -> int:
    with pytest.raises(SystemExit) as left:
        main([*command, "--conf", str(clinic.folder / "conf"), "--lake", str(clinic.lake)])
    return int(str(left.value.code))


def test_an_intact_chain_is_one_object(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(clinic, "audit", "verify", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


@pytest.mark.parametrize("asked", [["--zone", "dev"], []])
def test_a_day_is_answered_with_what_readers_saw_with_and_without_a_zone(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    at, details = "2026-01-31T02:00:00+00:00", {"source": "clinic"}
    published = AuditKind.DATASET_PUBLISHED
    clinic.wiring().trail.append(
        AuditEvent(kind=published, actor="os:ward", at=at, zone="dev", run_id="r1", dataset_id="ds-1", details=details)
    )
    assert leave(clinic, "audit", "query", "--on", "2026-02-01", *asked, "--json") == 0
    visible = json.loads(capsys.readouterr().out)["visible"]
    assert [(record["event"]["zone"], record["event"]["dataset_id"]) for record in visible] == [("dev", "ds-1")]
    assert leave(clinic, "audit", "query", "--on", "2026-02-01", *asked) == 0
    assert "visible at the end of the day in dev: ds-1" in capsys.readouterr().out


def test_a_broken_chain_is_one_object_and_the_reason_on_stderr(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    damage_a_record(clinic)
    assert leave(clinic, "audit", "verify", "--json") == 23
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert answer["ok"] is False
    assert answer["first_bad"]
    assert "The audit chain is broken." in printed.err


def ended(capsys: pytest.CaptureFixture[str], group: click.Group, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the error object on stdout, and what was said on stderr."""
    with pytest.raises(SystemExit) as left:
        run(group, [*arguments, "--json"])
    printed = capsys.readouterr()
    return int(str(left.value.code)), json.loads(printed.out)["error"], printed.err


@pytest.mark.parametrize(
    ("arguments", "said", "of"),
    [
        (("dev", "refresh"), "Missing option '--source'.", "dev refresh"),
        (("dev", "refresh", "--source", "s", "--only", "nothing"), "Invalid value for '--only'", "dev refresh"),
        (("dev", "refersh"), "No such command 'refersh'.", ""),
        (("audit", "hold"), "give --dataset or --run-id", "audit hold"),
        (("reidentify", "approve"), "Missing argument 'REQUEST_ID'.", "reidentify approve"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_object(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str, of: str
) -> None:
    code, error, told = ended(capsys, wardlake, *arguments)
    assert (code, error["exit_code"], error["which"]) == (2, 2, [])
    assert said in error["what"]
    assert error["kind"]
    assert error["next"].endswith("--help")
    assert of in error["next"]
    assert said in told


def test_under_spark_submit_which_pours_all_into_stdout_the_object_is_all_that_is_said() -> None:
    program = Path(sys.executable).parent / "wardlake"
    started_so = {**os.environ, "PYSPARK_GATEWAY_PORT": "1"}
    left = subprocess.run([program, "dev", "refresh", "--json"], env=started_so, capture_output=True, text=True, check=False)
    assert (left.returncode, left.stderr) == (2, "")
    assert json.loads(left.stdout)["error"]["next"] == "wardlake dev refresh --help"


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), click.Abort()])
def test_a_command_that_somebody_stops_is_one_object(capsys: pytest.CaptureFixture[str], stopped: BaseException) -> None:
    code, error, told = ended(capsys, group_that_raises(stopped), "work")
    assert (code, error["exit_code"], error["kind"]) == (130, 130, "Interrupted")
    assert "the same command" in error["next"]
    assert "Stopped." in told


def test_every_error_object_has_the_same_keys_and_a_bug_s_message_is_in_none(capsys: pytest.CaptureFixture[str]) -> None:
    ways = [ValueError("a cell's value"), KeyboardInterrupt(), click.UsageError("so not"), NotAllowed("Not you.")]
    errors = [ended(capsys, group_that_raises(way), "work")[1] for way in ways]
    assert {tuple(sorted(error)) for error in errors} == {("exit_code", "kind", "next", "what", "which")}
    assert "a cell's value" not in json.dumps(errors)


def group_that_raises(problem: BaseException) -> click.Group:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def work(as_json: bool) -> None:
        raise problem

    return click.Group("program", commands={"work": work})


def without_its_table(clinic: Clinic, dsn: str) -> None:
    """The registry, and the audit table with it, in a database that nobody reaches; the archive where it was."""
    clinic.edit("environments/embedded.yaml", "registry: {kind: sqlite}", f"registry: {{kind: postgres, dsn: {dsn}}}")


@pytest.mark.parametrize(
    ("dsn", "why"), [("env:DSN_OF_NOBODY", "address is not known"), ("file:{}", "the audit table cannot be used")]
)
def test_without_the_audit_table_the_archive_is_verified_and_it_is_said_what_was_not_compared(
    clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str], dsn: str, why: str
) -> None:
    (tmp_path / "dsn").write_text("host=127.0.0.1 port=9 dbname=nowhere")
    without_its_table(clinic, dsn.format(tmp_path / "dsn"))
    assert leave(clinic, "audit", "verify", "--json") == 22
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert (answer["ok"], answer["end_compared"], answer["records"] > 0) == (True, False, True)
    assert why in printed.err
    assert leave(clinic, "audit", "verify", "--archive-only", "--json") == 0
    assert leave(clinic, "audit", "query", "--zone", "dev", "--on", "2026-01-31", "--json") == 0
    damage_a_record(clinic)
    assert leave(clinic, "audit", "verify", "--json") == 23


def damage_a_record(clinic: Clinic) -> None:
    """Another actor in the first record that names one."""
    bodies = sorted((clinic.lake / "audit" / "objects").rglob("body"))
    body = next(path for path in bodies if b'"os:' in path.read_bytes())
    body.chmod(0o644)
    body.write_bytes(body.read_bytes().replace(b'"os:', b'"xx:', 1))
