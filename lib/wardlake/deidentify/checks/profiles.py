"""What each legal profile allows: a decision it does not allow is a mistake in the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from wardlake.model.treatments import (
    MODES_ALLOWED,
    RULES_ALLOWED,
    Bucket,
    Classification,
    Decision,
    Generalise,
    IdentifierKind,
    Profile,
    Rule,
    Surrogate,
    Verdict,
)

KindsOfName = Callable[[str], Collection[IdentifierKind]]  # what the name of a column path speaks for
Complaint = tuple[str, str, str]  # table, column path, message; table and column empty: the classification as a whole

# 45 CFR 164.514(e)(2): direct identifiers that a limited data set must not hold, dates and places above street level aside
_DIRECT = frozenset(IdentifierKind) - {
    IdentifierKind.DATE,
    IdentifierKind.PLACE_NAME,
    IdentifierKind.ZIP,
    IdentifierKind.UNIQUE_CODE,
    IdentifierKind.COORDINATE,
    IdentifierKind.PASSWORD,
    IdentifierKind.AGE,
}
_HARBOURED = frozenset(IdentifierKind) - {IdentifierKind.PASSWORD}
_OLDEST = 90  # 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one class, 90 and over


def check_profile(classification: Classification, kinds_of_name: KindsOfName = lambda _path: ()) -> list[Complaint]:
    """Everything in a classification that its profile does not allow, as (table, column, message).

    A column without a `kind` whose name speaks for an age is held to what an age is held to.
    """
    profile = classification.profile
    return [
        *_check_whole(classification),
        *(
            (table, path, message)
            for table, decisions in classification.tables.items()
            for path, decision in decisions.items()
            for message in _check_decision(_of_its_kind(decision, kinds_of_name(path)), profile)
        ),
    ]


def _of_its_kind(decision: Decision, by_name: Collection[IdentifierKind]) -> Decision:
    """A rule for what its name calls an age is an age's, where nobody said what it is."""
    unsaid = decision.kind is None and decision.verdict is Verdict.SENSITIVE
    return replace(decision, kind=IdentifierKind.AGE) if unsaid and IdentifierKind.AGE in by_name else decision


def _check_whole(classification: Classification) -> Iterator[Complaint]:
    profile, mode = classification.profile, classification.token_mode
    if mode not in MODES_ALLOWED[profile]:
        allowed = ", ".join(sorted(MODES_ALLOWED[profile]))
        yield "", "", f"profile {profile} does not allow token_mode {mode}; it allows {allowed} (45 CFR 164.514(c)(1))"
    if profile is Profile.LIMITED_DATA_SET and not classification.agreement:
        yield "", "", "a limited data set needs `agreement`: the data-use agreement on record (45 CFR 164.514(e)(4))"


def _check_decision(decision: Decision, profile: Profile) -> Iterator[str]:
    rule = decision.rule
    if rule is not None and rule.rule not in RULES_ALLOWED[profile]:
        allowed = ", ".join(sorted(RULES_ALLOWED[profile]))
        yield f"profile {profile} does not allow rule {rule.rule}; it allows {allowed}"
    if decision.verdict is Verdict.SAFE and decision.kind in _never_safe(profile):
        yield f"profile {profile} does not let a column of kind {decision.kind} pass as safe"
    if profile is Profile.SAFE_HARBOR and decision.kind is IdentifierKind.AGE and _tells_high_ages(rule):
        yield (
            f"profile {profile} needs one class for ages of {_OLDEST} and over: rule age, or bucket with last edge {_OLDEST}; "
            "what is no age gets the `kind` that it is"
        )
    yield from _check_parameters(rule)


def _tells_high_ages(rule: Rule | None) -> bool:
    """Whether a rule keeps two ages over 89 apart."""
    match rule:
        case Bucket():
            return not rule.edges or max(rule.edges) > _OLDEST
        case Generalise():
            return rule.numbers == "keep" or _tells_apart({*rule.to.values(), rule.other or ""})
        case _:
            return False


def _tells_apart(labels: Collection[str]) -> bool:
    """Whether labels name an age over 90, or two of them one from 90 up: `90`, `90+` or `90 and over` is one class."""
    oldest = [max(map(int, numbers)) for label in labels if (numbers := re.findall(r"\d+", label))]
    return any(age > _OLDEST for age in oldest) or sum(age == _OLDEST for age in oldest) > 1


def _never_safe(profile: Profile) -> frozenset[IdentifierKind]:
    match profile:
        case Profile.SAFE_HARBOR:
            return _HARBOURED
        case Profile.LIMITED_DATA_SET:
            return _DIRECT
        case Profile.EXPERT:
            return frozenset()
    raise ValueError(f"no profile {profile}")


def _check_parameters(rule: Rule | None) -> Iterator[str]:
    """Parameters that the rule's form allows and that make no sense."""
    match rule:
        case Surrogate() if rule.by_if and not rule.by:
            yield "rule surrogate has `by_if` without `by`"
        case _:
            yield from _check_numbers(rule)


def _check_numbers(rule: Rule | None) -> Iterator[str]:
    days, width = getattr(rule, "days", 1), getattr(rule, "width", None)
    edges = getattr(rule, "edges", None)
    if not 1 <= days <= 36525:  # noqa: PLR2004 - a century
        yield "rule date_shift needs `days` from 1 to 36525"
    if width is not None and width <= 0:
        yield "rule bucket needs a `width` above 0"
    if edges is not None and (width is None) == (not edges):
        yield "rule bucket needs either `width` or `edges`"
