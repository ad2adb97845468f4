"""The report as one self-contained HTML page: styles and plots inside, no script, nothing fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wardlake.model.evidence import ColumnEvidence
from wardlake.publish.report.content import DecisionRow, RunOutcome, RunReport
from wardlake.publish.report.plots import recall_plot, timing_plot

_LEAST = 0.0001
_HEADLINES = {
    RunOutcome.PUBLISHED: "Published",
    RunOutcome.HALTED: "Halted before any output",
    RunOutcome.QUARANTINED: "Quarantined: not published",
    RunOutcome.FAILED: "Failed: not published",
}


_FOUND_BY = {
    "pattern": "form of the text",
    "bare": "form of the whole cell",
    "dictionary": "first and last name, by lists",
    "text-name": "two words together that read like a name",
    "name-cell": "whole cell a name or place, by lists",
    "type": "the column's type",
    "known-value": "a value of the source",
    "known-digits": "a number of the source, as bare digits",
    "known-name": "one name that somebody in the source has",
    "linkage": "columns that together point to a person of the source",
    "blocked": "the column should be empty",
}


def render_report(report: RunReport) -> str:
    """The page of one run. Names of tables and columns come from the source and are escaped like any text."""
    environment = Environment(
        loader=PackageLoader("wardlake.publish.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}".replace(",", "\u202f")
    environment.filters["share"] = _share
    environment.filters["found_by"] = lambda detector: _FOUND_BY.get(detector, detector)
    environment.filters["moment"] = lambda at: str(at).partition(".")[0].removesuffix("+00:00").replace("T", " ")
    return environment.get_template("report.html.j2").render(
        report=report,
        headline=_HEADLINES[report.outcome],
        decisions=_by_table(report.decisions),
        verdicts=Counter(row.verdict or "undecided" for row in report.decisions),
        evidence=_telling(report),
        findings=[finding for finding in report.findings if finding.severity == "finding"],
        notices=[finding for finding in report.findings if finding.severity != "finding"],
        recall=recall_plot(report.recalls),
        known_recall=recall_plot(report.known_recalls),
        broken=[reference for reference in report.references if not reference.held],
        timing=timing_plot(report.steps),
        rows_in=sum(table.rows_in for table in report.tables),
        rows_out=sum(table.rows_out for table in report.tables),
    )


def _by_table(rows: Sequence[DecisionRow]) -> dict[str, list[DecisionRow]]:
    tables: dict[str, list[DecisionRow]] = {}
    for row in rows:
        tables.setdefault(row.table, []).append(row)
    return tables


def _telling(report: RunReport) -> list[dict[str, Any]]:
    """The columns that wait for a decision, and those whose content or name speaks for an identifier.

    Those called safe all the same come first, since two people took that on themselves; then the strongest.
    """
    decided = {f"{row.table}.{row.column}": row for row in report.decisions}
    told = [
        _told(one, decided.get(f"{one.table}.{one.path}"))
        for one in report.evidence
        if one.names or any(rate > 0 for rate in one.content.values()) or f"{one.table}.{one.path}" in report.asked
    ]
    return sorted(
        told, key=lambda one: (one["verdict"] != "safe", -max((r for _, r in one["content"]), default=0.0), one["column"])
    )


def _told(one: ColumnEvidence, decided: DecisionRow | None) -> dict[str, Any]:
    return {
        "column": f"{one.table}.{one.path}",
        "type": one.type,
        "cells": one.rows - one.nulls,
        "distinct": one.distinct_estimate,
        "content": sorted(((kind.value, rate) for kind, rate in one.content.items() if rate > 0), key=lambda x: -x[1]),
        "names": [kind.value for kind in one.names],
        "shapes": one.shapes[:3],
        "sampled": one.sampled,
        "scanned": one.scanned,
        "verdict": decided.verdict if decided else "",
        "rule": decided.rule if decided else "",
    }


def _share(rate: float) -> str:
    """A rate as a percentage that never rounds something to nothing or almost all to all."""
    if 0 < rate < _LEAST:
        return "< 0.01 %"
    if 1 - _LEAST < rate < 1:
        return "> 99.99 %"
    return f"{rate * 100:.4g} %"
