"""The row sum says whether rows changed, and nothing else: not their order, layout or file."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from wardlake.audit.content_hash import hash_row, sum_hashes


def row_sum(df: DataFrame) -> Decimal:
    (row,) = df.select(sum_hashes(hash_row(df.schema)).alias("rows")).collect()
    return Decimal(row["rows"])


def of(spark: SparkSession, schema: str, *rows: tuple[Any, ...]) -> Decimal:
    return row_sum(spark.createDataFrame(list(rows), schema))


def test_the_sum_is_that_of_the_signed_hashes(spark: SparkSession) -> None:
    df = spark.range(1000).select("id", F.concat(F.lit("n"), "id").alias("s"))
    hashes = [row["h"] for row in df.select(hash_row(df.schema).alias("h")).collect()]
    assert min(hashes) < 0 < max(hashes)
    assert row_sum(df) == sum(hashes)


def test_order_and_partitions_do_not_matter(spark: SparkSession) -> None:
    df = spark.range(100).select("id", (F.col("id") % 7).alias("n"))
    assert row_sum(df) == row_sum(df.orderBy(F.desc("id")).repartition(5))


def test_no_rows_sum_to_nothing(spark: SparkSession) -> None:
    assert row_sum(spark.range(0)) == 0


def test_a_row_more_often_is_another_table(spark: SparkSession) -> None:
    one, two, three = [(1, "a")], [(1, "a")] * 2, [(1, "a")] * 3
    assert len({of(spark, "n int, s string", *rows) for rows in (one, two, three)}) == 3


NESTED = "s struct<a:string, b:string>"
DIFFERENT = {
    "null on the other side": ("a string, b string", (None, "x"), ("x", None)),
    "null and empty text": ("a string", (None,), ("",)),
    "null and zero": ("a int, b int", (None, 1), (0, 1)),
    "all null or one": ("a int, b int", (None, None), (None, 0)),
    "text cut elsewhere": ("a string, b string", ("ab", "c"), ("a", "bc")),
    "columns swapped": ("a string, b string", ("x", "y"), ("y", "x")),
    "null on the other side of a struct": (NESTED, ((None, "x"),), (("x", None),)),
    "struct null or its fields null": (NESTED, (None,), ((None, None),)),
    "null elsewhere in an array": ("a array<int>", ([None, 1],), ([1, None],)),
    "array with a null more": ("a array<int>", ([1],), ([1, None],)),
    "array null or empty": ("a array<int>", (None,), ([],)),
    "array cut elsewhere": ("a array<array<int>>", ([[], [1]],), ([[1], []],)),
    "array of structs": (
        "a array<struct<x:int,y:int>>",
        ([(None, 1)],),
        ([(1, None)],),
    ),
    "map value": ("m map<string,int>", ({"a": 1},), ({"a": 2},)),
    "map key and value swapped": ("m map<string,string>", ({"a": "b"},), ({"b": "a"},)),
    "map values exchanged": ("m map<string,int>", ({"a": 1, "b": 2},), ({"a": 2, "b": 1},)),
    "map with a null or without": ("m map<string,int>", ({"a": None},), ({},)),
    "map within a map": ("m map<string,map<string,int>>", ({"a": {"b": 1}},), ({"b": {"a": 1}},)),
    "binary": ("b binary", (b"\x00",), (b"\x00\x00",)),
    "decimal": ("d decimal(30,10)", (Decimal("1.1"),), (Decimal("1.1000000001"),)),
    "date": ("d date", (dt.date(1, 1, 1),), (dt.date(9999, 12, 31),)),
    "timestamp": (
        "t timestamp",
        (dt.datetime(2026, 1, 1, 0, 0, 0, 1),),
        (dt.datetime(2026, 1, 1, 0, 0, 0, 2),),
    ),
    "double": ("x double", (1.0,), (float("nan"),)),
    "boolean": ("b boolean", (True,), (False,)),
    "emoji": ("s string", ("👩",), ("👨",)),
}


@pytest.mark.parametrize(("schema", "one", "other"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_differs_hashes_differently(spark: SparkSession, schema: str, one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert of(spark, schema, one) != of(spark, schema, other)
    assert of(spark, schema, one) == of(spark, schema, one)


def test_the_order_of_a_maps_entries_does_not_matter(spark: SparkSession) -> None:
    maps = [F.create_map(*[part for key in keys for part in (F.lit(key), F.lit(ord(key)))]) for keys in ("abc", "cab")]
    one, other = (spark.range(1).select(each.alias("m")) for each in maps)
    assert row_sum(one) == row_sum(other)


def test_more_nullable_columns_than_a_bitmap_has_bits(spark: SparkSession) -> None:
    schema = ", ".join(f"c{number} int" for number in range(70))
    rows = [tuple(1 if place == number else None for place in range(70)) for number in range(70)]
    df = spark.createDataFrame(rows, schema)
    assert df.select(hash_row(df.schema).alias("h")).distinct().count() == 70


def test_columns_without_values_and_odd_names_work(spark: SparkSession) -> None:
    df = spark.range(1).select(F.lit(None).alias("void"), F.lit(1).alias("a.b"), F.lit(2).alias("c`d"))
    assert row_sum(df) != 0


def test_a_type_without_a_hash_is_refused(spark: SparkSession) -> None:
    df = spark.range(1).select(F.parse_json(F.lit("{}")).alias("v"))
    with pytest.raises(TypeError, match="variant"):
        sum_hashes(hash_row(df.schema))


def test_the_sum_may_be_observed_while_the_rows_are_written(spark: SparkSession) -> None:
    from pyspark.sql import Observation

    df = spark.createDataFrame([(1, [None, 2], {"a": 1})], "n int, a array<int>, m map<string,int>")
    seen = Observation()
    df.observe(seen, sum_hashes(hash_row(df.schema)).alias("rows")).collect()
    assert seen.get["rows"] == row_sum(df)
