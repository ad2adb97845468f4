"""Names in free text are found though no list holds them; sentences of terms are left alone."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.detection_rules import words

from wardlake.detect.text_names import TextNameMatcher, find_names
from wardlake.model.treatments import IdentifierKind as Kind

WORDS = words()
MATCHER = TextNameMatcher(WORDS)


def named(text: str) -> list[str]:
    return [text[start:end] for start, end in find_names(text, WORDS)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Seen by Mary Johnson today", "Mary Johnson"),
        ("note to file (Danka Przeździecka) reviewed", "Danka Przeździecka"),
        ("Contact: Mirac Grootherder; no change", "Mirac Grootherder"),
        ("ANNUNZIATA CALABRIA was entered", "ANNUNZIATA CALABRIA"),
        ("Tisserand, Canon at the desk", "Tisserand, Canon"),
        ("Aquil L. Stebenne, follow up", "Aquil L. Stebenne"),
        ("Lúcio da Silva", "Lúcio da Silva"),
        ("Crista774 Koss676", "Crista774 Koss"),
        ("seen by Dr. Mavília again", "Mavília"),
        ("Jean-Baptiste O\u2019Shaughnessy", "Jean-Baptiste O\u2019Shaughnessy"),
    ],
)
def test_a_name_is_found_whether_or_not_a_list_has_it(text: str, name: str) -> None:
    assert named(text) == [name]
    assert MATCHER.match(pa.array([text]))[Kind.PERSON_NAME].to_pylist() == [True]


def test_a_longer_name_is_found_to_its_end() -> None:
    spans = list(find_names("Féline Maria Rennershuysken", WORDS))
    assert (spans[0][0], spans[-1][1]) == (0, len("Féline Maria Rennershuysken"))


@pytest.mark.parametrize(
    "text",
    [
        "Medication Reconciliation and Body Mass Index were recorded, 20 MG Oral Tablet given.",
        "Acute viral pharyngitis with Blood Pressure of 120/80 and a pain score of 3.",
        "Chest X-Ray and CT Head without contrast. Patient tolerated it.",
        "Discharged home. Follow up with Primary Care.",
        "mary johnson",
        "[person_name] felt dizzy; [date] [ssn]",
        "",
        "\u0645\u062d\u0645\u062f \u0639\u0644\u064a",
    ],
)
def test_terms_and_cleaned_text_hold_no_name(text: str) -> None:
    assert named(text) == []


def test_every_text_has_its_answer() -> None:
    texts = pa.array(["Body Height", "Danka Przeździecka", "", "x"])
    assert MATCHER.match(texts)[Kind.PERSON_NAME].to_pylist() == [False, True, False, False]
