"""The gate halts at columns nobody decided on, and at columns called safe whose name or content says otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from wardlake.classify.gate import Approval, GateResult, check_decisions, evidence_against, hash_decision
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.treatments import (
    Classification,
    Constant,
    Decision,
    Drop,
    EmbeddedTokens,
    IdentifierKind,
    Profile,
    Token,
    TokenMode,
    Verdict,
)

SAFE, BLOCKED = Decision(verdict=Verdict.SAFE), Decision(verdict=Verdict.BLOCKED)


def seen(path: str, *content: IdentifierKind, table: str = "t", **more: object) -> ColumnEvidence:
    row = ColumnEvidence(
        table=table, path=path, type="string", rows=1_000_000, nulls=0, distinct_estimate=9, content=dict.fromkeys(content, 1e-6)
    )
    return dataclasses.replace(row, **more)  # type: ignore[arg-type]


def check(evidence: list[ColumnEvidence], *approvals: Approval, **decisions: Decision) -> GateResult:
    return check_decisions(evidence, classified(decisions), approvals)


def classified(decisions: dict[str, Decision]) -> Classification:
    return Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"t": decisions})


def gaps(evidence: list[ColumnEvidence], decisions: dict[str, Decision]) -> list[str]:
    return [gap.path for gap in check_decisions(evidence, classified(decisions)).gaps]


def test_decided_columns_pass() -> None:
    assert check([seen("a"), seen("b")], a=SAFE, b=BLOCKED).passed


def test_a_column_without_a_decision_halts() -> None:
    result = check([seen("a"), seen("new")], a=SAFE)
    assert not result.passed
    assert result.lines() == ["t.new: no decision"]


def test_a_table_without_decisions_halts_at_every_column() -> None:
    assert [g.path for g in check([seen("a", table="fresh"), seen("b", table="fresh")]).gaps] == ["a", "b"]


def test_one_leaked_number_in_a_million_safe_cells_halts() -> None:
    result = check([seen("a", IdentifierKind.SSN, hits={IdentifierKind.SSN: 1})], a=SAFE)
    assert [(c.path, c.against) for c in result.contradictions] == [("a", ("ssn",))]


def test_a_name_on_the_deny_list_speaks_against_safe() -> None:
    assert not check([seen("ssn", names=(IdentifierKind.SSN,), denied_name=True)], ssn=SAFE).passed


def test_a_type_that_cannot_be_looked_into_is_not_safe_on_one_persons_word() -> None:
    assert check([seen("a", scanned=False)], a=SAFE).contradictions[0].against == ("not-scanned",)
    assert check([seen("a", scanned=False)], a=BLOCKED).passed


def test_evidence_does_not_touch_sensitive_and_blocked_columns() -> None:
    token = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="patient"))
    assert check([seen("a", IdentifierKind.SSN), seen("b", IdentifierKind.SSN)], a=token, b=BLOCKED).passed


@pytest.mark.parametrize(
    "path", ["address.city", "names[].family", "attributes.{value}", "payload$.patient.mrn", "payload$.c[].p"]
)
def test_a_new_field_inside_a_safe_container_halts(path: str) -> None:
    column = path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0].split("$", maxsplit=1)[0]
    assert gaps([seen(path)], {column: SAFE}) == [path]


def test_a_removed_container_covers_its_fields() -> None:
    drop = Decision(verdict=Verdict.SENSITIVE, rule=Drop())
    assert gaps([seen("a.b.c"), seen("d[].e"), seen("f$.g")], {"a": BLOCKED, "d": drop, "f": drop}) == []


def test_replacing_a_whole_json_text_covers_its_paths_but_keeping_a_part_does_not() -> None:
    constant = Decision(verdict=Verdict.SENSITIVE, rule=Constant(value="{}"))
    part = Decision(verdict=Verdict.SENSITIVE, rule=EmbeddedTokens(pattern="(x)", domain="patient"))
    document = seen("f", json_cells=1_000_000)
    assert gaps([document, seen("f$.g")], {"f": constant}) == []
    assert gaps([document, seen("f$.g")], {"f": part}) == ["f$.g"]


def test_a_json_column_is_decided_path_by_path_as_long_as_it_holds_documents_only() -> None:
    assert gaps([seen("f", json_cells=1_000_000), seen("f$.g")], {"f$.g": SAFE}) == []
    assert gaps([seen("f", json_cells=999_999), seen("f$.g")], {"f$.g": SAFE}) == ["f"]


def test_a_renamed_column_halts_and_its_old_decision_is_reported() -> None:
    result = check([seen("new_name")], old_name=SAFE)
    assert [g.path for g in result.gaps] == ["new_name"]
    assert result.unknown == ("t.old_name",)


def test_a_vanished_column_is_reported_and_does_not_halt() -> None:
    result = check([seen("a")], a=SAFE, gone=SAFE)
    assert (result.passed, result.unknown) == (True, ("t.gone",))


def approval(path: str = "a", kinds: tuple[str, ...] = ("ssn",), **more: object) -> Approval:
    given = Approval(
        source="s", table="t", path=path, decision_hash=hash_decision(SAFE), kinds=frozenset(kinds), reviewer="c1", approver="c2"
    )
    return dataclasses.replace(given, **more)  # type: ignore[arg-type]


def test_two_people_can_let_a_safe_decision_stand() -> None:
    assert check([seen("a", IdentifierKind.SSN)], approval(), a=SAFE).passed


@pytest.mark.parametrize(
    "given",
    [
        approval(path="b"),
        approval(source="other"),
        approval(approver="c1"),
        approval(decision_hash="0"),
        approval(kinds=("date",)),
    ],
    ids=["other column", "other source", "one person", "other decision", "other evidence"],
)
def test_an_approval_covers_nothing_else(given: Approval) -> None:
    assert not check([seen("a", IdentifierKind.SSN)], given, a=SAFE).passed


def test_new_kinds_of_evidence_end_an_approval() -> None:
    assert not check([seen("a", IdentifierKind.SSN, IdentifierKind.EMAIL)], approval(), a=SAFE).passed


def test_what_speaks_against_safe_comes_in_the_vocabularys_order() -> None:
    row = seen("a", IdentifierKind.DATE, IdentifierKind.SSN, names=(IdentifierKind.PERSON_NAME,), scanned=False)
    assert evidence_against(row) == ("person_name", "ssn", "date", "not-scanned")
