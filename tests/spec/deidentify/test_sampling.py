"""Samples: a patient with everything of theirs, every parent of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.spec.deidentify.conftest import ring_of

from wardlake.deidentify.sampling import sample_tables
from wardlake.model.errors import ConfigurationError
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec


def refer(table: str, *columns: str, to: tuple[str, ...] = ("id",)) -> Reference:
    return Reference(columns=columns, table=table, to=to)


TABLES = (
    TableSpec(name="people", primary_key=("id",), patient="id"),
    TableSpec(
        name="visits",
        primary_key=("id",),
        patient="person",
        references=(refer("people", "person"), refer("doctors", "doctor"), refer("visits", "follows")),
    ),
    TableSpec(name="lines", references=(refer("visits", "visit"), refer("drugs", "drug"))),
    TableSpec(name="doctors", primary_key=("id",), references=(refer("houses", "house"), refer("doctors", "head"))),
    TableSpec(name="houses", primary_key=("id",), references=(refer("doctors", "led_by"),)),
    TableSpec(name="drugs", primary_key=("id",)),
    TableSpec(name="calendar"),
)
SOURCE = SourceSpec(
    name="s", kind=SourceKind.CSV, location="x", schema_version="1", tables={t.name: t for t in TABLES}, patients="people"
)


@pytest.fixture(scope="module")
def tables(spark: SparkSession) -> dict[str, Any]:
    """100 people, 5 visits each; doctors head each other in a chain and lead the houses they work in."""
    sql = {
        "people": "SELECT concat('p', id) id, id n FROM range(100)",
        "visits": """SELECT concat('v', id) id, concat('p', id % 100) person, concat('d', id % 100) doctor,
                     CASE WHEN id % 7 = 0 THEN concat('v', (id + 1) % 500)
                     WHEN id % 11 = 0 THEN 'v-lost' END follows FROM range(500)""",
        "lines": "SELECT concat('v', id % 500) visit, concat('g', id % 40) drug FROM range(1000)",
        "doctors": """SELECT concat('d', id) id, concat('h', id % 20) house,
                      CASE WHEN id >= 100 THEN concat('d', id + 1)
                      WHEN id % 10 = 0 THEN concat('d', id + 100) END head FROM range(140)""",
        "houses": "SELECT concat('h', id) id, concat('d', id + 50) led_by FROM range(60)",
        "drugs": "SELECT concat('g', id) id FROM range(80)",
        "calendar": "SELECT id day FROM range(7)",
    }
    return {name: spark.sql(query) for name, query in sql.items()}


@pytest.fixture(scope="module")
def sample(tables: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: df.collect() for name, df in sample_tables(tables, SOURCE, 0.2, ring_of(7)).items()}


def test_about_the_share_asked_for_is_sampled(sample: dict[str, list[Any]]) -> None:
    owners = {row.person for row in sample["visits"]}
    assert 8 <= len([row for row in sample["people"] if row.id in owners]) <= 45


def test_a_sampled_patient_has_everything_of_theirs(sample: dict[str, list[Any]], tables: dict[str, Any]) -> None:
    visits = tables["visits"].collect()
    full = [p.id for p in sample["people"] if sum(v.person == p.id for v in sample["visits"]) == 5]
    assert len(full) >= 8
    kept = {row.id for row in sample["visits"]}
    own = {v.id for v in visits if v.person in full}
    assert own <= kept
    lines = tables["lines"].collect()
    assert sum(line.visit in own for line in sample["lines"]) == sum(line.visit in own for line in lines)


def test_no_row_lost_a_parent_that_it_had(sample: dict[str, list[Any]], tables: dict[str, Any]) -> None:
    for table, reference in SOURCE.references():
        had = {tuple(row[c] for c in reference.to) for row in tables[reference.table].collect()}
        has = {tuple(row[c] for c in reference.to) for row in sample[reference.table]}
        named = {tuple(row[c] for c in reference.columns) for row in sample[table.name]}
        assert named & had <= has, (table.name, reference)


def test_no_row_comes_twice_and_what_nobody_needs_stays_away(sample: dict[str, list[Any]], tables: dict[str, Any]) -> None:
    for name in ("people", "visits", "doctors", "houses", "drugs"):
        ids = [row.id for row in sample[name]]
        assert len(ids) == len(set(ids)) < tables[name].count()
    assert len(sample["calendar"]) == 7


def test_the_key_decides_who_is_sampled(tables: dict[str, Any]) -> None:
    people = {"people": tables["people"]}
    source = SourceSpec(
        name="s", kind=SourceKind.CSV, location="x", schema_version="1", tables={"people": TABLES[0]}, patients="people"
    )
    who = [{r.id for r in sample_tables(people, source, 0.5, ring_of(seed))["people"].collect()} for seed in (7, 7, 8)]
    assert who[0] == who[1] != who[2]
    assert len(sample_tables(people, source, 1.0, ring_of(7))["people"].collect()) == 100


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5])
def test_a_share_that_is_none_is_refused(tables: dict[str, Any], fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        sample_tables(tables, SOURCE, fraction, ring_of(7))
