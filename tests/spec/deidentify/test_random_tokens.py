"""Tables whose tokens were drawn at random: the same promises, from a mapping instead of a key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.deidentify.identifiers import list_identifiers
from wardlake.deidentify.rules.own_identifiers import gather_own_identifiers
from wardlake.deidentify.tables import deidentify_table
from wardlake.deidentify.token_columns.random_mode import RandomTokens
from wardlake.deidentify.token_columns.requests import Identifier
from wardlake.model.errors import ConfigurationError
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import DateShift, Decision, EmbeddedTokens, FormatToken, Surrogate, SurrogateKind, Token, TokenMode
from wardlake.model.zones import LakeLayout
from wardlake.ports.keys import Key
from wardlake.tokens.keyring import KeyRing, open_ring
from wardlake.tokens.mapping import Mappings, update_mapping
from wardlake.tokens.source import TokenSource

DOMAINS = ("patient", "city", "number")
PATIENT = sensitive(Token(domain="patient"))
TABLE = TableSpec(name="visits", patient="id")
NAME = sensitive(Surrogate(kind=SurrogateKind.FULL_NAME, domain="patient", by="id"))


@pytest.fixture
def drawn(spark: SparkSession, tmp_path: Path, references: Any) -> Any:
    """`drawn(df, decisions)`: fill a fresh mapping from the table, then de-identify it."""
    create_key_file(tmp_path / "keys.json", tmp_path / "master.key")
    keys = SealedKeyFile(tmp_path / "keys.json", tmp_path / "master.key")
    for domain in DOMAINS:
        keys.create(f"dev/{domain}")
    keys.create_wrapping_key("dev/mapping")
    ring = open_ring(keys, "dev", DOMAINS)

    def run(
        df: DataFrame, decisions: Mapping[str, Decision], lake: str = "lake", own_identifiers: DataFrame | None = None
    ) -> DataFrame:
        layout = LakeLayout(str(tmp_path / lake))
        mappings = Mappings(tables=DeltaTables(spark), layout=layout, purpose="dev")
        found = list_identifiers(df, table=TABLE, decisions=decisions, mode=TokenMode.RANDOM, references=references)
        for domain, identifiers in found.items():
            update_mapping(mappings, keys, ring, domain, identifiers, mode=TokenMode.RANDOM, run_id="run-1")
        return deidentify_table(
            df,
            table=TABLE,
            decisions=decisions,
            tokens=TokenSource(mode=TokenMode.RANDOM, ring=ring, mappings=mappings),
            references=references,
            as_of=date(2026, 6, 1),
            own_identifiers=own_identifiers,
        )

    return run


def test_one_identifier_is_one_token_and_one_person_in_columns_urls_and_documents(spark: SparkSession, drawn: Any) -> None:
    df = spark.sql(
        """SELECT concat('p', id) id, id n, concat('/', 'p', id, '/scan.png') url, concat('{"mrn":"p', id, '"}') doc, 'Ann' name,
           DATE '2024-01-01' day FROM range(5) UNION ALL SELECT null, 5, null, null, null, null"""
    )
    url = sensitive(EmbeddedTokens(pattern="^/([^/]+)/", domain="patient"))
    day = sensitive(DateShift())
    decisions = {"id": PATIENT, "n": SAFE, "url": url, "doc$.mrn": PATIENT, "name": NAME, "day": day}
    rows = drawn(df, decisions).orderBy("n").collect()
    assert list(rows[5])[2:] == [None] * 4
    assert all(r.url == f"/{r.id}/scan.png" and json.loads(r.doc) == {"mrn": r.id} for r in rows[:5])
    assert len({r.id for r in rows[:5]}) == 5
    assert len({r.day for r in rows[:5]}) > 1
    other = drawn(df, decisions, "other").orderBy("n").collect()  # the same key, another draw
    assert not {r.id for r in rows[:5]} & {r.id for r in other[:5]}
    assert [r.name for r in rows[:5]] != [r.name for r in other[:5]]
    assert [r.day for r in rows[:5]] != [r.day for r in other[:5]]


KNOWN = "SELECT 'p1' __wardlake_patient, 'Ann' text, '[person_name]' replacement, 'person_name' kind"
NESTED = """SELECT id n, concat('p', id) id, array(concat('p', id), 'p9', null, '') ids,
    named_struct('more', array(named_struct('mrn', array(concat('p', id)), 'who', 'Ann', 'city', 'Dover'))) inner,
    map(concat('p', id), id) kept, concat('{"seen": [{"mrn": "p', id, '"}, {"mrn": "p9"}]}') doc,
    array(concat('/p', id, '/x.png')) urls, 'p9' friend FROM range(3)
    UNION ALL SELECT 3, null, null, null, null, null, null, 'p9'"""


@pytest.mark.parametrize("texts_are_released", [False, True])
def test_identifiers_within_arrays_maps_and_json_arrays_get_the_token_of_the_key_column(
    spark: SparkSession, drawn: Any, texts_are_released: bool
) -> None:
    own = gather_own_identifiers([spark.sql(KNOWN)]) if texts_are_released else None
    url = sensitive(EmbeddedTokens(pattern="^/([^/]+)/", domain="patient"))
    number = sensitive(Token(domain="number"))
    decisions = {"n": SAFE, "id": PATIENT, "ids[]": PATIENT, "inner.more[].mrn[]": PATIENT, "inner.more[].who": NAME}
    decisions |= {"inner.more[].city": sensitive(Surrogate(kind=SurrogateKind.CITY, domain="city"))}
    decisions |= {"kept.{key}": PATIENT, "kept.{value}": number, "doc$.seen[].mrn": PATIENT, "urls[]": url, "friend": PATIENT}
    rows = drawn(spark.sql(NESTED), decisions, own_identifiers=own).orderBy("n").collect()
    assert len(rows) == 4
    assert list(rows[3])[1:7] == [None] * 6
    for row in rows[:3]:
        assert row.ids == [row.id, row.friend, None, ""]
        assert [each.mrn for each in row.inner.more] == [[row.id]]
        assert list(row.kept) == [row.id]
        assert json.loads(row.doc) == {"seen": [{"mrn": row.id}, {"mrn": row.friend}]}
        assert row.urls == [f"/{row.id}/x.png"]
        assert not {"p9", f"p{row.n}"} & {row.id, row.friend}
    assert len({row.inner.more[0].city for row in rows[:3]}) == 1  # one city of the source is one city
    assert [row.friend for row in rows] == [rows[0].friend] * 4
    assert sorted(value for row in rows[:3] for value in row.kept.values()) != [0, 1, 2]


def test_an_identifier_within_an_array_that_was_not_listed_stops_the_job_and_is_not_told(spark: SparkSession) -> None:
    tokens = RandomTokens(
        TokenSource(mode=TokenMode.RANDOM, ring=KeyRing(purpose="dev", keys={})),
        lambda df: (df, {}),
    )
    df = spark.sql("SELECT array('p1', 'stray') ids, map('p1', 't1') __wardlake_tokens_0")

    def token(each: Column) -> Column:
        return tokens.token(Identifier(value=each, data_type=StringType(), domain="patient", elements=True))

    with pytest.raises(Exception, match="has no token of domain patient") as stopped:
        df.select(F.transform("ids", token)).collect()
    assert "stray" not in str(stopped.value)


def test_format_tokens_within_arrays_are_refused(spark: SparkSession, drawn: Any) -> None:
    df = spark.sql("SELECT 'p1' id, array('123-45-6789') numbers")
    with pytest.raises(ConfigurationError, match=r"visits\.numbers\[\]"):
        drawn(df, {"id": PATIENT, "numbers[]": sensitive(FormatToken(domain="patient"))})


def test_neither_surrogate_nor_offset_can_be_computed_from_key_and_identifier(spark: SparkSession, drawn: Any) -> None:
    """A second draw under the same key gives other ones to the same people, so they are no function of the two."""
    people = spark.sql("SELECT concat('p', id) id, int(id) n, 'Ann' name, DATE '2024-01-01' day FROM range(40)")
    decisions = {"id": PATIENT, "n": SAFE, "name": NAME, "day": sensitive(DateShift())}
    first, again, elsewhere = (
        [(row.name, row.day) for row in drawn(people, decisions, lake).orderBy("n").collect()]
        for lake in ("lake", "lake", "elsewhere")
    )
    assert first == again
    assert sum(one[0] == other[0] for one, other in zip(first, elsewhere, strict=True)) <= 1
    assert sum(one[1] == other[1] for one, other in zip(first, elsewhere, strict=True)) <= 2


def test_an_offset_cannot_be_computed_from_the_token_that_readers_see(spark: SparkSession, drawn: Any, references: Any) -> None:
    """The same tokens under another key move dates otherwise."""
    people = spark.sql("SELECT concat('p', id) id, int(id) n, DATE '2024-01-01' day FROM range(40)")
    decisions = {"id": PATIENT, "n": SAFE, "day": sensitive(DateShift())}
    rows = drawn(people, decisions).orderBy("n").collect()
    tokens = spark.createDataFrame([(row.id, row.n) for row in rows], "id string, n int")
    keyed = TokenSource(mode=TokenMode.KEYED, ring=KeyRing(purpose="dev", keys={"patient": Key("dev/patient", 1, bytes(32))}))
    guessed = deidentify_table(
        tokens.selectExpr("id", "n", "DATE '2024-01-01' day"),
        table=TABLE, decisions=decisions, tokens=keyed, references=references, as_of=date(2026, 6, 1),
    ).orderBy("n").collect()  # fmt: skip
    assert sum(one.day == other.day for one, other in zip(rows, guessed, strict=True)) <= 2


def test_a_person_has_the_same_surrogates_and_offset_in_every_table(spark: SparkSession, drawn: Any) -> None:
    people = spark.sql("SELECT concat('p', id) id, 'Crista774' first, 'Koss676' last, DATE '2024-01-01' day FROM range(40)")
    plans = spark.sql("SELECT concat('p', id % 40) id, 'Crista774 Koss676' owner, DATE '2024-01-01' day FROM range(80)")
    shift = sensitive(DateShift())
    first, last = (
        sensitive(Surrogate(kind=SurrogateKind(kind), domain="patient", by="id")) for kind in ("first_name", "last_name")
    )
    named = drawn(people, {"id": PATIENT, "first": first, "last": last, "day": shift}).collect()
    owners = drawn(plans, {"id": PATIENT, "owner": NAME, "day": shift}).collect()
    assert {(r.id, f"{r.first} {r.last}", r.day) for r in named} == {(r.id, r.owner, r.day) for r in owners}
    assert len({f"{r.first} {r.last}" for r in named}) > 35  # forty people of one name are forty people
