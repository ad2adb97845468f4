"""Tokens in tables: the same identifier is the same token wherever it stands."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import EmbeddedTokens, FormatToken, Token
from wardlake.tokens.plain import token_of

PATIENT = sensitive(Token(domain="patient"))


def test_one_identifier_is_one_token_in_columns_arrays_structs_maps_urls_and_json(
    spark: SparkSession, deidentify: Any, ring: Any
) -> None:
    df = spark.sql(
        """SELECT 'p1' id, array('p1', 'p2') ids, named_struct('owner', 'p1') ref, map('p1', 1) counts,
           'https://x/p1/scan.png' url, '{"mrn": "p1", "seen": ["p1"]}' doc, 'p1' own_key"""
    )
    decisions = {
        "id": PATIENT,
        "ids[]": PATIENT,
        "ref.owner": PATIENT,
        "counts.{key}": PATIENT,
        "counts.{value}": SAFE,
        "url": sensitive(EmbeddedTokens(pattern=r"https://x/([^/]+)/", domain="patient")),
        "doc$.mrn": PATIENT,
        "doc$.seen[]": PATIENT,
        "own_key": sensitive(Token(domain="provider")),
    }
    row = deidentify(df, decisions).first()
    token = token_of(ring, "p1", StringType(), domain="patient")
    assert row.id == row.ids[0] == row.ref.owner == next(iter(row.counts)) == token
    assert row.url == f"https://x/{token}/scan.png"
    assert row.doc == f'{{"mrn":"{token}","seen":["{token}"]}}'
    assert row.own_key != token  # another domain


def test_two_keys_share_no_token_and_types_stay(spark: SparkSession, deidentify: Any) -> None:
    df = spark.range(50).selectExpr("uuid() id", "id number", "cast(id as decimal(12,0)) amount", "cast(null as string) none")
    decisions = {name: PATIENT for name in df.columns}
    one, other = deidentify(df, decisions), deidentify(df, decisions, seed=8)
    assert [f.dataType for f in one.schema] == [f.dataType for f in df.schema]
    rows, others = one.collect(), other.collect()
    assert not {r.number for r in rows} & {r.number for r in others}
    assert len({r.number for r in rows}) == len({r.amount for r in rows}) == 50
    assert {r.none for r in rows} == {None}


def test_a_prefix_stands_before_text_and_is_refused_on_numbers(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, 7L number")
    prefixed = sensitive(Token(domain="patient", prefix="pat_"))
    assert deidentify(df, {"id": prefixed, "number": SAFE}).first().id.startswith("pat_")
    with pytest.raises(ConfigurationError, match=r"visits\.number"):
        deidentify(df, {"id": prefixed, "number": prefixed})


def test_a_format_token_keeps_its_format_and_is_refused_within_arrays(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT '123-45-6789' id, array('123-45-6789') ids")
    keep = sensitive(FormatToken(domain="patient"))
    shown = deidentify(df, {"id": keep, "ids": SAFE}).first().id
    assert shown != "123-45-6789"
    assert [len(part) for part in shown.split("-")] == [3, 2, 4]
    assert shown.replace("-", "").isdigit()
    with pytest.raises(ConfigurationError, match="array"):
        deidentify(df, {"id": keep, "ids[]": keep})
