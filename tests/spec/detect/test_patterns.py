"""Patterns find each kind of identifier in the forms people write, and leave clinical codes alone."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.detection_rules import patterns

from wardlake.detect.patterns import BARE, PATTERN, PatternMatcher, parse_patterns
from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import IdentifierKind as Kind

MATCHERS: dict[str, PatternMatcher] = {matcher.name: matcher for matcher in patterns().matchers()}

FOUND = [
    (Kind.SSN, "123-45-6789"),
    (Kind.SSN, "the number 999 35 9473, as given"),
    (Kind.SSN, "900-12.3456 123.45.6789"),
    (Kind.SSN, "SSN: 123456789"),
    (Kind.SSN, "１２３‑４５‑６７８９"),  # noqa: RUF001  full-width digits, non-breaking hyphens
    (Kind.SSN, "١٢٣-٤٥-٦٧٨٩"),
    (Kind.SSN, "123-\u200b45-6789"),
    (Kind.NPI, "NPI 1234567893"),
    (Kind.PHONE, "call (302) 555-1234 x12"),
    (Kind.PHONE, "+44 20 7946 0958"),
    (Kind.PHONE, "001-518-640-0854"),
    (Kind.PHONE, "0490 39 07 81"),
    (Kind.PHONE, "Phone: 467 3395"),
    (Kind.EMAIL, "write to jane.o'neil+x@clinic.example.org."),
    (Kind.EMAIL, "jane (at) clinic (dot) org"),
    (Kind.URL, "see https://portal.example/p/1"),
    (Kind.URL, "www.example.fi"),
    (Kind.IP_ADDRESS, "from 192.168.10.7."),
    (Kind.IP_ADDRESS, "fe80::1ff:fe23:4567:890a"),
    (Kind.DATE, "2024-03-19T09:31:55Z"),
    (Kind.DATE, "born 3/9/1935"),
    (Kind.DATE, "19. März 2020"),
    (Kind.DATE, "Sept 4, 1999"),
    (Kind.ZIP, "Wilmington, DE 19805"),
    (Kind.ZIP, "19966-4791"),
    (Kind.STREET_ADDRESS, "560 Ritchie Way Suite 68"),
    (Kind.STREET_ADDRESS, "20251 JOHN J WILLIAMS HWY"),
    (Kind.STREET_ADDRESS, "Søndergade 52"),
    (Kind.STREET_ADDRESS, "7489 HUGO CRESCENT"),
    (Kind.STREET_ADDRESS, "1046 BIG BAYOU UNIT 3"),
    (Kind.STREET_ADDRESS, "278 Kansas Arcade"),
    (Kind.STREET_ADDRESS, "12 Westerly Xing"),
    (Kind.STREET_ADDRESS, "mail to RR 2 Box 18"),
    (Kind.STREET_ADDRESS, "Post Office Box 77"),
    (Kind.COORDINATE, "39.66240, -75.58004"),
    (Kind.CREDIT_CARD, "4111 1111 1111 1111"),
    (Kind.CREDIT_CARD, "pay with 5500005555555559"),
    (Kind.DEVICE, "(01)28139969173882(11)191214(17)441228(10)8810(21)4088"),
    (Kind.DEVICE, "Serial no. AB-99821"),
    (Kind.DEVICE, "00:1B:44:11:3A:B7"),
    (Kind.LICENCE_PLATE, "1M8GDM9AXKP042788"),
    (Kind.LICENCE_PLATE, "licence plate ABC-1234"),
    (Kind.ACCOUNT, "GB82 WEST 1234 5698 7654 32"),
    (Kind.ACCOUNT, "member ID: XZ-4481220"),
    (Kind.ACCOUNT, "Mbr ID XYP123456789"),
    (Kind.ACCOUNT, "1EG4-TE5-MK73"),
    (Kind.ACCOUNT, "covered under 1eg4te5mk73 since May"),
    (Kind.MRN, "MRN: 00482913"),
    (Kind.DRIVING_LICENCE, "driver's license S99972540"),
    (Kind.PASSPORT, "passport no X4573396X"),
    (Kind.UNIQUE_CODE, "seen under 2e23caa4-d831-1f47-c522-0518bab7bd3d"),
    (Kind.UNIQUE_CODE, "1.2.840.99999999.1.75260369.1578137947451"),
    (Kind.PASSWORD, "$2b$12$abcdefghijklmnopqrstuv"),
    (Kind.PASSWORD, "password: hunter2"),
    (Kind.PERSON_NAME, "seen by Dr. Paavolainen"),
    (Kind.PERSON_NAME, "My name is Rubija"),
]

HARMLESS = [
    "Body Height",
    "Acetaminophen 160 MG Chewable Tablet",
    "Medication Reconciliation (procedure)",
    "314529007",  # SNOMED CT: check digit and partition
    "12237791000119102",
    "8302-2",
    "1.2.840.10008.5.1.4.1.1.1.3",  # a DICOM class
    "130.39",
    "39.66240635346633",
    "{score}",
    "10*3/uL",
    "120/80",
    "12 SIMPLE REST",
    "500 MG DELAYED RELEASE PASS",
    "120 MINUTE TREADMILL WALK",
    "1SG4-TE5-MK73",  # no S in a Medicare identifier
    "2019",
    "12:30:10",
    "000-12-3456",
    "666-12-3456",
    "123-00-6789",
    "4111 1111 1111 1112",
    "NPI 1234567890",
    "GB82 WEST 1234 5698 7654 33",
]


def kinds(text: str, matcher: str = PATTERN) -> set[Kind]:
    return {kind for kind, found in MATCHERS[matcher].match(pa.array([text])).items() if found[0].as_py()}


@pytest.mark.parametrize(("kind", "text"), FOUND, ids=[f"{k}-{n}" for n, (k, _) in enumerate(FOUND)])
def test_an_identifier_is_found_as_people_write_it(kind: Kind, text: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_clinical_codes_and_broken_check_digits_are_left_alone(text: str) -> None:
    assert kinds(text) == set()


def test_every_match_is_told_for_its_own_text() -> None:
    found = MATCHERS[PATTERN].match(pa.array(["nothing", "a@b.org", "123-45-6789", "a@b.org 123-45-6789"]))
    assert found[Kind.EMAIL].to_pylist() == [False, True, False, True]
    assert found[Kind.SSN].to_pylist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("199664791", Kind.SSN), ("19966", Kind.ZIP), ("3026446860", Kind.PHONE), ("1234567893", Kind.NPI),
     ("S99972540", Kind.DRIVING_LICENCE), ("X4573396X", Kind.PASSPORT), ("20240319", Kind.DATE)],
)  # fmt: skip
def test_bare_numbers_are_found_apart(text: str, kind: Kind) -> None:
    assert kind in kinds(text, BARE)
    assert kind not in kinds(text, PATTERN)


@pytest.mark.parametrize(("text", "is_zip"), [("241046008", False), ("433236007", False), ("241046009", True), ("24104", True)])
def test_a_code_of_snomed_that_begins_like_a_zip_code_is_none(text: str, is_zip: bool) -> None:
    """The last digit of 241046009 is no check digit of SNOMED CT's."""
    assert (Kind.ZIP in kinds(text, BARE)) is is_zip


def test_every_pattern_passes_its_own_gate() -> None:
    """A gate that is narrower than its pattern would blind it: every found text passes with gates, so gates let it through."""
    assert {kind for kind, _ in FOUND} >= {p.kind for p in patterns().patterns if p.matcher == PATTERN}


def test_an_empty_column_has_no_hits() -> None:
    assert MATCHERS[PATTERN].match(pa.array([], pa.string())) == {}


def test_every_mistake_of_a_pattern_file_is_reported_at_once() -> None:
    wrong = [
        {"name": "a", "kind": "ssn", "expression": "("},
        {"name": "b", "kind": "shoe size", "expression": "x"},
        {"name": "c", "kind": "ssn", "check": "none", "expression": "x"},
        {"name": "d", "kind": "ssn", "speed": 1, "expression": "x"},
    ]
    with pytest.raises(ConfigurationError) as error:
        parse_patterns({"gates": {"digits": "x"}, "patterns": wrong})
    assert len(error.value.mistakes) == 4
