"""A keyed token keeps its column's type, hides its identifier and is the same wherever the identifier stands."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pyspark.sql.functions as F
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BinaryType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)
from tests.spec.tokens.conftest import make_ring

from wardlake.model.errors import ConfigurationError, KeysUnavailable
from wardlake.tokens.keyed import KEYS, attach_keys, detach_keys, digest_column, token_column
from wardlake.tokens.keyring import KeyRing, KeyUse
from wardlake.tokens.plain import digest_of, token_of

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")
ONE_UUID = "0b5b7b5c-2f5f-4b57-8d6a-3c5b4a5b6c7d"
VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    StringType(): st.one_of(st.text(max_size=80), st.uuids().map(str)),
    BinaryType(): st.binary(max_size=80),
    LongType(): st.integers(-(2**63), 2**63 - 1),
    IntegerType(): st.integers(-(2**31), 2**31 - 1),
    DecimalType(6, 0): st.integers(-(10**6) + 1, 10**6 - 1).map(Decimal),
    DecimalType(19, 0): st.integers(-(10**19) + 1, 10**19 - 1).map(Decimal),
    DecimalType(38, 0): st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal),
}
EDGES: dict[DataType, list[Any]] = {
    StringType(): ["", None, " ", "a", "É", "\N{GRINNING FACE}" * 3, "x" * 500, ONE_UUID, "-" * 36],
    BinaryType(): [b"", None, b"\x00", b"\xff" * 100],
    LongType(): [0, None, 1, -1, 2**63 - 1, -(2**63)],
    IntegerType(): [0, None, 1, -1, 2**31 - 1, -(2**31)],
    DecimalType(6, 0): [Decimal(0), None, Decimal(-1), Decimal(999_999), Decimal(-999_999)],
    DecimalType(19, 0): [Decimal(0), None, Decimal(-1), Decimal(10**19 - 1)],
    DecimalType(38, 0): [Decimal(0), None, Decimal(-1), Decimal(10**38 - 1), Decimal(1 - 10**38)],
}


def table(spark: SparkSession, data_type: DataType, values: list[Any]) -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], StructType([StructField("id", data_type)]))


def tokens(df: DataFrame, ring: KeyRing, *, domain: str = "patient", prefix: str = "") -> list[Any]:
    data_type = df.schema["id"].dataType
    keyed = attach_keys(df, ring, [domain]).withColumn("id", token_column(F.col("id"), data_type, domain=domain, prefix=prefix))
    out = detach_keys(keyed)
    assert out.schema == df.schema or out.schema["id"].dataType == data_type
    return [bytes(row.id) if isinstance(row.id, bytearray) else row.id for row in out.collect()]


@pytest.mark.parametrize("data_type", VALUES, ids=lambda t: t.simpleString())
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_spark_and_python_give_the_same_token(spark: SparkSession, data_type: DataType, data: st.DataObject) -> None:
    ring = make_ring()
    values = EDGES[data_type] + data.draw(st.lists(VALUES[data_type], min_size=20, max_size=60))
    found = tokens(table(spark, data_type, values), ring)
    assert found == [token_of(ring, value, data_type, domain="patient") for value in values]


def test_spark_and_python_give_the_same_prefixed_token_and_digest(spark: SparkSession, ring: KeyRing) -> None:
    values = EDGES[StringType()]
    df = table(spark, StringType(), values)
    assert tokens(df, ring, prefix="pat_") == [
        token_of(ring, value, StringType(), domain="patient", prefix="pat_") for value in values
    ]
    digest = attach_keys(df, ring).select(digest_column(F.col("id"), domain="patient", label="date").alias("d"))
    expected = [None if v is None else digest_of(ring, v, domain="patient", label="date") for v in values]
    assert [row.d for row in digest.collect()] == expected


def test_a_token_is_the_hmac_of_rfc_2104(spark: SparkSession, ring: KeyRing) -> None:
    import hashlib
    import hmac

    key = ring.subkey("patient", KeyUse.TOKEN)
    expected = hmac.new(key, b"MRN-0042", hashlib.sha256).hexdigest()[:32]
    (token,) = tokens(table(spark, StringType(), ["MRN-0042"]), ring, prefix="p")
    assert token == f"p{expected}"


def test_null_stays_null_and_empty_text_stays_empty(spark: SparkSession, ring: KeyRing) -> None:
    assert tokens(table(spark, StringType(), [None, ""]), ring) == [None, ""]
    assert tokens(table(spark, StringType(), [None, ""]), ring, prefix="pat_") == [None, ""]
    assert tokens(table(spark, LongType(), [None]), ring) == [None]


def test_a_uuid_becomes_a_uuid_and_other_text_does_not(spark: SparkSession, ring: KeyRing) -> None:
    uuid, text = tokens(table(spark, StringType(), [ONE_UUID, "MRN-0042"]), ring)
    assert UUID.fullmatch(uuid)
    assert re.fullmatch(r"[0-9a-f]{32}", text)


@pytest.mark.parametrize("data_type", [IntegerType(), LongType(), DecimalType(6, 0), DecimalType(20, 0)], ids=str)
def test_no_two_numbers_share_a_token_and_the_sign_stays(spark: SparkSession, ring: KeyRing, data_type: DataType) -> None:
    numbers = spark.range(-20_000, 20_000).select(F.col("id").cast(data_type))
    keyed = attach_keys(numbers, ring, ["patient"]).select(
        "id", token_column(F.col("id"), data_type, domain="patient").alias("token")
    )
    counted = keyed.agg(
        F.count_distinct("token").alias("distinct"), F.sum(F.when((F.col("id") < 0) != (F.col("token") < 0), 1)).alias("x")
    )
    assert counted.collect()[0].asDict() == {"distinct": 40_000, "x": None}


def test_a_whole_range_of_decimals_is_permuted(ring: KeyRing) -> None:
    from wardlake.tokens.keyring import hmac_pads
    from wardlake.tokens.permutation import permute_number

    pad = hmac_pads(ring.subkey("patient", KeyUse.NUMBER))[0]
    image = {permute_number(number, DecimalType(6, 0), pad) for number in range(0, -100_000, -1)}
    assert len(image) == 100_000
    assert max(image) >= 0
    assert sum(number >= 0 for number in image) == 1


def test_two_keys_share_no_token(spark: SparkSession) -> None:
    for data_type in (StringType(), LongType(), DecimalType(20, 0)):
        df = spark.range(1, 2001).select(F.col("id").cast(data_type))
        one, other = tokens(df, make_ring(seed=1)), tokens(df, make_ring(seed=9))
        assert len(set(one) | set(other)) == 4000


def test_the_same_identifier_is_unlinkable_across_domains_and_purposes(spark: SparkSession) -> None:
    from wardlake.ports.keys import Key

    same = bytes(32)  # even one key, wrongly used for everything, links nothing
    rings = [
        KeyRing(purpose=p, keys={d: Key(f"{p}/{d}", 1, same) for d in ("patient", "provider")}) for p in ("dev", "population")
    ]
    df = table(spark, StringType(), ["MRN-0042"])
    found = [tokens(df, ring, domain=domain)[0] for ring in rings for domain in ring.domains]
    assert len(set(found)) == 4


def test_no_two_uses_share_a_key(ring: KeyRing) -> None:
    keys = {ring.subkey(domain, use) for domain in ring.domains for use in KeyUse}
    assert len(keys) == len(ring.domains) * len(KeyUse)
    assert not keys & {key.material for key in ring.keys.values()}


def test_one_flipped_bit_changes_half_of_a_number_token(ring: KeyRing) -> None:
    changed = [
        (token_of(ring, n, LongType(), domain="patient") ^ token_of(ring, n ^ (1 << b), LongType(), domain="patient")).bit_count()
        for n in range(1000, 1050)
        for b in range(63)
    ]
    assert 30 < sum(changed) / len(changed) < 33  # of 63 bits


def test_columns_nobody_asks_for_are_not_read(spark: SparkSession, ring: KeyRing, tmp_path: Any) -> None:
    path = str(tmp_path / "wide")
    spark.range(10).selectExpr("id", "id as unused", "cast(id as string) as text").write.parquet(path)
    keyed = attach_keys(spark.read.parquet(path), ring).select(token_column(F.col("text"), StringType(), domain="patient"))
    plan = keyed._jdf.queryExecution().executedPlan().toString()
    assert "unused" not in plan
    assert "ReadSchema: struct<text:string>" in plan
    assert plan.count("_extract_") and "provider" not in plan  # only the pads in use are broadcast


def test_detaching_leaves_the_columns_as_they_were(spark: SparkSession, ring: KeyRing) -> None:
    df = table(spark, StringType(), ["a"])
    assert KEYS in attach_keys(df, ring).columns
    assert detach_keys(attach_keys(df, ring)).schema == df.schema


def test_a_token_inside_an_array_is_the_token_outside(spark: SparkSession, ring: KeyRing) -> None:
    df = attach_keys(spark.sql("SELECT array('a', 'b') AS ids, array(1L, 2L) AS numbers"), ring)
    row = df.select(
        F.transform("ids", lambda v: token_column(v, StringType(), domain="patient")).alias("ids"),
        F.transform("numbers", lambda v: token_column(v, LongType(), domain="patient", nested=True)).alias("numbers"),
    ).collect()[0]
    assert row.ids == [token_of(ring, v, StringType(), domain="patient") for v in ("a", "b")]
    assert row.numbers == [token_of(ring, v, LongType(), domain="patient") for v in (1, 2)]


def test_types_without_tokens_are_refused(ring: KeyRing) -> None:
    for data_type in (DateType(), DecimalType(10, 2), DecimalType(5, 0)):
        with pytest.raises(ConfigurationError):
            token_column(F.lit(None), data_type, domain="patient")
    with pytest.raises(ConfigurationError, match="prefix"):
        token_column(F.lit(1), LongType(), domain="patient", prefix="pat_")


def test_a_domain_without_a_key_stops_the_run(spark: SparkSession, ring: KeyRing) -> None:
    with pytest.raises(KeysUnavailable) as caught:
        attach_keys(spark.range(1), ring, ["patient", "device"])
    assert caught.value.exit_code == 17
    assert "dev/device" in str(caught.value)
