"""Undeclared foreign keys are proposed with evidence."""

from __future__ import annotations

from pyspark.sql import SparkSession

from wardlake.deidentify.discovery import discover_references
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec

TO_PEOPLE = Reference(columns=("person",), table="people", to=("id",))


def test_columns_whose_values_are_another_tables_keys_are_proposed_and_declared_ones_are_not(spark: SparkSession) -> None:
    tables = {
        "people": spark.sql("SELECT concat('p', id) id, concat('name', id) name FROM range(5000)"),
        "payers": spark.sql("SELECT concat('q', id) id FROM range(9)"),
        "claims": spark.sql(
            """SELECT concat('c', id) id, concat('p', id) person, concat('p', id + 1) seen_by, concat('q', id % 9) PRIMARYPAYERID,
               concat('q', id % 20) mostly_not, 'q1' always, DATE '2024-01-01' day FROM range(4000)"""
        ),
    }
    specs = [
        TableSpec(name="people", primary_key=("id",)),
        TableSpec(name="payers", primary_key=("id",)),
        TableSpec(name="claims", primary_key=("id",), references=(TO_PEOPLE,)),
    ]
    source = SourceSpec(name="s", kind=SourceKind.CSV, location="x", schema_version="1", tables={t.name: t for t in specs})
    found = discover_references(tables, source)
    assert [(p.table, p.reference.columns, p.reference.table, p.name_fits, p.found) for p in found] == [
        ("claims", ("PRIMARYPAYERID",), "payers", True, 1.0),
        ("claims", ("seen_by",), "people", False, 1.0),
    ]
    assert found[0].looked_up == 9
    assert 500 <= found[1].looked_up <= 2000
