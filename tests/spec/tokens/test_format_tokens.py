"""A format token keeps its identifier's format, and no two identifiers of a format share one."""

from __future__ import annotations

import re

import pyspark.sql.functions as F
import pytest
from fastfpe import ff1
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
from tests.spec.tokens.conftest import make_ring

from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.tokens.format_check import require_wide_formats
from wardlake.tokens.format_preserving import find_narrow_formats, format_of, format_token_column, format_token_of
from wardlake.tokens.keyed import attach_keys, detach_keys
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.mapping import Identifiers
from wardlake.tokens.random_tokens import draw_column

FORMATS = ["123-45-6789", "(302) 555-0142", "AB-12345", "abcDEF", "S99912345", "0000000", "X1234567A", "a1b2c3d4"]
NARROW = ["12345", "AB-123", "abcd", "------"]
STRANGE = ["12345678é", "1234567\n", "١٢٣٤٥٦٧٨"]


@pytest.mark.parametrize(
    ("key", "tweak", "alphabet", "plain", "sealed"),
    [  # NIST's published FF1 samples 1, 2, 3 and 7
        ("2B7E151628AED2A6ABF7158809CF4F3C", "", "0123456789", "0123456789", "2433477484"),
        ("2B7E151628AED2A6ABF7158809CF4F3C", "39383736353433323130", "0123456789", "0123456789", "6124200773"),
        (
            "2B7E151628AED2A6ABF7158809CF4F3C",
            "3737373770717273373737",
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "0123456789abcdefghi",
            "a9tv40mll9kdu509eum",
        ),
        (
            "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94",
            "",
            "0123456789",
            "0123456789",
            "6657667009",
        ),
    ],
)
def test_the_cipher_gives_nists_answers(key: str, tweak: str, alphabet: str, plain: str, sealed: str) -> None:
    assert ff1.encrypt(key, tweak, alphabet, plain) == sealed


@pytest.mark.parametrize("value", FORMATS)
def test_the_format_stays_and_the_value_does_not(ring: KeyRing, value: str) -> None:
    token = format_token_of(ring, value, domain="patient")
    assert format_of(token) == format_of(value)
    assert token != value


@settings(max_examples=50, deadline=None)
@given(st.from_regex(r"[A-Z]{2}-?[0-9]{4,8}[a-z]?", fullmatch=True))
def test_any_mixed_value_keeps_its_format(value: str) -> None:
    assert format_of(format_token_of(make_ring(), value, domain="patient")) == format_of(value)


def test_no_two_values_of_a_format_share_a_token(ring: KeyRing) -> None:
    for values in ([f"{n:07d}" for n in range(3000)], [f"A{n:06d}" for n in range(3000)]):
        assert len({format_token_of(ring, value, domain="patient") for value in values}) == 3000


def test_equal_digits_in_two_formats_have_unrelated_tokens(ring: KeyRing) -> None:
    plain, dashed = (re.sub("-", "", format_token_of(ring, v, domain="patient")) for v in ("123456789", "123-45-6789"))
    assert plain != dashed


def test_two_keys_and_two_domains_share_no_token() -> None:
    values = [f"{n:012d}" for n in range(300)]
    one, other = make_ring(seed=1), make_ring(seed=2)
    found = [
        {format_token_of(ring, value, domain=domain) for value in values}
        for ring, domain in ((one, "patient"), (one, "provider"), (other, "patient"))
    ]
    assert len(set.union(*found)) == 900


@pytest.mark.parametrize("value", [*NARROW, *STRANGE])
def test_a_format_that_cannot_be_kept_safely_is_refused(ring: KeyRing, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        format_token_of(ring, value, domain="patient")
    assert value not in str(caught.value)


def test_spark_and_python_give_the_same_format_token(spark: SparkSession, ring: KeyRing) -> None:
    df = spark.createDataFrame([(value,) for value in [*FORMATS, "", None, FORMATS[0]]], "id string")
    keyed = attach_keys(df, ring, ["patient"]).withColumn("token", format_token_column(F.col("id"), domain="patient"))
    for row in detach_keys(keyed).collect():
        expected = None if row.id is None else format_token_of(ring, row.id, domain="patient")
        assert row.token == expected


def test_rows_without_a_value_have_no_token(spark: SparkSession, ring: KeyRing) -> None:
    empty = attach_keys(spark.createDataFrame([(None,), (None,)], "v string").coalesce(1), ring, ["patient"])
    assert [row[0] for row in empty.select(format_token_column(F.col("v"), domain="patient")).collect()] == [None, None]


def test_a_job_over_a_narrow_format_fails_without_showing_the_value(spark: SparkSession, ring: KeyRing) -> None:
    df = attach_keys(spark.createDataFrame([("77-77",)], "id string"), ring, ["patient"])
    with pytest.raises(Exception, match="at least a million values") as caught:
        df.select(format_token_column(F.col("id"), domain="patient")).collect()
    assert "77-77" not in str(caught.value)


def test_narrow_formats_are_found_before_the_run(spark: SparkSession) -> None:
    values = [*FORMATS, *NARROW, *STRANGE, "", None]
    df = spark.createDataFrame([(value,) for value in values], "id string")
    found = df.filter(find_narrow_formats(F.col("id"))).collect()
    assert {row.id for row in found} == {*NARROW, *STRANGE}


def test_columns_with_such_values_are_named_with_their_number(spark: SparkSession) -> None:
    df = spark.createDataFrame([(value,) for value in [*FORMATS, *NARROW, *STRANGE, "", None]], "id string")
    whole = Identifiers(rows=df.filter("id like '123-%'"), keep_format=True, column="patients.ssn")
    require_wide_formats([whole, Identifiers(rows=df, column="patients.id")])
    with pytest.raises(ContractBroken) as caught:
        require_wide_formats([whole, Identifiers(rows=df, keep_format=True, column="patients.card")])
    assert caught.value.exit_code == 20
    assert caught.value.which == (f"patients.card: {len(NARROW) + len(STRANGE)} values",)
    assert not [value for value in (*NARROW, *STRANGE) if value in str(caught.value)]


def test_values_of_all_fields_of_one_column_count(spark: SparkSession) -> None:
    narrow, wide = (spark.createDataFrame([(value,)], "id string") for value in (NARROW[0], "123-45-6789"))
    fields = [Identifiers(rows=rows, keep_format=True, column="patients.numbers") for rows in (narrow, wide)]
    with pytest.raises(ContractBroken, match=r"patients\.numbers: 1 values"):
        require_wide_formats(fields)


def test_a_random_format_token_copies_no_letter_or_digit(spark: SparkSession) -> None:
    values = spark.createDataFrame([("AB-123456-cd",), ("",), (None,)], "id string")
    drawn = values.select("id", draw_column(F.col("id"), StringType(), keep_format=True).alias("token")).collect()
    assert [row.token and format_of(row.token) for row in drawn] == ["AA-999999-aa", "", None]
    assert drawn[0].token != drawn[0].id
    for value in STRANGE:
        df = spark.createDataFrame([(value,)], "id string")
        with pytest.raises(Exception, match="A format token keeps ASCII letters") as caught:
            df.select(draw_column(F.col("id"), StringType(), keep_format=True)).collect()
        assert value not in str(caught.value)


def test_only_text_has_a_format(spark: SparkSession) -> None:
    with pytest.raises(ConfigurationError, match="no format token of type bigint"):
        _ = Identifiers(rows=spark.range(1), keep_format=True).kind
