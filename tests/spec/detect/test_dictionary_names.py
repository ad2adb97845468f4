"""Names are found by dictionary: full names inside texts, and cells that are nothing but a name."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.detection_rules import words

from wardlake.detect.names import FullNameMatcher, NameCellMatcher
from wardlake.model.treatments import IdentifierKind as Kind

FULL, CELL = FullNameMatcher(words()), NameCellMatcher(words())


def found(matcher: FullNameMatcher | NameCellMatcher, text: str, kind: Kind) -> bool:
    hits = matcher.match(pa.array([text]))
    return kind in hits and bool(hits[kind][0].as_py())


@pytest.mark.parametrize(
    "text",
    ["Seen by Mary Johnson today", "Crista774 Koss676", "Smith, John", "John Q. Public and Mary O'Brien", "🎉 Mary Johnson 🎉"],
)
def test_a_full_name_is_found_in_a_text(text: str) -> None:
    assert found(FULL, text, Kind.PERSON_NAME)


@pytest.mark.parametrize("text", ["Body Height", "Blood Pressure", "Medication Reconciliation (procedure)", "mary johnson", ""])
def test_clinical_words_are_no_full_names(text: str) -> None:
    assert not found(FULL, text, Kind.PERSON_NAME)


@pytest.mark.parametrize("text", ["Jessie665", "O'Brien", "maría garcía", "José de la Cruz", "SMITH", "Mr. John Smith Jr"])
def test_a_cell_that_is_a_name_is_found(text: str) -> None:
    assert found(CELL, text, Kind.PERSON_NAME)


@pytest.mark.parametrize("text", ["white", "M", "numeric", "ambulatory", "2e23caa4-d831-1f47-c522-0518bab7bd3d", "Mr."])
def test_a_category_is_no_name(text: str) -> None:
    assert not found(CELL, text, Kind.PERSON_NAME)


@pytest.mark.parametrize("text", ["Wilmington", "NEW CASTLE", "Laurel  Delaware  US"])
def test_a_cell_that_is_a_place_is_found(text: str) -> None:
    assert found(CELL, text, Kind.PLACE_NAME)


def test_names_in_other_scripts_break_nothing() -> None:
    values = pa.array(["محمد علي", "מרים כהן", "王小明", "👩‍⚕️", "\u202eyraM"])
    assert len(values) == len(FULL.match(values).get(Kind.PERSON_NAME, values)) == len(values)
