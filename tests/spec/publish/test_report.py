"""One self-contained page a run, and its twin for machines: what happened, with the proof, and no value of the source."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from wardlake.model.evidence import CanaryRecall, ColumnEvidence, Finding
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Profile, Token, TokenMode, Verdict
from wardlake.ports.contracts import ContractResult, ExpectationResult
from wardlake.publish.report.content import (
    Attention,
    DecisionRow,
    Halt,
    ReferenceRow,
    RunOutcome,
    RunReport,
    Searched,
    StepTiming,
    TableRow,
    Told,
    decision_rows,
    render_report_json,
)
from wardlake.publish.report.page import render_report
from wardlake.publish.report.plots import recall_plot, timing_plot

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


def published(name: str = "patients", column: str = "SSN") -> RunReport:
    return RunReport(
        outcome=RunOutcome.PUBLISHED,
        exit_code=0,
        run_id="dev-20260131T020000Z-3f9a1c",
        source="synthea",
        zone="dev",
        profile="expert",
        actor="pipeline",
        started_at="2026-01-31T02:00:00+00:00",
        finished_at="2026-01-31T02:01:30+00:00",
        code_version="0.1.0+abc",
        snapshot_id="snap-1",
        dataset_id="ds-1",
        token_mode="keyed",
        key_versions={"dev/patient": 2},
        rule_set_hash="aa" * 32,
        audit_hash="bb" * 32,
        audit_sequence=7,
        decisions=(DecisionRow(table=name, column=column, verdict="sensitive", rule="token", kind="ssn", reason="HIPAA"),),
        tables=(TableRow(name=name, rows_in=1234567, rows_out=1234567, commitment="cc" * 16),),
        evidence=(
            ColumnEvidence(
                table=name,
                path=column,
                type="string",
                rows=10,
                nulls=0,
                distinct_estimate=10,
                content={IdentifierKind.SSN: 0.99999},
                names=(IdentifierKind.SSN,),
                shapes=(("999-99-9999", 1.0),),
            ),
        ),
        recalls=(CanaryRecall(kind=IdentifierKind.SSN, planted=1000, found=1000, lower_bound=0.997, floor=0.99),),
        known_recalls=(CanaryRecall(kind=IdentifierKind.PHONE, planted=1000, found=999, lower_bound=0.9953, floor=0.99),),
        searched=Searched(
            cells=7654321,
            known_values={"texts": 1234, "numbers": 567, "links": 89},
            inferred=(Told(where=f"{name}.MAIDEN", what="person_name"),),
            left_out=(Told(where=f"{name}.WARD", what="few values, each in many cells"),),
            unscanned=(Told(where=f"{name}.PHOTO", what="type binary cannot be looked into"),),
        ),
        attention=Attention(
            undeclared_tables=("billing_2026",),
            empty_tables=("supplies",),
            warnings=(f"{name}.ZIP: 12 values look like numbers that lost a leading zero",),
            unknown_decisions=(f"{name}.OLD",),
            became_null=(Told(where=f"{name}.SEEN", what="31"),),
            given_up=(f"{name}.WARD -> wards.Id",),
            undescribed=(f"{name}.WARD (output)",),
        ),
        references=(reference(name),),
        contracts=(ContractResult(suite="synthea/output", results=(expectation(name, column, True),)),),
        steps=(StepTiming(name="scan", title="Scan the output", seconds=12.5, cpu_seconds=20.0),),
    )


def halted() -> RunReport:
    return dataclasses.replace(
        published(),
        outcome=RunOutcome.QUARANTINED,
        exit_code=11,
        dataset_id="",
        halt=Halt(
            step="scan",
            what="Identifiers were found in the output.",
            which=("patients.NOTE: 3 cells of ssn",),
            next_command="wardlake classify review --source synthea --column patients.NOTE --as blocked --reason '...'",
        ),
        findings=(Finding(table="patients", column="NOTE", kind=IdentifierKind.SSN, detector="pattern", cells=3),),
    )


def reference(name: str) -> ReferenceRow:
    return ReferenceRow(
        reference=f"{name}.A -> {name}.B",
        source_orphan_rate=0.0,
        output_orphan_rate=0.00001,
        source_matched=5,
        output_matched=5,
        source_max=2,
        output_max=2,
        held=True,
    )


def expectation(table: str, column: str, success: bool) -> ExpectationResult:
    return ExpectationResult(table=table, column=column, expectation="expect_x", success=success)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "line", "circle", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "told",
    [
        "Published",
        "dev-20260131T020000Z-3f9a1c",
        "ds-1",
        "snap-1",
        "1\u202f234\u202f567",
        "keyed",
        "dev/patient v2",
        "aa" * 32,
        "bb" * 32,
        "number 7 in the chain",
        "0.1.0+abc",
        "999-99-9999",
        "> 99.99 %",
        "< 0.01 %",
        "synthea/output",
        "1000 of 1000, at least 0.9970, floor 0.99",
        "12.5 s, 20.0 s CPU",
        "No identifier was found",
        "999 of 1000, at least 0.9953, floor 0.99",
        "7\u202f654\u202f321 cells were searched for 1\u202f234 texts, 567 numbers and 89 combinations",
        "7things to look at",
        "Tables at the source that nobody declared",
        "billing_2026",
        "patients.ZIP: 12 values look like numbers that lost a leading zero",
        "patients.SEEN31",
        "patients.OLD",
        "patients.WARD -> wards.Id",
        "1 column was not looked into",
        "patients.PHOTOtype binary cannot be looked into",
        "patients.WARDfew values, each in many cells",
        "patients.MAIDENperson_name",
        "All 1 keys join",
    ],
)
def test_a_published_run_tells(told: str) -> None:
    assert told in Page(render_report(published())).text


@pytest.mark.parametrize(
    "told",
    [
        "Quarantined: not published",
        "exit code 11",
        "Identifiers were found in the output.",
        "patients.NOTE: 3 cells of ssn",
        "What to type next",
        "wardlake classify review --source synthea --column patients.NOTE --as blocked",
    ],
)
def test_a_halted_run_tells_what_halted_it_and_what_to_type_next(told: str) -> None:
    assert told in Page(render_report(halted())).text


@pytest.mark.parametrize("report", [published(), halted(), published(HOSTILE, HOSTILE)])
def test_the_page_stands_alone(report: RunReport) -> None:
    page = Page(render_report(report))
    assert page.open == []
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "xlink:href"}]
        assert not (attributes.get("href") or "").lower().startswith(("http", "//", "javascript", "data"))
    assert "default-src 'none'" in render_report(report)
    assert not re.search(r"@import|url\(", render_report(report))


def test_hostile_names_are_text() -> None:
    page = Page(render_report(published(HOSTILE, HOSTILE)))
    assert HOSTILE in page.text
    assert "49" not in re.findall(r"\d+", HOSTILE.replace("7*7", ""))
    assert len(page.elements) == len(Page(render_report(published())).elements)


def test_a_run_that_waits_for_decisions_shows_the_evidence_first_however_little_it_is() -> None:
    silent = ColumnEvidence(table="patients", path="NEW", type="string", rows=40, nulls=2, distinct_estimate=7)
    report = dataclasses.replace(
        halted(), outcome=RunOutcome.HALTED, exit_code=10, evidence=(silent,), asked=("patients.NEW",), searched=Searched()
    )
    text = Page(render_report(report)).text
    shown = text.index("Evidence on the columns that wait for a decision")
    assert shown < text.index("To look at", text.index("Proof")) and shown < text.index("Decisions on columns")
    assert "patients.NEWstring387nothing\u2013undecided" in re.sub(r"\s", "", text)


def test_a_run_without_remarks_has_nothing_to_look_at() -> None:
    assert "look at" not in Page(render_report(dataclasses.replace(published(), attention=Attention()))).text


def test_a_run_that_halted_early_leaves_out_what_did_not_run() -> None:
    early = RunReport(
        outcome=RunOutcome.HALTED,
        exit_code=10,
        run_id="r",
        source="s",
        zone="dev",
        profile="expert",
        actor="a",
        started_at="t",
        finished_at="t",
        code_version="c",
        decisions=(DecisionRow(table="patients", column="NEW", verdict=""),),
    )
    text = Page(render_report(early)).text
    assert "undecided" in text
    assert "No identifier was found" not in text
    assert "References, source beside output" not in text


def test_the_twin_for_machines_says_the_same() -> None:
    content = json.loads(render_report_json(halted()))
    assert set(content) == {field.name for field in dataclasses.fields(RunReport)}
    assert content["outcome"] == "quarantined"
    assert content["findings"] == [
        {"table": "patients", "column": "NOTE", "kind": "ssn", "detector": "pattern", "cells": 3, "severity": "finding"}
    ]
    assert content["evidence"][0]["content"] == {"ssn": 0.99999}


def test_the_twin_refuses_what_is_not_plain() -> None:
    with pytest.raises(TypeError, match="a report holds no bytes"):
        render_report_json(dataclasses.replace(published(), actor=b"raw"))  # type: ignore[arg-type]


def test_decisions_are_told_with_rule_and_kind_but_not_with_the_rules_parameters() -> None:
    decision = Decision(verdict=Verdict.SENSITIVE, rule=Token(domain="patient", prefix="pat_"), kind=IdentifierKind.MRN)
    tables = {"patients": {"Id": decision, "NOTE": Decision(verdict=Verdict.BLOCKED)}}
    rows = decision_rows(Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables=tables))
    assert [(r.table, r.column, r.verdict, r.rule, r.kind) for r in rows] == [
        ("patients", "Id", "sensitive", "token", "mrn"),
        ("patients", "NOTE", "blocked", "", ""),
    ]


def test_marks_lie_inside_the_plot_whatever_the_recall() -> None:
    recalls = [
        CanaryRecall(kind=IdentifierKind.SSN, planted=n, found=found, lower_bound=bound, floor=floor)
        for n, found, bound, floor in [(1000, 1000, 0.997, 0.99), (1000, 0, 0.0, 0.99), (0, 0, 0.0, 0.0), (10, 10, 1.0, 1.0)]
    ]
    for shown in (recalls, recalls[:1], []):
        plot = recall_plot(shown)
        assert all(0 <= x <= plot.width for m in plot.marks for x in (m.found_x, m.bound_x, m.floor_x))
        assert all(m.bound_x <= m.found_x for m in plot.marks)
    assert timing_plot([StepTiming(name="s", title="s", seconds=0.0)]).marks[0].width == 0.0


@pytest.mark.parametrize("production", [True, False])
def test_a_page_says_where_a_run_was_not_for_production(production: bool) -> None:
    page = render_report(dataclasses.replace(published(), production=production))
    assert ("Not for production" in page) is not production
