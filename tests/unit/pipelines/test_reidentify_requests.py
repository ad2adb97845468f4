"""`reidentify requests` and `reidentify approve`: a second person sees who asks, for what and why, and never the token."""

from __future__ import annotations

import json
import os
import pwd
import secrets
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from tests.commands import Ended, command
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.adapters.system_identity import SystemIdentity
from wardlake.adapters.totp import code_at, time_step
from wardlake.audit.archive import query_records
from wardlake.cli.program import main
from wardlake.model.audit import AuditKind
from wardlake.model.identity import Identity, Role
from wardlake.pipelines.reidentification import ask, desk_of
from wardlake.ports.identity import IdentityProvider
from wardlake.tokens.reidentify import open_requests
from wardlake.wiring import Wiring

ME = pwd.getpwuid(os.getuid()).pw_name
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
TOKEN = "pat_token-of-a-patient"
ROLES = '"*": [pipeline, steward]'


class Asker(Wiring):
    """The same ports in the hands of the person who asks."""

    @cached_property
    def identity(self) -> IdentityProvider:
        return SystemIdentity({"nobody": [Role.STEWARD]}, user_id=lambda: pwd.getpwnam("nobody").pw_uid)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """A clinic where one who types has the role compliance, and a second factor."""
    clinic = make_clinic(tmp_path)
    (tmp_path / "totp").write_text(SECRET)
    clinic.edit("environments/embedded.yaml", ROLES, f'"*": [compliance]\n  second_factors: {{{ME}: "file:{tmp_path}/totp"}}')
    return clinic


def asked(clinic: Clinic, reason: str = "safety report 7") -> str:
    wiring = clinic.wiring()
    other = Asker(environment=wiring.environment, lake=wiring.lake, root=wiring.root)
    return ask(other, token=TOKEN, purpose="dev", domain="patient", reason=reason)


def run(clinic: Clinic, *arguments: str) -> Ended:
    return command("reidentify", *arguments, conf=clinic.folder / "conf", lake=clinic.lake)


def approve(clinic: Clinic, key: str) -> Ended:
    return run(clinic, "approve", key, "--code", code_at(SECRET, time_step(clinic.wiring().clock.now())))


def about(document: dict[str, Any]) -> tuple[str, ...]:
    return tuple(document[name] for name in ("asked_by", "purpose", "domain", "reason", "state"))


def test_compliance_sees_who_asks_for_what_and_why_and_no_token(clinic: Clinic) -> None:
    first, second = asked(clinic), asked(clinic, "safety report 8")
    found = run(clinic, "requests")
    assert found.code == 0, found.said
    assert [each["request"] for each in found.answer["requests"]] == [first, second]
    assert about(found.answer["requests"][0]) == ("os:nobody", "dev", "patient", "safety report 7", "requested")
    assert f"wardlake reidentify approve {first}" in found.answer["requests"][0]["next"]
    assert TOKEN not in json.dumps(found.answer)


def test_who_approves_is_told_what_was_approved_and_no_token(clinic: Clinic) -> None:
    key = asked(clinic)
    since = run(clinic, "requests").answer["requests"][0]["since"]
    done = approve(clinic, key)
    assert done.code == 0, done.said
    assert about(done.answer) == ("os:nobody", "dev", "patient", "safety report 7", "approved")
    assert (done.answer["request"], done.answer["since"]) == (key, since)
    assert TOKEN not in json.dumps(done.answer)
    (left,) = run(clinic, "requests").answer["requests"]
    assert (left["state"], f"who asked: wardlake reidentify reveal {key}" in left["next"]) == ("approved", True)


def test_a_request_whose_name_is_all_digits_is_recorded_like_any_other(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda length: ("1234567890" * length)[: 2 * length])
    assert asked(clinic).isdigit()


def test_what_was_approved_is_said_to_people_too(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    key = asked(clinic)
    flags = ["--conf", str(clinic.folder / "conf"), "--lake", str(clinic.lake)]
    code = code_at(SECRET, time_step(clinic.wiring().clock.now()))
    for arguments in (["requests"], ["approve", key, "--code", code]):
        with pytest.raises(SystemExit):
            main(["reidentify", *arguments, *flags])
        said = capsys.readouterr().out
        assert all(word in said for word in (key, "os:nobody", "dev/patient", "safety report 7"))
        assert TOKEN not in said


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.STEWARD, Role.PIPELINE])
def test_nobody_but_compliance_sees_requests_and_the_attempt_is_recorded(clinic: Clinic, role: Role) -> None:
    asked(clinic)
    clinic.edit("environments/embedded.yaml", "[compliance]", f"[{role.value}]")
    refused = run(clinic, "requests")
    assert (refused.code, refused.answer["error"]["kind"]) == (19, "NotAllowed")
    assert "safety report" not in json.dumps(refused.answer) + refused.said
    last = query_records(clinic.wiring().audit_objects)[-1].event
    assert (last.kind, last.details["step"]) == (AuditKind.REIDENTIFICATION_REFUSED, "list")


def test_a_request_whose_time_is_over_is_not_open(clinic: Clinic) -> None:
    asked(clinic)
    desk = desk_of(clinic.wiring())
    caller = Identity(
        subject="os:bo", roles=frozenset({Role.COMPLIANCE}), source="os", credential="c", second_factor=False, production=False
    )
    assert len(open_requests(desk, caller)) == 1
    assert open_requests(replace(desk, approve_within=timedelta(0)), caller) == []
