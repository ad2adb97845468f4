"""The residue scan: the staged output against patterns, dictionaries and the source's known values, before anyone sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wardlake.detect.counting import CellCounts
from wardlake.detect.json_keys import JsonKeys
from wardlake.detect.matching import Matcher
from wardlake.detect.names import NAME_CELL
from wardlake.detect.patterns import BARE
from wardlake.detect.scan import scan_table
from wardlake.detect.storage import StorageOptions
from wardlake.model.errors import IdentifiersFound
from wardlake.model.evidence import CanaryRecall, Finding
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Verdict
from wardlake.ports.tables import Tables
from wardlake.publish.residue.canaries.draw import canary_kinds, draw_canaries
from wardlake.publish.residue.canaries.known import draw_known_canaries
from wardlake.publish.residue.known_values.index import Chances, KnownValues
from wardlake.publish.residue.known_values.matcher import known_matchers
from wardlake.publish.residue.linkage.columns import find_person_columns
from wardlake.publish.residue.linkage.counts import LinkCounts, count_links
from wardlake.publish.residue.policy import ResiduePolicy
from wardlake.publish.residue.recall import measure_known_recall, measure_recall
from wardlake.publish.residue.verdict import (
    FINDING,
    Sift,
    decision_for,
    is_released_text,
    judge_column,
    judge_links,
    lines_of,
)

_UNDECIDED = Decision(verdict=Verdict.SAFE)
# Judged by the share of a column's cells, so no canary counts as found by these alone
_BY_RATE = frozenset({BARE, NAME_CELL})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanMeans:
    """What a scan looks with: the detectors, the gate's own way of weighing their hits, the policy and the storage.

    `text_names` looks for names in released free text, and in nothing else: it takes terms and brands for names.
    """

    matchers: Sequence[Matcher]
    sift: Sift
    policy: ResiduePolicy
    storage: StorageOptions | None = None
    text_names: Matcher | None = None
    most_json_keys: int = 256

    def matchers_of(self, decisions: Mapping[str, Decision]) -> Sequence[Matcher]:
        """The detectors of a table, by whether it has released free text."""
        released = any(is_released_text(decision) for decision in decisions.values())
        return [*self.matchers, self.text_names] if released and self.text_names else self.matchers


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidueCounts:
    """What was counted of every staged table; aggregates only."""

    cells: Mapping[str, Sequence[CellCounts]]
    links: Sequence[LinkCounts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidueReport:
    """The scan's outcome. `findings` and kinds under their floor stop the run; `notices` are for people to read."""

    findings: tuple[Finding, ...]
    notices: tuple[Finding, ...]
    recall: tuple[CanaryRecall, ...]
    known_recall: tuple[CanaryRecall, ...] = ()
    unscanned: tuple[str, ...] = ()  # columns of types that cannot be looked into
    cells_scanned: int = 0
    known_values: Mapping[str, int] = field(default_factory=dict)
    policy_version: str = ""

    @property
    def too_blind(self) -> tuple[CanaryRecall, ...]:
        return tuple(r for r in (*self.recall, *self.known_recall) if not r.passed)

    @property
    def passed(self) -> bool:
        return not self.findings and not self.too_blind

    def require_clean(self) -> None:
        """Raise `IdentifiersFound`, naming columns and kinds, unless the scan passed."""
        if self.passed:
            return
        blind = [f"recall of {r.kind.value}: lower bound {r.lower_bound:.4f} is under {r.floor:.2f}" for r in self.too_blind]
        raise IdentifiersFound(
            "The output holds identifiers, or the scan is too blind to say.",
            which=[*lines_of(self.findings), *blind],
            next_step="the dataset is quarantined; see the run's report, mend the rule of the column and run again",
        )


def scan_residue(
    tables: Tables,
    staged: Mapping[str, str],
    classification: Classification,
    known: KnownValues | None,
    *,
    means: ScanMeans,
    run_id: str,
    expected_rows: Mapping[str, int] | None = None,
) -> ResidueReport:
    """Scan staged tables (name to path), measure the scan's own recall with fresh canaries, and judge.

    Raises `ContractBroken` where a data file cannot be read whole. Identifiers found are in the report, not raised.
    """
    counts = count_residue(tables, staged, classification, known, means=means, expected_rows=expected_rows or {})
    recall, known_recall = measure_scan(tables, classification, known, means=means, run_id=run_id)
    return judge_residue(counts, classification, known, means=means, recall=recall, known_recall=known_recall)


def count_residue(
    tables: Tables,
    staged: Mapping[str, str],
    classification: Classification,
    known: KnownValues | None,
    *,
    means: ScanMeans,
    expected_rows: Mapping[str, int],
) -> ResidueCounts:
    """Every cell of every staged table through every matcher, in one pass a table; rows that link are counted beside."""
    known_ones = known_matchers(known) if known else ()
    cells, links = {}, []
    for name, path in staged.items():
        rows, decisions = tables.read(path), classification.tables.get(name, {})
        cells[name] = scan_table(
            tables.spark,
            tables.data_files(path),
            rows.schema,
            [*means.matchers_of(decisions), *known_ones],
            expected_rows=expected_rows.get(name),
            storage=means.storage,
            json_keys=JsonKeys(most=means.most_json_keys, declared=tuple(decisions)),
        )
        person = find_person_columns(decisions, rows.columns, birth_words=means.policy.birth_words)
        if known:
            links += count_links(name, rows, person, decisions, known)
    return ResidueCounts(cells=cells, links=tuple(links))


def measure_scan(
    tables: Tables, classification: Classification, known: KnownValues | None, *, means: ScanMeans, run_id: str
) -> tuple[list[CanaryRecall], list[CanaryRecall]]:
    """Recall of the detectors and of the known-value match, on canaries of this run."""
    floors, of_text = means.policy.recall, releases_text(classification)
    enforced = set(floors.structured) | ({IdentifierKind.PERSON_NAME} if of_text else set())
    all_decisions = {f"{name}.{path}": d for name, table in classification.tables.items() for path, d in table.items()}
    deciding = [matcher for matcher in means.matchers_of(all_decisions) if matcher.name not in _BY_RATE]
    canaries = draw_canaries(run_id, canary_kinds(), per_kind=floors.canaries_per_kind)
    recall = measure_recall(tables.spark, deciding, canaries, floors=floors, enforced=enforced)
    if known is None:
        return recall, []
    planted = draw_known_canaries(run_id, per_kind=floors.canaries_per_kind)
    return recall, measure_known_recall(tables.spark, known, planted, floors=floors)


def releases_text(classification: Classification) -> bool:
    """Whether any column's free text is released."""
    return any(is_released_text(d) for table in classification.tables.values() for d in table.values())


def judge_residue(
    counts: ResidueCounts,
    classification: Classification,
    known: KnownValues | None,
    *,
    means: ScanMeans,
    recall: Sequence[CanaryRecall] = (),
    known_recall: Sequence[CanaryRecall] = (),
) -> ResidueReport:
    """The verdict over counts: no session, no data."""
    chance = known.chance if known else Chances()
    said: list[Finding] = []
    for table, columns in counts.cells.items():
        decisions = classification.tables.get(table, {})
        for column in columns:
            decision = decision_for(column.path, decisions) or _UNDECIDED
            said += judge_column(table, column, decision, sift=means.sift, chance=chance, policy=means.policy)
    said += judge_links(counts.links, classification.tables, means.policy)
    columns_of = [(table, column) for table, columns in counts.cells.items() for column in columns]
    return ResidueReport(
        findings=tuple(f for f in said if f.severity == FINDING),
        notices=tuple(f for f in said if f.severity != FINDING),
        recall=tuple(recall),
        known_recall=tuple(known_recall),
        unscanned=tuple(f"{table}.{column.path}" for table, column in columns_of if not column.scanned),
        cells_scanned=sum(column.texts for _, column in columns_of),
        known_values=known.sizes() if known else {},
        policy_version=means.policy.version,
    )
