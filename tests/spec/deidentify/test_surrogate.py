"""Surrogates: realistic, and the same for the same person everywhere."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import CONF, SAFE, sensitive

from wardlake.deidentify.rules.surrogate_lists import SurrogateLists
from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import Surrogate, SurrogateKind, Token

ID = sensitive(Token(domain="patient"))


def of(kind: str, by: str = "id", **more: Any) -> Any:
    return sensitive(Surrogate(kind=SurrogateKind(kind), domain="patient", by=by, **more))


def test_a_person_has_the_same_surrogates_in_every_table(spark: SparkSession, deidentify: Any) -> None:
    people = spark.sql("SELECT concat('p', id) id, 'Crista774' first, 'Koss676' last FROM range(40)")
    plans = spark.sql("SELECT concat('p', id) id, 'Crista774 Koss676' owner FROM range(40)")
    names = {
        r.id: f"{r.first} {r.last}"
        for r in deidentify(people, {"id": ID, "first": of("first_name"), "last": of("last_name")}).collect()
    }
    owners = {r.id: r.owner for r in deidentify(plans, {"id": ID, "owner": of("full_name")}).collect()}
    assert names == owners
    assert len(set(names.values())) > 35  # not by the value: forty people of one name are forty people


def test_another_key_gives_other_surrogates(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT concat('p', id) id, 'a' name FROM range(40)")
    decisions = {"id": sensitive(Token(domain="patient")), "name": of("full_name")}
    one = [r.name for r in deidentify(df, decisions).collect()]
    other = [r.name for r in deidentify(df, decisions, seed=8).collect()]
    assert sum(a == b for a, b in zip(one, other, strict=True)) <= 1


def test_where_the_key_names_someone_else_the_value_is_the_key(spark: SparkSession, deidentify: Any) -> None:
    df = spark.createDataFrame(
        [("p1", "Self", "Ann Lee"), ("p1", "Guardian", "Bo Lee"), ("p2", "Guardian", "Bo Lee"), ("p2", None, "Bo Lee")],
        "id string, plan string, owner string",
    )
    rule = of("full_name", by_if={"plan": "Self"})
    own, one, same, unknown = (r.owner for r in deidentify(df, {"id": ID, "plan": SAFE, "owner": rule}).collect())
    assert one == same == unknown != own


def test_nothing_stays_nothing(spark: SparkSession, deidentify: Any) -> None:
    df = spark.createDataFrame([("p1", ""), ("p1", None), (None, "Ann")], "id string, name string")
    assert [r.name for r in deidentify(df, {"id": ID, "name": of("first_name")}).collect()] == ["", None, None]


def test_every_kind_looks_like_what_it_stands_for(spark: SparkSession, deidentify: Any, lists: SurrogateLists) -> None:
    shapes = {
        "first_name": r"[A-Z]\w+", "middle_name": r"[A-Z]\w+", "last_name": r"[A-Z]\w+", "full_name": r"[A-Z]\w+ [A-Z]\w+",
        "name_prefix": r"(Mr|Ms|Mrs|Dr)\.", "name_suffix": r"(Jr\.|Sr\.|II|III)", "street": r"\d{3,4} [A-Z]\w+ [A-Z]\w+",
        "city": r"[A-Z][\w ]+", "county": r"[A-Z]\w+ County", "phone": r"[2-9]\d\d-555-01\d\d",
        "email": r"[a-z]+\.[a-z]+\d+@example\.org", "organisation": r"[A-Z]\w+( [A-Z]\w+)+",
    }  # fmt: skip
    assert set(shapes) == {kind.value for kind in SurrogateKind}
    df = spark.range(60).selectExpr("concat('p', id) id", *[f"'x' {kind}" for kind in shapes])
    rows = deidentify(df, {"id": ID, **{kind: of(kind) for kind in shapes}}).collect()
    strange = [(kind, r[kind]) for r in rows for kind, shape in shapes.items() if not re.fullmatch(shape, r[kind])]
    assert strange == []


def test_a_phone_of_ten_digits_stays_ten_digits(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, '3026446860' phone, 3026446860L number")
    row = deidentify(df, {"id": ID, "phone": of("phone"), "number": of("phone")}).first()
    assert re.fullmatch(r"[2-9]\d\d55501\d\d", row.phone)
    assert row.number == int(row.phone)


def test_a_missing_owner_column_and_a_wrong_type_are_refused(spark: SparkSession, deidentify: Any) -> None:
    df = spark.sql("SELECT 'p1' id, 'a' name, true flag")
    with pytest.raises(ConfigurationError, match="nobody"):
        deidentify(df, {"id": ID, "name": of("first_name", by="nobody"), "flag": SAFE})
    with pytest.raises(ConfigurationError, match=r"visits\.flag.*boolean"):
        deidentify(df, {"id": ID, "name": SAFE, "flag": of("first_name")})


def test_the_lists_are_large_and_without_repeats(lists: SurrogateLists) -> None:
    sizes = {
        "first_names": 600,
        "last_names": 1000,
        "street_names": 5000,
        "cities": 3000,
        "counties": 1000,
        "organisations": 4000,
    }
    for name, size in sizes.items():
        entries = getattr(lists, name)
        assert len(entries) == len(set(entries)) >= size
    assert {path.stem for path in (CONF / "surrogates").glob("*.txt")} == set(sizes) | {"area_codes"}
