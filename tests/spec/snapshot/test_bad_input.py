"""Bad input: each a clear error that names table and column, shows no value, and leaves nothing behind."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date

import pytest
from pyspark.sql.types import MapType, StringType, StructField, StructType
from tests.spec.snapshot.lab import GOOD, PEOPLE, Lab

from wardlake.model.errors import ContractBroken, WardlakeError
from wardlake.model.sources import SourceKind, TableSpec
from wardlake.snapshot.typed_columns import require_names

HEADER = "id,born,paid,ZIP\n"

BROKEN = {
    "a missing column": ("id,born,ZIP\na,1980-01-31,05401\n", ["people.paid"]),
    "a renamed column": ("id,birth,paid,ZIP\na,1980-01-31,1.50,05401\n", ["people.born", "people.birth"]),
    "a date that became text": (HEADER + "a,secretly,1.50,05401\n", ["people.born: 1 values do not fit"]),
    "a date that became a time": (HEADER + "a,1980-01-31T08:00:00Z,1.50,05401\n", ["people.born: 1 values"]),
    "money with too many decimals": (HEADER + "a,1980-01-31,1.505,05401\n", ["people.paid: 1 values"]),
    "money with an exponent": (HEADER + "a,1980-01-31,1e-3,05401\n", ["people.paid: 1 values do not fit"]),
    "a column whose name no table can have": ("id,born,paid,ZIP,home (city)\n", ["people.home (city)", "Rename"]),
    "columns that differ by capitals alone": ("id,born,paid,ZIP,zip\n", ["people.ZIP", "people.zip"]),
    "a duplicate key": (HEADER + "secretkey,,,\nsecretkey,,,\nb,,,\n", ["people.id: 1 keys repeat"]),
    "a null key": (HEADER + ",1980-01-31,1.50,05401\n", ["people.id: 1 rows have no primary key"]),
    "too few columns": (HEADER + "a,,,\nsecret,1980-01-31\n", ["people: 1 rows", "record 2 of people.csv"]),
    "too many columns": (HEADER + "a,1980-01-31,1.50,05401,secret\n", ["people: 1 rows", "record 1 of people.csv"]),
    "a quote that never closes": (HEADER + 'a,1980-01-31,1.50,"secret\nb,,,\n', ["people", "people.csv", "does not close"]),
    "a quote that closes too early": (HEADER + '"a"secret,1980-01-31,1.50,"x"\n"b,,,"\n', ["people", "people.csv"]),
    "bytes that are not UTF-8": (HEADER.encode() + b"a,,,\nb,,,secret\xff\n", ["people", "line 3 of people.csv", "not UTF-8"]),
    "no header": ("", ["people"]),
    "a record where the header should be": ("secretkey,1980-01-31,secret,05401\nb,,,\n", ["people", "not this table's header"]),
    "a record with a column's name in it": ("id,secretly,secret,secret5\nb,,,\n", ["people", "not this table's header"]),
    "a column twice": ("id,id,paid,ZIP\n", ["people"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_input_is_refused_by_name_and_without_values(lab: Lab, case: str) -> None:
    text, expected = BROKEN[case]
    lab.write("people.csv", text)

    with pytest.raises(ContractBroken) as caught:
        lab.take()

    said = str(caught.value)
    assert all(words in said for words in expected), said
    assert "secret" not in said
    assert caught.value.exit_code == 20
    assert lab.left() == []


def test_a_map_may_have_fields_of_one_name_in_its_keys_and_in_its_values() -> None:
    sides = StructType([StructField("code", StringType())])
    require_names("people", StructType([StructField("by", MapType(sides, sides))]), is_header=True)


def test_a_time_finer_than_a_microsecond_is_refused(lab: Lab) -> None:
    """The digits that the type cannot hold would be cut; noughts are none."""
    visits = TableSpec(name="visits", types={"at": "timestamp"})
    lab.write("visits.csv", "id,at\na,2024-01-31T08:00:00.123456789Z\nb,2024-01-31T08:00:00.123456000Z\n")
    with pytest.raises(ContractBroken, match=r"visits\.at: 1 values do not fit") as caught:
        lab.take(lab.spec(visits))
    assert "123456" not in str(caught.value)


def test_a_nested_field_whose_name_no_table_can_have_is_refused(lab: Lab) -> None:
    rows = lab.tables.spark.sql("SELECT 'a' AS id, array(named_struct('the city', 'Barre')) AS homes")
    rows.write.parquet(str(lab.source / "people"))
    with pytest.raises(ContractBroken) as caught:
        lab.take(lab.spec(replace(PEOPLE, types={}), kind=SourceKind.PARQUET))
    assert caught.value.which == ("people.homes.the city",)


def test_where_nobody_named_a_column_before_a_record_in_the_header_s_place_is_not_shown(lab: Lab) -> None:
    lab.write("notes.csv", "secret (who),7,1980\nb,,\n")
    with pytest.raises(ContractBroken, match="under their names") as caught:
        lab.take(lab.spec(TableSpec(name="notes")))
    assert caught.value.which == ("notes: 1 of its columns",)


def test_parquet_files_with_different_columns_are_refused(lab: Lab) -> None:
    """The engine would take one file's columns for all, and the other's would be gone unseen."""
    for select in ("'a' AS id, 1 AS n", "'b' AS id, 2 AS n, 'Smith' AS family"):
        lab.tables.spark.sql(f"SELECT {select}").write.mode("append").parquet(str(lab.source / "people"))
    spec = lab.spec(replace(PEOPLE, types={}), kind=SourceKind.PARQUET)
    with pytest.raises(ContractBroken, match="different columns") as caught:
        lab.take(spec)
    manifest = lab.take(replace(spec, read={"mergeSchema": "true"}))
    assert caught.value.which == ("people.family",)
    assert sorted(lab.rows(manifest)[1]) == ["family", "id", "n"]


@pytest.mark.parametrize("kind", [SourceKind.CSV, SourceKind.PARQUET])
def test_a_folder_that_ends_as_a_file_is_a_table(lab: Lab, kind: SourceKind) -> None:
    rows = lab.tables.spark.sql("SELECT 'a' AS id UNION ALL SELECT 'b'").repartition(2)
    rows.write.option("header", "true").format(kind.value).save(str(lab.source / f"people.{kind.value}"))
    manifest = lab.take(lab.spec(replace(PEOPLE, types={}), kind=kind))
    assert [row["id"] for row in lab.rows(manifest)] == ["a", "b"]
    assert all(name.startswith(f"file people.{kind.value}/part-") for name in manifest.position)


@pytest.mark.parametrize("beside", [True, False])
def test_a_table_in_partition_folders_is_refused(lab: Lab, beside: bool) -> None:
    """The part of it that is not directly in its folder would be lost unseen."""
    lab.tables.spark.sql("SELECT 'a' AS id, 1 AS n").write.partitionBy("n").parquet(str(lab.source / "people"))
    if beside:
        lab.tables.spark.sql("SELECT 'b' AS id").write.mode("append").parquet(str(lab.source / "people"))
    with pytest.raises(ContractBroken, match="folders within it") as caught:
        lab.take(lab.spec(replace(PEOPLE, types={}), kind=SourceKind.PARQUET))
    assert caught.value.which == ("people",)


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(lab: Lab, change: str) -> None:
    """Else the manifest would say the hash of another file than the one that was read."""
    lab.write("people.csv", GOOD)

    def meddle(_: str) -> None:
        (lab.source / "people.csv").unlink()
        if change == "replaced":
            lab.write("people.csv", GOOD.replace("1980", "1981"))

    with pytest.raises(ContractBroken, match="while it was read") as caught:
        lab.take(progress=meddle)
    assert caught.value.which == ("people.csv",)
    assert lab.left() == []


def test_a_column_that_was_decided_on_must_be_there(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    with pytest.raises(ContractBroken, match="decided on") as caught:
        lab.take(decided={"people": ["id", "ZIP", "phone"], "elsewhere": ["x"]})
    assert caught.value.which == ("people.phone",)
    assert lab.left() == []
    lab.verify(lab.take(decided={"people": ["id", "ZIP"]}))


def test_every_broken_table_is_reported_at_once(lab: Lab) -> None:
    lab.write("people.csv", HEADER + ",,,\n")
    lab.write("visits.csv", "id\n\n")
    with pytest.raises(ContractBroken) as caught:
        lab.take(lab.spec(PEOPLE, TableSpec(name="visits", types={"id": "int", "at": "timestamp"})))
    assert "people.id" in str(caught.value)
    assert "visits.at" in str(caught.value)


def test_a_table_that_vanished_is_refused(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    with pytest.raises(ContractBroken, match="not at the source") as caught:
        lab.take(lab.spec(PEOPLE, TableSpec(name="visits")))
    assert caught.value.which == ("clinic: visits",)
    assert lab.left() == []


def test_a_table_that_appeared_is_reported_and_not_read(lab: Lab) -> None:
    lab.write("people.csv", GOOD)
    lab.write("diaries.csv", "id,text\na,private\n")
    manifest = lab.take()
    assert manifest.extra["undeclared_tables"] == '["diaries"]'
    assert [table.name for table in manifest.tables] == ["people"]


def test_a_column_that_appeared_reaches_the_raw_zone_for_the_gate_to_judge(lab: Lab) -> None:
    lab.write("people.csv", "id,born,paid,ZIP,phone\na,,,,5551234567\n")
    assert lab.rows(lab.take())[0]["phone"] == "5551234567"


def test_an_empty_table_is_kept_and_reported(lab: Lab) -> None:
    lab.write("people.csv", HEADER)
    manifest = lab.take()
    lab.verify(manifest)
    assert manifest.extra["empty_tables"] == '["people"]'
    assert manifest.table("people").hashes.row_count == 0


def test_a_zip_read_as_a_number_is_kept_with_a_warning(lab: Lab) -> None:
    lab.write("people.csv", HEADER + "a,,,5401\n")
    manifest = lab.take()
    assert manifest.extra["warnings"] == '["people.ZIP: 1 values look like numbers that lost a leading zero"]'
    assert lab.rows(manifest)[0]["ZIP"] == "5401"


def test_a_missing_source_folder_is_said_to_be_missing(lab: Lab) -> None:
    with pytest.raises(WardlakeError, match="missing or empty"):
        lab.take()


UNUSUAL = {
    "the first and the last year": ('"a",0001-01-01,,\nb,9999-12-31,,\n', "born", [date(1, 1, 1), date(9999, 12, 31)]),
    "emoji and right-to-left names": (
        "a,,,\N{GRINNING FACE}\nb,,,\u05d3\u05d5\u05d3\n",
        "ZIP",
        ["\N{GRINNING FACE}", "\u05d3\u05d5\u05d3"],
    ),
    "lines and quotes inside a cell": ('a,,,"one\n""two"", three"\nb,,,"""quoted"""\n', "ZIP", ['one\n"two", three', '"quoted"']),
    "the replacement character itself": ("a,,,\ufffd\nb,,,x\n", "ZIP", ["\ufffd", "x"]),
    "a cell of 10 megabytes": (f"a,,,{'x' * 10_000_000}\nb,,,y\n", "ZIP", ["x" * 10_000_000, "y"]),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_unusual_values_survive(lab: Lab, case: str) -> None:
    text, column, expected = UNUSUAL[case]
    (lab.source / "people.csv.gz").write_bytes(gzip.compress((HEADER + text).encode()))

    manifest = lab.take()

    assert [row[column] for row in lab.rows(manifest)] == expected
    lab.verify(manifest)
