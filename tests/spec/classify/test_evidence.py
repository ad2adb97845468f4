"""Evidence from content counts forms that speak for themselves from one cell, and forms that codes share by rate."""

from __future__ import annotations

import pytest
from tests.detection_rules import document, evidence_rules

from wardlake.classify.evidence import build_evidence, parse_evidence_rules
from wardlake.classify.names import kinds_of_name
from wardlake.detect.counting import CellCounts
from wardlake.model.errors import ConfigurationError
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.treatments import IdentifierKind as Kind

RULES = evidence_rules()


def judge(path: str = "a", **counts: object) -> ColumnEvidence:
    seen = {"type": "string", "rows": 1_000_000, "nulls": 0, "distinct_estimate": 50, **counts}
    return build_evidence("t", [CellCounts(path=path, **seen)], RULES)[0]  # type: ignore[arg-type]


def test_one_formatted_number_in_a_million_is_evidence() -> None:
    row = judge(hits={("pattern", Kind.SSN): 1}, distinct_hits={("pattern", Kind.SSN): 1})
    assert (row.hits, row.content) == ({Kind.SSN: 1}, {Kind.SSN: 1e-6})


def test_bare_numbers_count_by_rate() -> None:
    hit = ("bare", Kind.NPI)
    assert judge(hits={hit: 100_000}, distinct_hits={hit: 5_000}).content == {}  # a tenth pass the check digit by chance
    assert judge(hits={hit: 900_000}, distinct_hits={hit: 5_000}).content == {Kind.NPI: 0.9}


def test_one_frequent_code_does_not_make_a_column_of_zip_codes() -> None:
    hit = ("bare", Kind.ZIP)
    assert judge(hits={hit: 950_000}, distinct_hits={hit: 8}, distinct_estimate=40).content == {}  # eight of forty codes
    assert judge(hits={hit: 1_000_000}, distinct_hits={hit: 4}, distinct_estimate=4).content == {}  # 3 % of four codes, by chance
    assert judge(hits={hit: 950_000}, distinct_hits={hit: 38}, distinct_estimate=40).content == {Kind.ZIP: 0.95}


def test_a_category_that_looks_like_a_name_is_no_evidence() -> None:
    hit = ("name-cell", Kind.PERSON_NAME)
    assert judge(hits={hit: 1_000_000}, distinct_hits={hit: 1}).content == {}


def test_a_matcher_without_a_limit_counts_from_one_cell() -> None:
    assert judge(hits={("known-value", Kind.MRN): 1}).content == {Kind.MRN: 1e-6}


def test_texts_that_hardly_repeat_are_unique_codes() -> None:
    assert Kind.UNIQUE_CODE in judge(rows=1000, distinct_estimate=980).content
    assert Kind.UNIQUE_CODE not in judge(rows=1000, distinct_estimate=500).content
    assert Kind.UNIQUE_CODE not in judge(rows=20, distinct_estimate=20).content


def test_integers_are_unique_codes_only_where_they_are_long() -> None:
    long = judge(type="bigint", rows=1000, distinct_estimate=1000, shapes=(("99999999", 900),))
    short = judge(type="bigint", rows=1000, distinct_estimate=1000, shapes=(("99999", 900),))
    assert (Kind.UNIQUE_CODE in long.content, Kind.UNIQUE_CODE in short.content) == (True, False)


def test_rare_shapes_are_not_shown() -> None:
    assert judge(shapes=(("aa-99", 500_000), ("zzz", 10))).shapes == (("aa-99", 0.5),)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SSN", Kind.SSN),
        ("patientSsn", Kind.SSN),
        ("BIRTH_DATE", Kind.DATE),
        ("BIRTHDATE", Kind.DATE),
        ("syntymäaika", Kind.DATE),
        ("fecha_nacimiento", Kind.DATE),
        ("Nachname", Kind.PERSON_NAME),
        ("prénom", Kind.PERSON_NAME),
        ("sukunimi", Kind.PERSON_NAME),
        ("cognome", Kind.PERSON_NAME),
        ("voornaam", Kind.PERSON_NAME),
        ("endereço", Kind.STREET_ADDRESS),
        ("address.postalCode", Kind.ZIP),
        ("payload$.contacts[].telefono", Kind.PHONE),
        ("Id", Kind.UNIQUE_CODE),
        ("LAT", Kind.COORDINATE),
        ("henkilötunnus", Kind.SSN),
        ("AGE", Kind.AGE),
        ("age_at_death", Kind.AGE),
        ("YOB", Kind.AGE),
        ("BirthYear", Kind.AGE),
        ("edad", Kind.AGE),
        ("Alter", Kind.AGE),
        ("geburtsjahr", Kind.AGE),
        ("syntymävuosi", Kind.AGE),
    ],
)
def test_names_speak_in_eight_languages(name: str, kind: Kind) -> None:
    assert kind in kinds_of_name(name, RULES.names)


@pytest.mark.parametrize(
    "name",
    [
        "CODE",
        "DESCRIPTION",
        "UNITS",
        "BASE_ENCOUNTER_COST",
        "GENDER",
        "drug_name",
        "QUANTITY",
        "valid",
        "{key}",
        "LANGUAGE",
        "dosage",
    ],
)
def test_clinical_names_speak_for_nothing(name: str) -> None:
    assert kinds_of_name(name, RULES.names) == ()


def test_a_word_outside_the_vocabulary_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError):
        parse_evidence_rules({**document("evidence.yaml"), "content": {"shoe_size": {"pattern": {"cells": 1}}}})
