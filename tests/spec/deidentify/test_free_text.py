"""Free text: empty unless released; then without its patient's identifiers, patterns and names."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType
from tests.detection_rules import words
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.deidentify.rules.free_text import TextVocabulary, count_removed, remove_from_text
from wardlake.deidentify.rules.own_identifiers import gather_own_identifiers, list_own_identifiers
from wardlake.deidentify.tables import deidentify_table
from wardlake.detect.patterns import Pattern
from wardlake.model.errors import ConfigurationError
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import (
    DateShift,
    Decision,
    FormatToken,
    FreeText,
    IdentifierKind,
    Surrogate,
    SurrogateKind,
    Token,
    TokenMode,
    Verdict,
)
from wardlake.tokens.plain import token_of
from wardlake.tokens.source import TokenSource

SSN = Pattern(
    name="ssn",
    kind=IdentifierKind.SSN,
    matcher="pattern",
    expression=r"(?:^|[^0-9])(\d{3}-\d{2}-\d{4})(?:$|[^0-9])",
    gate=r"\d",
)
VOCABULARY = TextVocabulary(patterns=(SSN,), names=frozenset({"miller", "o'hara"}))
RELEASE = sensitive(FreeText(release=True))


def held(kind: str) -> Decision:
    return Decision(verdict=Verdict.BLOCKED, kind=IdentifierKind(kind))


PEOPLE = {
    "id": sensitive(Token(domain="patient"), IdentifierKind.MRN),
    "last": sensitive(Surrogate(kind=SurrogateKind.LAST_NAME, domain="patient", by="id"), IdentifierKind.PERSON_NAME),
    "ssn": held("ssn"),
    "phone": held("phone"),
    "street": held("street_address"),
    "born": held("date"),
    "note": SAFE,
}
SEEN = {
    "id": PEOPLE["id"],
    "visit": sensitive(Token(domain="city")),  # says by its rule what it holds
    "ssn": sensitive(FormatToken(domain="charge"), IdentifierKind.SSN),
    "contact": sensitive(Surrogate(kind=SurrogateKind.FULL_NAME, domain="patient")),
    "seen": sensitive(DateShift(), IdentifierKind.DATE),
    "friends[]": held("person_name"),
}
PAPPAS = "\u03a0\u0391\u03a0\u03a0\u0391\u03a3"  # ends with a sigma, whose small letter depends on its place
VISITS = [
    (
        "MRN-4711",
        "V-900017",
        "111-22-3344",
        "Zo\u00eb O'Kee\u0301",
        date(2024, 3, 9),
        ["Bo \u00c5kerblom", PAPPAS, "\u0130nci", None],
    ),
    ("MRN-4711", "V-42", None, None, None, None),
    ("MRN-8888", "V-900018", None, "Wim Zonderland", None, []),
    (None, "V-900019", None, None, None, None),
]


def table(name: str) -> TableSpec:
    return TableSpec(name=name, patient="id")


@pytest.fixture(scope="module")
def cleaned(spark: SparkSession, ring: Any, references: Any) -> Any:
    """The notes of patient MRN-4711, Ann D'Arcy-Li, cleaned; the last row belongs to nobody."""
    people = spark.createDataFrame(
        [("MRN-4711", "D'Arcy-Li77", "123456789", "(302) 555-7788", "12 Elm  St.", date(1980, 5, 6), None)],
        "id string, last string, ssn string, phone string, street string, born date, note string",
    )
    source = TokenSource(mode=TokenMode.KEYED, ring=ring)
    visits = spark.createDataFrame(
        VISITS, "id string, visit string, ssn string, contact string, seen date, friends array<string>"
    )
    own = gather_own_identifiers(
        [
            list_own_identifiers(people, table=table("people"), decisions=PEOPLE, tokens=source, dates=True),
            list_own_identifiers(visits, table=table("visits"), decisions=SEEN, tokens=source, dates=False),
        ]
    )

    def clean(*texts: str, patient: str | None = "MRN-4711") -> list[Any]:
        notes = spark.createDataFrame([(n, patient, text) for n, text in enumerate(texts)], "n int, id string, note string")
        out = deidentify_table(
            notes,
            table=table("notes"),
            decisions={"n": SAFE, "id": PEOPLE["id"], "note": RELEASE},
            tokens=source,
            references=replace(references, text_vocabulary=VOCABULARY),
            as_of=date(2026, 6, 1),
            own_identifiers=own,
        )
        return [row.note for row in out.orderBy("n").collect()]

    return clean


def test_the_patients_own_identifiers_go_in_whatever_way_they_are_written(cleaned: Any, ring: Any) -> None:
    token = token_of(ring, "MRN-4711", StringType(), domain="patient")
    got = cleaned(
        "Seen MRN-4711 and mrn 4711.",
        "Mrs D'ARCY-LI77 came, d'arcy-li's pain eased.",
        "SSN 123-45-6789, or 123 45 6789, or 123456789.",
        "Call 302.555.7788 or (302)555-7788!",
        "Lives at 12 elm st., not 112 Elm St.",
        "Born 5/6/1980, May 6, 1980, 6 May 1980, 1980-05-06, 19800506.",
    )
    assert got == [
        f"Seen {token} and {token}.",
        "Mrs [person_name] came, [person_name]'s pain eased.",
        "SSN [ssn], or [ssn], or [ssn].",
        "Call [phone] or ([phone]!",
        got[4],
        "Born [date], [date], [date], [date], [date].",
    ]
    assert got[4].startswith("Lives at [street_address]")
    assert "112 Elm St" in got[4]


def test_what_every_table_knows_of_the_patient_goes(cleaned: Any, ring: Any) -> None:
    visit = token_of(ring, "V-900017", StringType(), domain="city")
    got = cleaned(
        "Visit V-900017, not V-42 and not V-900018.",
        "SSN 111-22-3344 or 111 22 3344.",
        "Came with Wim Zonderland and bo \u00e5kerblom on 9.3.2024.",
    )
    assert got[0] == f"Visit {visit}, not V-42 and not V-900018."
    ssn, again = re.findall(r"\d{3}-\d{2}-\d{4}|\[ssn\]", got[1])
    assert ssn == again and "3344" not in got[1]
    assert got[2] == "Came with Wim Zonderland and [person_name] on 9.3.2024."


@pytest.mark.parametrize(
    "written",
    ["D'Arcy-Li", "D\u2019Arcy-Li", "D\u02bcARCY\u2011LI", "d\u00b4arcy-li", "\uff24'Arcy-Li", "D'Ar\u00adcy-Li"],
)
def test_a_name_is_found_in_other_apostrophes_dashes_and_letters(cleaned: Any, written: str) -> None:
    assert cleaned(f"Mrs {written} came") == ["Mrs [person_name] came"]


@pytest.mark.parametrize(
    "written", ["Zo\u00eb O'Ke\u00e9", "Zoe\u0308 O\u2019Kee\u0301", "Zo\u00eb\u00a0O'Kee\u0301", "zo\u00eb  o'ke\u00e9"]
)
def test_accents_and_spaces_are_found_however_they_are_stored(cleaned: Any, written: str) -> None:
    assert cleaned(f"With {written} today") == ["With [person_name] today"]


@pytest.mark.parametrize(
    "written",
    [PAPPAS, PAPPAS.title(), PAPPAS.lower(), PAPPAS.lower().replace("\u03c2", "\u03c3")],
)
def test_letters_whose_case_depends_on_their_place_are_found_anywhere(cleaned: Any, written: str) -> None:
    assert cleaned(f"With {written} today", f"With {written}") == ["With [person_name] today", "With [person_name]"]


def test_a_dotted_capital_is_found(cleaned: Any) -> None:
    assert cleaned("With \u0130nci today") == ["With [person_name] today"]


def test_patterns_and_names_of_others_go_too(cleaned: Any) -> None:
    [got] = cleaned("Her neighbour Mr Miller (987-65-4321, 987-65-4322) and Bo O'Hara; millers mill flour.")
    assert got == "Her neighbour Mr [person_name] ([ssn], [ssn]) and Bo [person_name]; millers mill flour."


def test_a_note_of_nobody_known_is_empty(cleaned: Any) -> None:
    assert cleaned("Ann was here", patient="MRN-9999") == [None]
    assert cleaned("Ann was here", patient=None) == [None]


def test_text_without_identifiers_stays(cleaned: Any) -> None:
    texts = ["", "BP 120/80, afebrile. \U0001f600 \u05e9\u05dc\u05d5\u05dd", "Cost $5 \\ 10 [x]"]
    assert cleaned(*texts) == texts


def test_unless_released_the_column_is_empty(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, 'Ann was here' note")
    out = deidentify(df, {"id": PEOPLE["id"], "note": sensitive(FreeText())})
    assert out.columns == ["id", "note"]
    assert out.first().note is None


def test_release_without_what_it_needs_is_refused(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, 'Ann was here' note, array('Ann') notes")
    with pytest.raises(ConfigurationError, match="free_text"):
        deidentify(df, {"id": PEOPLE["id"], "note": RELEASE, "notes": BLOCKED})


def test_what_was_removed_is_counted_by_kind(spark: SparkSession) -> None:
    text = remove_from_text("111-22-3333 and 111-22-3334, Miller", VOCABULARY)
    row = (
        spark.createDataFrame([(text,)], "t string")
        .select(
            count_removed(F.col("t"), IdentifierKind.SSN).alias("ssn"),
            count_removed(F.col("t"), IdentifierKind.PERSON_NAME).alias("names"),
        )
        .first()
    )
    assert (row.ssn, row.names) == (2, 1)


def test_names_of_no_list_go_where_the_words_are_known() -> None:
    reading = replace(VOCABULARY, words=words())
    text = "Called Danka Maria Przeździecka and Dr. Mavília; Mr Miller and the Oral Tablet stay. Miller left."
    assert remove_from_text(text, reading) == (
        "Called [person_name] and Dr. [person_name]; Mr [person_name] and the Oral Tablet stay. [person_name] left."
    )
    assert "Przeździecka" in remove_from_text(text, VOCABULARY)
