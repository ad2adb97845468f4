"""A review is recorded before it counts; safe against evidence takes two people, known by their credentials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.audit.scan import check_event
from wardlake.classify.decisions import write_decision
from wardlake.classify.gate import check_decisions
from wardlake.classify.review import (
    APPROVED,
    DECIDED,
    WAITING,
    approve,
    load_approvals,
    open_requests,
    request_review,
    request_reviews,
    review,
    waiting_reviews,
)
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable, ConfigurationError, ContractBroken, NotAllowed
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.identifiers import ColumnPath
from wardlake.model.identity import Identity, Role
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Profile, Token, TokenMode, Verdict

AT = "2026-01-31T02:00:00Z"
COLUMN = ColumnPath("patients", "NOTES")
SAFE = Decision(verdict=Verdict.SAFE, reason="coded answers only")
TOKEN = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="patient"), kind=IdentifierKind.UNIQUE_CODE, reason="a key")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqliteRegistry]:
    yield SqliteRegistry(tmp_path / "registry.db")


def person(credential: str, role: Role = Role.STEWARD, subject: str = "") -> Identity:
    return Identity(
        subject=subject or credential, roles=frozenset({role}), source="vault", credential=credential, second_factor=True
    )


def seen(*content: IdentifierKind) -> ColumnEvidence:
    return ColumnEvidence(
        table="patients", path="NOTES", type="string", rows=10, nulls=0, distinct_estimate=3, content=dict.fromkeys(content, 0.1)
    )


def decide(registry: SqliteRegistry, who: Identity, decision: Decision, events: list[AuditEvent], **more: object) -> str:
    return review(
        registry,
        identity=who,
        source="s",
        column=COLUMN,
        decision=decision,
        at=AT,
        record=events.append,
        **more,  # type: ignore[arg-type]
    ).state


def confirm(registry: SqliteRegistry, who: Identity, events: list[AuditEvent]) -> Decision:
    return approve(registry, identity=who, source="s", column=COLUMN, at=AT, record=events.append)


def test_a_request_waits_until_it_is_reviewed(registry: SqliteRegistry) -> None:
    request_review(registry, source="s", run_id="r", evidence=seen(), at=AT)
    assert [r["evidence"]["path"] for r in open_requests(registry, "s")] == ["NOTES"]
    assert decide(registry, person("c1"), SAFE, []) == DECIDED
    assert open_requests(registry, "s") == []


def test_safe_against_evidence_waits_for_a_second_person(registry: SqliteRegistry) -> None:
    events: list[AuditEvent] = []
    request_review(registry, source="s", run_id="r", evidence=seen(IdentifierKind.SSN), at=AT)
    assert decide(registry, person("c1"), SAFE, events) == WAITING
    assert load_approvals(registry, "s") == []
    confirm(registry, person("c2", Role.COMPLIANCE), events)
    (approval,) = load_approvals(registry, "s")
    assert (approval.reviewer, approval.approver, approval.kinds) == ("c1", "c2", frozenset({"ssn"}))
    assert [e.kind for e in events] == [AuditKind.CLASSIFICATION_REVIEWED, AuditKind.CLASSIFICATION_APPROVED]
    assert events[-1].details["state"] == APPROVED


def test_a_run_asks_for_what_it_stops_at_and_withdraws_the_rest(registry: SqliteRegistry) -> None:
    for source in ("s", "other"):
        request_review(registry, source=source, run_id="r", evidence=seen(), at=AT)
    now = replace(seen(), path="sex")
    request_reviews(registry, source="s", run_id="r", evidence=[now], at=AT)
    assert [(r["source"], r["evidence"]["path"]) for r in open_requests(registry)] == [("other", "NOTES"), ("s", "sex")]


def test_what_a_halted_run_asked_meanwhile_is_answered_by_the_approval(registry: SqliteRegistry) -> None:
    request_review(registry, source="s", run_id="r", evidence=seen(IdentifierKind.SSN), at=AT)
    decide(registry, person("c1"), SAFE, [])
    request_review(registry, source="s", run_id="r", evidence=seen(IdentifierKind.SSN), at=AT)
    assert [review["reviewer"] for review in waiting_reviews(registry, "s")] == ["c1"]
    confirm(registry, person("c2"), [])
    assert (open_requests(registry), waiting_reviews(registry)) == ([], [])


def test_one_person_under_two_names_is_one_person(registry: SqliteRegistry) -> None:
    decide(registry, person("c1", subject="ann"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    with pytest.raises(NotAllowed, match="another one"):
        confirm(registry, person("c1", Role.COMPLIANCE, subject="bob"), [])
    assert load_approvals(registry, "s") == []


def test_one_name_with_two_credentials_is_one_person(registry: SqliteRegistry) -> None:
    decide(registry, person("c1", subject="ann"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    with pytest.raises(NotAllowed, match="another one"):
        confirm(registry, person("c2", Role.COMPLIANCE, subject="ann"), [])
    assert load_approvals(registry, "s") == []


def test_what_is_approved_is_the_decision_as_it_was_reviewed(registry: SqliteRegistry) -> None:
    reviewed = Decision(verdict=Verdict.SAFE, kind=IdentifierKind.UNIQUE_CODE, reason="a code list")
    decide(registry, person("c1"), reviewed, [], evidence=seen(IdentifierKind.SSN))
    assert confirm(registry, person("c2"), []) == reviewed


def test_a_refused_decision_is_neither_recorded_nor_approved(registry: SqliteRegistry) -> None:
    def refuse(_: Decision) -> None:
        raise ConfigurationError(what="The profile does not allow it.")

    events: list[AuditEvent] = []
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    with pytest.raises(ConfigurationError):
        approve(registry, identity=person("c2"), source="s", column=COLUMN, at=AT, record=events.append, check=refuse)
    assert (events, load_approvals(registry, "s")) == ([], [])
    confirm(registry, person("c2"), events)


def test_classifications_of_one_source_are_approved_apart(registry: SqliteRegistry) -> None:
    row = seen(IdentifierKind.SSN)
    decided = Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"patients": {"NOTES": SAFE}})
    decide(registry, person("c1"), SAFE, [], evidence=row)
    confirm(registry, person("c2"), [])
    assert check_decisions([row], decided, load_approvals(registry, "s"), name="s").passed
    assert not check_decisions([row], decided, load_approvals(registry, "s-limited"), name="s-limited").passed
    assert not check_decisions([row], decided, load_approvals(registry, "s"), name="s-limited").passed


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.PIPELINE, Role.AUDITOR])
def test_other_roles_neither_review_nor_approve(registry: SqliteRegistry, role: Role) -> None:
    with pytest.raises(NotAllowed):
        decide(registry, person("c1", role), TOKEN, [])
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    with pytest.raises(NotAllowed):
        confirm(registry, person("c2", role), [])


def test_an_approval_takes_a_second_factor(registry: SqliteRegistry) -> None:
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    weak = Identity(subject="b", roles=frozenset({Role.STEWARD}), source="vault", credential="c2")
    with pytest.raises(NotAllowed, match="second factor"):
        confirm(registry, weak, [])


def test_safe_needs_evidence_at_hand_and_every_review_a_reason(registry: SqliteRegistry) -> None:
    with pytest.raises(ContractBroken, match="No evidence"):
        decide(registry, person("c1"), SAFE, [])
    with pytest.raises(ContractBroken, match="reason"):
        decide(registry, person("c1"), Decision(verdict=Verdict.BLOCKED), [])


def test_nothing_is_stored_when_the_record_cannot_be_written(registry: SqliteRegistry) -> None:
    def refuse(_: AuditEvent) -> None:
        raise AuditUnavailable("The audit record cannot be written.")

    with pytest.raises(AuditUnavailable):
        review(registry, identity=person("c1"), source="s", column=COLUMN, decision=TOKEN, at=AT, record=refuse)
    assert registry.find("classification_reviews") == []
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    with pytest.raises(AuditUnavailable):
        approve(registry, identity=person("c2"), source="s", column=COLUMN, at=AT, record=refuse)
    assert load_approvals(registry, "s") == []


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def test_what_was_killed_while_it_was_written_is_given_again(registry: SqliteRegistry) -> None:
    def die(_: Decision) -> None:
        raise Killed

    written: list[Decision] = []
    request_review(registry, source="s", run_id="r", evidence=seen(), at=AT)
    with pytest.raises(Killed):
        decide(registry, person("c1"), SAFE, [], write=die)
    assert decide(registry, person("c1"), SAFE, [], write=written.append) == DECIDED
    request_review(registry, source="s", run_id="r", evidence=seen(IdentifierKind.SSN), at=AT)
    assert decide(registry, person("c1"), SAFE, [], write=die) == WAITING
    second = {"identity": person("c2"), "source": "s", "column": COLUMN, "at": AT, "record": [].append}
    with pytest.raises(Killed):
        approve(registry, **second, write=die)
    approve(registry, **second, write=written.append)
    assert written == [SAFE, SAFE]
    assert len(load_approvals(registry, "s")) == 1


def test_there_is_nothing_to_approve_without_a_review(registry: SqliteRegistry) -> None:
    with pytest.raises(ContractBroken, match="No review"):
        confirm(registry, person("c2"), [])


def test_a_new_review_of_the_same_decision_takes_a_new_approval(registry: SqliteRegistry) -> None:
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN))
    confirm(registry, person("c2"), [])
    decide(registry, person("c1"), SAFE, [], evidence=seen(IdentifierKind.SSN, IdentifierKind.EMAIL))
    assert load_approvals(registry, "s") == []


def test_a_decision_is_written_beside_the_comments(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("# ours\nprofile: expert\ntables:\n  patients:\n    GENDER: safe  # three values\n    'Zip': blocked\n")
    write_decision(file, "patients", "Id", TOKEN)
    write_decision(file, "visits", "payload$.a[].b", Decision(verdict=Verdict.BLOCKED))
    assert file.read_text() == (
        "# ours\nprofile: expert\ntables:\n  patients:\n    GENDER: safe  # three values\n    'Zip': blocked\n"
        "    Id:\n      sensitive: {rule: token, domain: patient}\n      kind: unique_code\n      reason: a key\n"
        "  visits:\n    payload$.a[].b: blocked\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["s.yaml"]


def test_a_file_that_is_no_classification_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    for name in ("missing.yaml", "list.yaml"):
        with pytest.raises(ConfigurationError):
            write_decision(tmp_path / name, "t", "a", SAFE)
    assert (tmp_path / "list.yaml").read_text() == "- 1\n"


def test_a_reason_of_many_words_is_recorded_by_its_hash(registry: SqliteRegistry) -> None:
    said = "the interface engine writes its own release number here and has never written anything that anybody typed"
    events: list[AuditEvent] = []
    decide(registry, person("c1"), replace(TOKEN, reason=said), events, evidence=seen())
    check_event(events[0])
    assert events[0].details["reason_sha256"] == hashlib.sha256(said.encode()).hexdigest()
