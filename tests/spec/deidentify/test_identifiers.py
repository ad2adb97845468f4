"""What a table gives the mapping: every identifier that gets a token."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.deidentify.tables import list_identifiers
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
