"""The gate looks at what captured changes hold: a column called safe whose new content speaks against it.

The same matchers, limits and approvals as a refresh's gate. A group's rows are looked into once, all practices together, by their
distinct texts; only a column with hits is looked into again, for each practice that has some.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.classify.evidence import EvidenceRules, build_evidence
from wardlake.classify.gate import Approval, check_decisions
from wardlake.classify.review import load_approvals, request_review
from wardlake.detect.counting import Tally, finish_tally
from wardlake.detect.leaves import count_leaf
from wardlake.detect.limits import Limit
from wardlake.detect.matchers import content_matchers
from wardlake.detect.matching import Matcher
from wardlake.detect.scan import MIN_SHAPE_ROWS
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.treatments import Verdict
from wardlake.pipelines.practices.opening import Practices
from wardlake.practices.log_entries import NOBODY, Deed
from wardlake.runs.storage_failures import engine_errors_named
from wardlake.settings.knowledge import load_knowledge

_SAY_NOTHING = ("date", "timestamp", "timestamp_ntz", "boolean", "binary")  # types whose values are no text to look into
SHARED_RATE = 0.5  # limits from this rate on are of forms that harmless codes share
FEWEST_CELLS = 100  # hits of a practice from which on a rate is judged in a batch
Cells = dict[str, list[str | None]]  # by practice


def find_speaking(practices: Practices, log: DataFrame) -> dict[str, tuple[str, ...]]:
    """By practice, the columns as `table.column` that are called safe and whose content in these entries says otherwise.

    A review is asked for each. What two people approved is approved here as well. Whether values are unique only a whole table
    says: that is not looked at.
    """
    looked_into = _safe_columns(practices)
    named = F.col("table").isin(list(looked_into)) & (F.col("practice") != NOBODY)
    rows = log.where((F.col("deed") == Deed.UPSERT.value) & named).select("practice", "table", "row")
    with engine_errors_named("Content cannot be looked into", practices.spec.name):
        batches = rows.toArrow().to_batches()
    cells = _gather(batches, looked_into)
    matchers, rules = _knowledge(practices.conf)
    approvals = load_approvals(practices.ports.registry, practices.spec.name)
    found: dict[str, list[str]] = {}
    for (table, column), by_practice in cells.items():
        kind = practices.admission.raw[table].columns[column]
        if not _has_hits(_tallies(column, kind, [text for texts in by_practice.values() for text in texts], matchers)):
            continue
        for practice, texts in by_practice.items():
            tallies = _tallies(column, kind, texts, matchers)
            if _has_hits(tallies) and _speaks(practices, table, tallies, rules, approvals):
                found.setdefault(practice, []).append(f"{table}.{column}")
    return {practice: tuple(sorted(columns)) for practice, columns in found.items()}


def _safe_columns(practices: Practices) -> dict[str, tuple[str, ...]]:
    """By table, the columns called safe, but keys, and the one that names the practice: these stand in every raw table.

    Made-up keys hold every form by chance: on the sample, practices were set aside for keys that look like accounts.
    """
    found = {}
    for name, table in practices.admission.raw.items():
        decisions = practices.classification.tables.get(name, {})
        captured = practices.admission.captured[name]
        safe = (column for column in decisions if column in table.columns.keys() - {*captured.key, captured.practice})
        found[name] = tuple(
            column
            for column in safe
            if decisions[column].verdict is Verdict.SAFE and not table.columns[column].startswith(_SAY_NOTHING)
        )
    return {name: columns for name, columns in found.items() if columns}


def _gather(batches: Iterable[pa.RecordBatch], wanted: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Cells]:
    cells: dict[tuple[str, str], Cells] = {}
    for batch in batches:
        for practice, table, row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            told = json.loads(row)
            for column in wanted[table]:
                if column in told:
                    cells.setdefault((table, column), {}).setdefault(practice, []).append(told[column])
    return cells


def _tallies(column: str, kind: str, texts: Sequence[str | None], matchers: Sequence[Matcher]) -> dict[str, Tally]:
    """Of the column and of paths in its documents. Numbers are looked at as people write them."""
    shown = texts if kind == "string" else [text.removesuffix(".0").removesuffix(".00") if text else text for text in texts]
    return count_leaf(column, kind, pa.array(shown, pa.string()), matchers, with_shapes=False)


def _has_hits(tallies: Mapping[str, Tally]) -> bool:
    return any(tally.hits for tally in tallies.values())


def _speaks(
    practices: Practices, table: str, tallies: Mapping[str, Tally], rules: EvidenceRules, approvals: Sequence[Approval]
) -> bool:
    """Whether the gate refuses a practice's cells of one column; then a review is asked for."""
    counts = [finish_tally(path, tally, min_shape_rows=MIN_SHAPE_ROWS, sampled=False) for path, tally in tallies.items()]
    evidence = [each for each in map(_of_content, build_evidence(table, counts, rules)) if each.content]
    source = practices.spec.name
    result = check_decisions(evidence, practices.classification, approvals, name=source)
    against = [*(each.evidence for each in result.contradictions), *(each.evidence for each in result.gaps)]
    for each in against:
        at = practices.ports.clock.now().isoformat()
        request_review(practices.ports.registry, source=source, run_id="", evidence=each, at=at)
    return bool(against)


def _of_content(evidence: ColumnEvidence) -> ColumnEvidence:
    """Without what the column's name says, which was decided on when its columns were."""
    return replace(evidence, names=(), denied_name=False)


@lru_cache(maxsize=1)
def _knowledge(conf: Path) -> tuple[tuple[Matcher, ...], EvidenceRules]:
    """Read once by an application."""
    known = load_knowledge(conf)
    content = {hit: _of_a_batch(limit) for hit, limit in known.evidence.content.items()}
    rules = replace(known.evidence, content=content, unique_rows=sys.maxsize)  # uniqueness is a whole table's
    return content_matchers(known.patterns, known.name_words), rules


def _of_a_batch(limit: Limit) -> Limit:
    """Forms that harmless codes share speak by their rate in a whole table; of a few cells a rate says little."""
    return replace(limit, cells=max(limit.cells, FEWEST_CELLS)) if limit.rate >= SHARED_RATE else limit
