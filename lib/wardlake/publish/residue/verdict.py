"""The verdict on what a scan counted: pure, over counts and decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import expm1

from scipy.stats import binom

from wardlake.detect.counting import CellCounts, Hit
from wardlake.detect.patterns import BARE
from wardlake.detect.text_names import TEXT_NAME
from wardlake.model.evidence import Finding
from wardlake.model.treatments import (
    Age,
    Bucket,
    Constant,
    DateShift,
    DateYear,
    Decision,
    Drop,
    EmbeddedTokens,
    FormatToken,
    FreeText,
    Generalise,
    IdentifierKind,
    Null,
    Password,
    Surrogate,
    SurrogateKind,
    Token,
    Verdict,
    Zip3,
)
from wardlake.publish.residue.known_values.index import Chances
from wardlake.publish.residue.known_values.policy import surrogate_kind
from wardlake.publish.residue.linkage.counts import LinkCounts
from wardlake.publish.residue.policy import ResiduePolicy

# Which hits of a column say something: `speaking_hits` under the gate's own limits, for the source and the output alike.
Sift = Callable[[CellCounts], Mapping[Hit, int]]

FINDING, NOTICE = "finding", "notice"
KNOWN_VALUE, KNOWN_NAME, KNOWN_DIGITS = "known-value", "known-name", "known-digits"
_KNOWN = frozenset({KNOWN_VALUE, KNOWN_NAME, KNOWN_DIGITS})
_NUMBERS = frozenset({"int", "bigint"})
_NAMES = frozenset({IdentifierKind.PERSON_NAME, IdentifierKind.PLACE_NAME})
_ADDRESS = _NAMES | {IdentifierKind.STREET_ADDRESS}
_WRITES: Mapping[type, frozenset[IdentifierKind]] = {
    Token: frozenset({IdentifierKind.UNIQUE_CODE}),
    DateShift: frozenset({IdentifierKind.DATE}),
    DateYear: frozenset({IdentifierKind.DATE}),
    Zip3: frozenset({IdentifierKind.ZIP}),
    EmbeddedTokens: frozenset({IdentifierKind.URL, IdentifierKind.UNIQUE_CODE}),
    Password: frozenset({IdentifierKind.PASSWORD}),
    Age: frozenset(),
    Bucket: frozenset(),
    FreeText: frozenset(),
    Null: frozenset(),
    Drop: frozenset(),
}


def kinds_by_design(decision: Decision) -> frozenset[IdentifierKind]:
    """The kinds that a column's rule writes, which a pattern or dictionary may therefore find in it.

    A closed vocabulary: a rule that is not here raises. The decision's own `kind` counts where the rule keeps the form.
    """
    own = frozenset({decision.kind}) if decision.kind else frozenset()
    match decision.rule:
        case None:
            return own if decision.verdict is Verdict.SAFE else frozenset()
        case FormatToken():
            return frozenset(IdentifierKind)  # it writes any value of its format, whatever else has that format
        case Surrogate(kind=kind):
            return _surrogate_kinds(kind)
        case Generalise() | Constant():
            return own & {IdentifierKind.PLACE_NAME, IdentifierKind.ZIP}
        case rule if type(rule) in _WRITES:
            return _WRITES[type(rule)]
        case _:
            raise ValueError(f"unknown rule {decision.rule}")


def _surrogate_kinds(kind: SurrogateKind) -> frozenset[IdentifierKind]:
    match kind:
        case SurrogateKind.EMAIL:
            return _NAMES | {IdentifierKind.EMAIL, IdentifierKind.URL}
        case SurrogateKind.PHONE:
            return frozenset({IdentifierKind.PHONE})
        case SurrogateKind.STREET:
            return _ADDRESS
        case _:
            return _NAMES


def judge_column(
    table: str,
    counts: CellCounts,
    decision: Decision,
    *,
    sift: Sift,
    chance: Chances,
    policy: ResiduePolicy,
) -> Iterator[Finding]:
    """Findings and notices of one column path of the output."""
    if decision.verdict is Verdict.BLOCKED or isinstance(decision.rule, Drop | Null):
        if counts.rows > counts.nulls:
            kind = decision.kind or IdentifierKind.UNIQUE_CODE
            yield _finding(table, counts, kind, "blocked", counts.rows - counts.nulls)
        return
    designed = kinds_by_design(decision)
    for (matcher, kind), cells in sift(counts).items():
        if matcher == TEXT_NAME and not is_released_text(decision):
            continue  # meant for text alone: elsewhere it takes terms for names
        if matcher not in _KNOWN and kind not in designed and not _keeps_form(counts, decision, matcher, kind):
            yield _finding(table, counts, kind, matcher, cells)
    for hit, cells in counts.hits.items():
        if hit[0] in _KNOWN:
            severity = _known_severity(counts, hit, decision, chance, policy)
            yield _finding(table, counts, hit[1], hit[0], cells, severity=severity)


def is_released_text(decision: Decision) -> bool:
    """Whether the column is free text that readers get, cleaned."""
    return isinstance(decision.rule, FreeText) and decision.rule.release


def _keeps_form(counts: CellCounts, decision: Decision, matcher: str, kind: IdentifierKind) -> bool:
    """Whether a token has this form by design.

    A number's token is a number of any size, so that one in ten passes a check digit. A text token of a number has as many
    digits as the number: its bare form is by design, its separators would not be. Known values are looked for all the same.
    """
    if not isinstance(decision.rule, Token):
        return False
    return _is_number(counts) or (matcher == BARE and kind is decision.kind)


def _is_number(counts: CellCounts) -> bool:
    return counts.type in _NUMBERS or counts.type.startswith("decimal")


def _finding(
    table: str, counts: CellCounts, kind: IdentifierKind, detector: str, cells: int, *, severity: str = FINDING
) -> Finding:
    return Finding(table=table, column=counts.path, kind=kind, detector=detector, cells=cells, severity=severity)


def _known_severity(
    counts: CellCounts,
    hit: Hit,
    decision: Decision,
    chance: Chances,
    policy: ResiduePolicy,
) -> str:
    matcher, kind = hit
    if matcher == KNOWN_NAME:
        return NOTICE  # a single common name
    distinct = counts.distinct_hits.get(hit, counts.hits[hit])
    if isinstance(decision.rule, Surrogate):
        own = surrogate_kind(decision.rule.kind) or decision.kind
        return _surrogate_severity(own, kind, distinct, counts, policy)
    permuted = _is_permuted(counts, decision)
    if matcher != KNOWN_DIGITS and not permuted:
        return FINDING
    chances = chance.numbers if matcher == KNOWN_DIGITS else chance.formats
    rare = policy.chance.rare_format if permuted else policy.chance.rare
    texts = max(counts.distinct_estimate, distinct)
    return FINDING if is_no_accident(distinct, texts, chances.get(kind, 0.0), rare) else NOTICE


def _is_permuted(counts: CellCounts, decision: Decision) -> bool:
    """Whether the column's tokens are values of the source's own format or range, so that some equal another real one."""
    return isinstance(decision.rule, FormatToken) or (isinstance(decision.rule, Token) and _is_number(counts))


def _surrogate_severity(
    own: IdentifierKind | None, kind: IdentifierKind, distinct: int, counts: CellCounts, policy: ResiduePolicy
) -> str:
    """A surrogate may equal a value of the source now and then; a column of them may not."""
    if kind is IdentifierKind.PERSON_NAME:
        return NOTICE  # full names of persons are judged by row, with what stands beside them
    if kind is not own:
        return FINDING
    allowed = max(1.0, policy.surrogates.most_equal * counts.distinct_estimate)
    return FINDING if distinct > allowed else NOTICE


def is_no_accident(hits: int, texts: int, known: float, rare: float) -> bool:
    """Whether so many hits among different texts are rarer than `rare` where each text may equal `known` values on average.

    The upper tail of a binomial count; a text equals one of them at all with 1 - exp(-known). A column that was copied hits with
    every text, which is no accident however crowded the numbers are.
    """
    return hits > 0 and float(binom.sf(hits - 1, texts, -expm1(-known))) < rare


def judge_links(
    links: Iterable[LinkCounts], decisions: Mapping[str, Mapping[str, Decision]], policy: ResiduePolicy
) -> Iterator[Finding]:
    """Rows that point to a person of the source. Columns all decided safe are reported: someone took that decision."""
    for link in links:
        if not link.cells:
            continue
        columns = link.columns.split("+")
        severity = FINDING
        if link.kind is IdentifierKind.PERSON_NAME:
            severity = _names_severity(link, policy)
        elif all(decisions[link.table][column].verdict is Verdict.SAFE for column in columns):
            severity = NOTICE
        yield Finding(
            table=link.table, column=link.columns, kind=link.kind, detector="linkage", cells=link.cells, severity=severity
        )


def _names_severity(link: LinkCounts, policy: ResiduePolicy) -> str:
    """Full names alone: a finding where far more are known than exchanged last names would give."""
    limits = policy.surrogates
    many = link.cells > max(1.0, limits.most_equal * link.rows)
    return FINDING if many and link.cells > limits.name_pairs_factor * link.mixed else NOTICE


def decision_for(path: str, decisions: Mapping[str, Decision]) -> Decision | None:
    """The decision on a path, or on the nearest thing it lies in."""
    if path in decisions:
        return decisions[path]
    cuts = sorted((at for at, letter in enumerate(path) if letter in ".[$"), reverse=True)
    return next((decisions[path[:at]] for at in cuts if path[:at] in decisions), None)


def lines_of(findings: Sequence[Finding]) -> list[str]:
    """What an error or a page says of findings: where, what, how many."""
    return [f"{f.table}.{f.column}: {f.kind.value} by {f.detector} in {f.cells} cells" for f in findings]
