"""The report of one run: exact content as data, and its two forms, a self-contained HTML page and JSON.

Everything in it is a name, a count, a rate, a masked shape, a hash or a time: no field takes a value of the source.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from wardlake.model.evidence import CanaryRecall, ColumnEvidence, Finding
from wardlake.model.treatments import Classification
from wardlake.ports.contracts import ContractResult


class RunOutcome(StrEnum):
    PUBLISHED = "published"
    HALTED = "halted"  # a gate before the output: nothing was staged
    QUARANTINED = "quarantined"  # a gate on the output: what was staged is put aside
    FAILED = "failed"  # no gate: the world or our own bug


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """What was decided of one column path. `rule` and `kind` are empty where there is none; no verdict: undecided."""

    table: str
    column: str
    verdict: str
    rule: str = ""
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """Rows of one table before and after; `commitment` is what may be known of its hashes."""

    name: str
    rows_in: int
    rows_out: int
    commitment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRow:
    """One foreign key in source and output: orphan rates (0 to 1), matched parents, and most rows a parent has."""

    reference: str
    source_orphan_rate: float
    output_orphan_rate: float
    source_matched: int
    output_matched: int
    source_max: int
    output_max: int
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTiming:
    """One step of the plan: wall and CPU seconds; `state` is `done`, `failed`, `reused` or `not run`."""

    name: str
    title: str
    seconds: float
    cpu_seconds: float = 0.0
    state: str = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something to know of one column or table: `what` is a count, a kind or a reason in words."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What a person should look at although no gate stopped the run. Names, counts and reasons."""

    undeclared_tables: tuple[str, ...] = ()  # at the source, in no configuration: not read
    empty_tables: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # odd at the source, and kept
    unknown_decisions: tuple[str, ...] = ()  # on columns that the source does not have
    became_null: tuple[Told, ...] = ()  # values that a rule could not read
    given_up: tuple[str, ...] = ()  # keys that the output no longer has
    undescribed: tuple[str, ...] = ()  # columns that no contract says anything of

    @property
    def count(self) -> int:
        return sum(len(getattr(self, each.name)) for each in dataclasses.fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How far the scan looked: cells, known values by sort, and the columns that it did not search or not for their values."""

    cells: int = 0
    known_values: Mapping[str, int] = field(default_factory=dict)
    inferred: tuple[Told, ...] = ()  # columns without a kind, searched for as this kind
    left_out: tuple[Told, ...] = ()  # not safe, and their values are not searched for: why
    unscanned: tuple[Told, ...] = ()  # not looked into, in the source or in the output: why


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Why a run ended before publication: the step, what happened, which columns or keys, and what to type next."""

    step: str
    what: str
    which: tuple[str, ...] = ()
    next_command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """All that one run's report says. Parts of steps that did not run are left empty."""

    outcome: RunOutcome
    exit_code: int
    run_id: str
    source: str
    zone: str
    profile: str
    actor: str
    started_at: str  # ISO 8601, UTC
    finished_at: str
    code_version: str
    production: bool = True  # false: whoever ran it was taken at the operating system's word, as in embedded mode
    schema_version: str = ""
    snapshot_id: str = ""
    dataset_id: str = ""
    dataset_path: str = ""
    sample: str = ""  # e.g. `5%`; empty: everything
    token_mode: str = ""
    key_versions: Mapping[str, int] = field(default_factory=dict)
    rule_set_hash: str = ""
    audit_sequence: int = 0
    audit_hash: str = ""
    archive_hash: str = ""
    halt: Halt | None = None
    decisions: tuple[DecisionRow, ...] = ()
    tables: tuple[TableRow, ...] = ()
    evidence: tuple[ColumnEvidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    recalls: tuple[CanaryRecall, ...] = ()
    known_recalls: tuple[CanaryRecall, ...] = ()  # of the match with the source's own values
    searched: Searched = field(default_factory=Searched)
    attention: Attention = field(default_factory=Attention)
    asked: tuple[str, ...] = ()  # columns that wait for a decision
    references: tuple[ReferenceRow, ...] = ()
    contracts: tuple[ContractResult, ...] = ()
    data_docs: str = ""  # relative link to the contracts' pages
    steps: tuple[StepTiming, ...] = ()


def decision_rows(classification: Classification) -> tuple[DecisionRow, ...]:
    """One row per decided column path, in table order."""
    return tuple(
        DecisionRow(
            table=table,
            column=path,
            verdict=decision.verdict.value,
            rule=decision.rule.rule if decision.rule else "",
            kind=decision.kind.value if decision.kind else "",
            reason=decision.reason,
        )
        for table, decisions in sorted(classification.tables.items())
        for path, decision in decisions.items()
    )


def render_report_json(report: RunReport) -> str:
    """The machine-readable twin of the page, `report.json`: the same fields under the same names."""
    return json.dumps(_plain(report), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case Mapping():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
        case _:
            raise TypeError(f"a report holds no {type(value).__name__}")
