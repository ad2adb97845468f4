"""Profiles: what a legal basis does not allow is a mistake in the configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.deidentify.checks.profiles import check_profile
from wardlake.model.treatments import (
    Age,
    Bucket,
    Classification,
    DateShift,
    DateYear,
    Decision,
    FormatToken,
    FreeText,
    Generalise,
    IdentifierKind,
    Profile,
    Surrogate,
    SurrogateKind,
    Token,
    TokenMode,
    Verdict,
)


def classified(profile: Profile, decision: Decision, mode: TokenMode = TokenMode.RANDOM) -> Classification:
    return Classification(source="s", profile=profile, token_mode=mode, agreement="dua-1", tables={"t": {"c": decision}})


@pytest.mark.parametrize(
    ("profile", "rule"),
    [
        (Profile.SAFE_HARBOR, DateShift()),
        (Profile.SAFE_HARBOR, FormatToken(domain="d")),
        (Profile.SAFE_HARBOR, FreeText()),
        (Profile.LIMITED_DATA_SET, FreeText(release=True)),
    ],
)
def test_a_rule_that_the_profile_does_not_allow_is_named_with_its_column(profile: Profile, rule: DateShift) -> None:
    [(table, column, message)] = check_profile(classified(profile, sensitive(rule)))
    assert (table, column) == ("t", "c")
    assert rule.rule in message
    assert profile in message


def test_the_same_rule_is_fine_where_it_is_allowed() -> None:
    assert check_profile(classified(Profile.EXPERT, sensitive(DateShift()), TokenMode.KEYED)) == []
    assert check_profile(classified(Profile.LIMITED_DATA_SET, sensitive(DateShift()))) == []
    assert check_profile(classified(Profile.SAFE_HARBOR, sensitive(Token(domain="d")))) == []


def test_safe_harbor_refuses_codes_derived_from_the_person() -> None:
    [(_, _, message)] = check_profile(classified(Profile.SAFE_HARBOR, SAFE, TokenMode.KEYED))
    assert "token_mode keyed" in message


def test_a_limited_data_set_needs_an_agreement() -> None:
    without = replace(classified(Profile.LIMITED_DATA_SET, SAFE), agreement="")
    assert "agreement" in check_profile(without)[0][2]


def test_identifiers_are_not_safe_by_declaration() -> None:
    ssn = Decision(verdict=Verdict.SAFE, kind=IdentifierKind.SSN)
    day = Decision(verdict=Verdict.SAFE, kind=IdentifierKind.DATE)
    assert check_profile(classified(Profile.SAFE_HARBOR, ssn)) != []
    assert check_profile(classified(Profile.SAFE_HARBOR, day)) != []
    assert check_profile(classified(Profile.LIMITED_DATA_SET, ssn)) != []
    assert check_profile(classified(Profile.LIMITED_DATA_SET, day)) == []


@pytest.mark.parametrize(
    "rule",
    [
        DateShift(days=0),
        DateShift(days=-3),
        Bucket(),
        Bucket(width=0),
        Bucket(width=5, edges=(1.0,)),
        Surrogate(kind=SurrogateKind.CITY, domain="d", by_if={"a": "b"}),
    ],
)
def test_parameters_that_make_no_sense_are_mistakes(rule: DateShift) -> None:
    assert len(check_profile(classified(Profile.EXPERT, sensitive(rule)))) == 1


@pytest.mark.parametrize(
    "rule",
    [
        Bucket(width=5),
        Bucket(edges=(0.0, 18.0, 65.0, 95.0)),
        Generalise(to={}, numbers="keep"),
        Generalise(to={"92": "92", "93": "93"}),
        Generalise(to={"91": "90-94", "96": "95-99"}),
        Generalise(to={"91": "91 years"}),
        Generalise(to={"91": "90", "96": "90+"}),
        Generalise(to={"91": "90"}, other="over 95"),
    ],
)
def test_safe_harbor_refuses_what_keeps_ages_over_89_apart(rule: Bucket | Generalise) -> None:
    age = sensitive(rule, IdentifierKind.AGE)
    assert "one class for ages of 90 and over" in check_profile(classified(Profile.SAFE_HARBOR, age))[0][2]
    assert check_profile(classified(Profile.LIMITED_DATA_SET, age)) == []
    assert check_profile(classified(Profile.SAFE_HARBOR, sensitive(rule))) == []


def test_a_column_whose_name_speaks_for_an_age_is_held_to_that_unless_somebody_said_what_it_is() -> None:
    def by_name(path: str) -> tuple[IdentifierKind, ...]:
        return (IdentifierKind.AGE,)

    unsaid = classified(Profile.SAFE_HARBOR, sensitive(Bucket(width=5)))
    assert "one class for ages of 90 and over" in check_profile(unsaid, by_name)[0][2]
    said = classified(Profile.SAFE_HARBOR, sensitive(Bucket(width=5), IdentifierKind.UNIQUE_CODE))
    assert check_profile(said, by_name) == []


@pytest.mark.parametrize(
    "rule",
    [
        Age(),
        DateYear(birth=True),
        Bucket(edges=(0.0, 18.0, 65.0, 90.0)),
        Generalise(to={"92": "90"}),
        Generalise(to={"85": "80-89", "91": "90 and over", "96": "90 and over"}),
    ],
)
def test_safe_harbor_takes_ages_with_one_class_from_90_up(rule: Age) -> None:
    assert check_profile(classified(Profile.SAFE_HARBOR, sensitive(rule, IdentifierKind.AGE))) == []


def test_ages_are_safe_in_a_limited_data_set_and_not_under_safe_harbor() -> None:
    age = Decision(verdict=Verdict.SAFE, kind=IdentifierKind.AGE)
    assert "does not let a column of kind age pass as safe" in check_profile(classified(Profile.SAFE_HARBOR, age))[0][2]
    assert check_profile(classified(Profile.LIMITED_DATA_SET, age)) == []
