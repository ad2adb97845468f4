"""Foreign keys of the output join as those of the source do, or the run ends with exit 12."""

from __future__ import annotations

import dataclasses

import pytest
from pyspark.sql import DataFrame, SparkSession

from wardlake.model.errors import BrokenReferences
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.publish.references.measure import ReferenceMeasure, measure_references
from wardlake.publish.references.proof import compare_references, require_references


def source(*tables: TableSpec) -> SourceSpec:
    return SourceSpec(name="clinic", kind=SourceKind.CSV, location="", schema_version="1", tables={t.name: t for t in tables})


def refers(column: str, table: str, to: str = "Id") -> Reference:
    return Reference(columns=(column,), table=table, to=(to,))


CLINIC = source(TableSpec(name="patients"), TableSpec(name="visits", references=(refers("PATIENT", "patients"),)))


def table(spark: SparkSession, schema: str, *rows: tuple[object, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), schema)


def clinic(spark: SparkSession, patients: list[str | None], visits: list[str | None]) -> dict[str, DataFrame]:
    return {
        "patients": table(spark, "Id string", *[(p,) for p in patients]),
        "visits": table(spark, "PATIENT string", *[(v,) for v in visits]),
    }


def test_a_key_is_measured_by_rows_nulls_orphans_and_rows_per_parent(spark: SparkSession) -> None:
    tables = clinic(spark, ["a", "b", "c"], ["a", "a", "a", "b", "x", "x", "y", None])
    assert measure_references(tables, CLINIC) == [
        ReferenceMeasure(
            table="visits",
            columns=("PATIENT",),
            parent="patients",
            to=("Id",),
            child_rows=8,
            null_keys=1,
            orphan_rows=3,
            distinct_keys=4,
            matched_parents=2,
            parent_rows=3,
            distinct_parents=3,
            rows_per_parent_min=1,
            rows_per_parent_max=3,
            rows_per_parent_squares=10,
        )
    ]


def test_replaced_keys_that_join_alike_are_not_broken(spark: SparkSession) -> None:
    before = clinic(spark, ["a", "b"], ["a", "a", "b", "x", None])
    after = clinic(spark, ["t1", "t2"], ["t1", "t1", "t2", "t9", None])
    assert compare_references(measure_references(before, CLINIC), measure_references(after, CLINIC)) == []


@pytest.mark.parametrize(
    ("patients", "visits", "differs"),
    [
        (["t1", "t2"], ["t1", "u1", "t2"], "orphan_rows"),  # one row replaced independently
        (["t1", "t1"], ["t1", "t1", "t1"], "distinct_parents"),  # two people became one
        (["t1", "t2"], ["t1", "t1", None], "null_keys"),  # a key was lost
        (["t1", "t2"], ["t1", "t2"], "child_rows"),  # a row was lost
        (["t1", "t2"], ["t1", "t1", "t1"], "rows_per_parent_squares"),  # all rows went to one parent
    ],
)
def test_a_key_that_joins_otherwise_is_broken(
    spark: SparkSession, patients: list[str | None], visits: list[str | None], differs: str
) -> None:
    before = measure_references(clinic(spark, ["a", "b"], ["a", "a", "b"]), CLINIC)
    after = measure_references(clinic(spark, patients, visits), CLINIC)
    (broken,) = compare_references(before, after)
    assert broken.reference == "visits.PATIENT -> patients.Id"
    assert differs in broken.output


def test_orphans_that_the_source_has_too_are_kept_not_refused(spark: SparkSession) -> None:
    before = clinic(spark, [], ["a", "b", "b"])
    after = clinic(spark, [], ["t1", "t2", "t2"])
    (measure,) = measure_references(before, CLINIC)
    assert measure.orphan_rate == 1.0
    assert compare_references([measure], measure_references(after, CLINIC)) == []


def test_composite_keys_are_compared_as_wholes_and_a_null_part_makes_a_null_key(spark: SparkSession) -> None:
    spec = source(
        TableSpec(name="wards"),
        TableSpec(name="beds", references=(Reference(columns=("SITE", "WARD"), table="wards", to=("SITE", "NR")),)),
    )
    tables = {
        "wards": table(spark, "SITE string, NR int", ("a", 1), ("ab", 2)),
        "beds": table(spark, "SITE string, WARD int", ("a", 1), ("ab", 1), ("a", 2), ("ab", 2), ("a", None)),
    }
    (measure,) = measure_references(tables, spec)
    assert measure.name == "beds.SITE+WARD -> wards.SITE+NR"
    assert (measure.child_rows, measure.null_keys, measure.orphan_rows, measure.matched_parents) == (5, 1, 2, 2)


def test_self_references_and_cycles_are_measured(spark: SparkSession) -> None:
    spec = source(
        TableSpec(name="staff", references=(refers("BOSS", "staff"), refers("TEAM", "teams"))),
        TableSpec(name="teams", references=(refers("LEAD", "staff"),)),
    )
    tables = {
        "staff": table(spark, "Id int, BOSS int, TEAM int", (1, None, 7), (2, 1, 7), (3, 1, 8)),
        "teams": table(spark, "Id int, LEAD int", (7, 1), (8, 4)),
    }
    measures = {m.name: m for m in measure_references(tables, spec)}
    assert measures["staff.BOSS -> staff.Id"].rows_per_parent_max == 2
    assert measures["staff.TEAM -> teams.Id"].matched_parents == 2
    assert measures["teams.LEAD -> staff.Id"].orphan_rows == 1


def test_ends_of_different_type_join_by_their_text(spark: SparkSession) -> None:
    tables = {
        "patients": table(spark, "Id bigint", (1,), (2,)),
        "visits": table(spark, "PATIENT string", ("1",), ("3",)),
    }
    (measure,) = measure_references(tables, CLINIC)
    assert (measure.matched_parents, measure.orphan_rows) == (1, 1)


def test_empty_tables_measure_zero(spark: SparkSession) -> None:
    (measure,) = measure_references(clinic(spark, [], []), CLINIC)
    assert (measure.child_rows, measure.parent_rows, measure.orphan_rate) == (0, 0, 0.0)


def test_hostile_column_names_are_only_names(spark: SparkSession) -> None:
    name = "a.b `c` $(d)"
    spec = source(TableSpec(name="p"), TableSpec(name="v", references=(refers(name, "p", name),)))
    tables = {"p": table(spark, "x int", (1,)).toDF(name), "v": table(spark, "x int", (1,)).toDF(name)}
    assert measure_references(tables, spec)[0].matched_parents == 1


def test_broken_references_name_the_key_and_counts_and_no_value(spark: SparkSession) -> None:
    before = measure_references(clinic(spark, ["MARKER1"], ["MARKER1"]), CLINIC)
    after = measure_references(clinic(spark, ["t1"], ["MARKER1"]), CLINIC)
    with pytest.raises(BrokenReferences) as raised:
        require_references(before, after)
    assert raised.value.exit_code == 12
    assert "visits.PATIENT -> patients.Id: orphan_rows 0 became 1" in str(raised.value)
    assert "MARKER1" not in str(raised.value)


def test_a_reference_measured_on_one_side_only_is_broken(spark: SparkSession) -> None:
    (measure,) = measure_references(clinic(spark, ["a"], ["a"]), CLINIC)
    other = dataclasses.replace(measure, columns=("DOCTOR",))
    assert [b.reference for b in compare_references([measure], [])] == [measure.name]
    assert {b.reference for b in compare_references([measure], [other])} == {measure.name, other.name}
