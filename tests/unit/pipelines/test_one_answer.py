"""With `--json` a command prints one object on stdout, also where it ends in a code; people are told on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.cli.program import main
from wardlake.model.audit import AuditEvent, AuditKind


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
