"""What a table gives the mapping: every identifier that gets a token."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.deidentify.identifiers import list_identifiers
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import EmbeddedTokens, Surrogate, SurrogateKind, Token, TokenMode

DECISIONS = {
    "id": sensitive(Token(domain="patient")),
    "url": sensitive(EmbeddedTokens(pattern="^/([^/]+)/", domain="patient")),
    "doc$.mrn": sensitive(Token(domain="patient")),
    "city": sensitive(Surrogate(kind=SurrogateKind.CITY, domain="city")),
    "note": SAFE,
}


def listed(spark: SparkSession, references: Any, mode: TokenMode) -> dict[str, set[Any]]:
    df = spark.sql("""SELECT 'p1' id, '/p2/x.png' url, '{"mrn": "p3"}' doc, 'Dover' city, 'n' note""")
    found = list_identifiers(df, table=TableSpec(name="t"), decisions=DECISIONS, mode=mode, references=references)
    return {domain: {r.value for each in all_of for r in each.rows.collect()} - {None} for domain, all_of in found.items()}


def test_identifiers_of_columns_urls_and_documents_are_listed(spark: SparkSession, references: Any) -> None:
    assert listed(spark, references, TokenMode.KEYED) == {"patient": {"p1", "p2", "p3"}}


def test_where_tokens_are_random_the_owners_of_surrogates_are_too(spark: SparkSession, references: Any) -> None:
    assert listed(spark, references, TokenMode.RANDOM) == {"patient": {"p1", "p2", "p3"}, "city": {"Dover"}}


NESTED = """SELECT array('p1', 'p2') ids, named_struct('more', array(named_struct('mrn', 'p3', 'city', 'Dover'))) inner,
    map('p4', 'p5') kept, '{"seen": [{"mrn": "p6"}, {"mrn": "p7"}], "all": [["p8"], []]}' doc, array('n') notes"""


def test_identifiers_within_arrays_maps_and_json_arrays_are_listed(spark: SparkSession, references: Any) -> None:
    token = sensitive(Token(domain="patient"))
    decisions = {
        "ids[]": token,
        "inner.more[].mrn": token,
        "inner.more[].city": SAFE,
        "kept.{key}": token,
        "kept.{value}": token,
        "doc$.seen[].mrn": token,
        "doc$.all[][]": token,
        "notes": SAFE,
    }
    found = list_identifiers(
        spark.sql(NESTED), table=TableSpec(name="t"), decisions=decisions, mode=TokenMode.KEYED, references=references
    )
    values = {row.value for each in found["patient"] for row in each.rows.collect()} - {None}
    assert values == {f"p{number}" for number in range(1, 9)}


def test_a_covered_column_is_not_listed_and_a_primary_key_is_known_to_be_unique(spark: SparkSession, references: Any) -> None:
    table = TableSpec(name="t", primary_key=("id",))
    df = spark.sql("SELECT 'p1' id, 'p2' mother")
    decisions = dict.fromkeys(("id", "mother"), sensitive(Token(domain="patient")))
    found = list_identifiers(
        df, table=table, decisions=decisions, mode=TokenMode.KEYED, references=references, covered={"mother"}
    )
    assert [(each.unique, [row.value for row in each.rows.collect()]) for each in found["patient"]] == [(True, ["p1"])]
