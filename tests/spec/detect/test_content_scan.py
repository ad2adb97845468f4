"""One pass over a table says of every column path how many cells hold what, whatever the types, and shows no value."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from tests.detection_rules import matchers
from tests.servers.processes import free_port

from wardlake.detect.counting import CellCounts, merge_paths
from wardlake.detect.json_keys import JsonKeys
from wardlake.detect.leaves import count_leaf
from wardlake.detect.matching import Matcher
from wardlake.detect.patterns import Pattern, PatternMatcher
from wardlake.detect.scan import Failed, ScanPlan, Unit, require_scanned, scan_shares, scan_table
from wardlake.detect.sketch import estimate_distinct, merge_sketches, sketch_texts
from wardlake.detect.storage import StorageOptions
from wardlake.model.errors import ConfigurationError, ContractBroken, StorageUnavailable
from wardlake.model.treatments import IdentifierKind as Kind
from wardlake.ports.tables import DataFile

SSN = "123-45-6789"


# Finds Social Security numbers with dashes and nothing else
DASHES = PatternMatcher(
    "pattern",
    (Pattern(name="dashes", kind=Kind.SSN, matcher="pattern", expression=r"\d{3}-\d{2}-\d{4}", gate=r"\d"),),
)


def scan(
    spark: SparkSession, folder: Path, *tables: pa.Table, using: Sequence[Matcher] = (DASHES,), **options: object
) -> dict[str, CellCounts]:
    folder.mkdir(exist_ok=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"part-{number}.parquet", row_group_size=3)
    files = [DataFile(path=str(p), size=p.stat().st_size) for p in sorted(folder.glob("*.parquet"))]
    schema = from_arrow_schema(tables[0].schema)
    return {c.path: c for c in scan_table(spark, files, schema, using, **options)}  # type: ignore[arg-type]


def test_cells_are_counted_by_kind_over_all_files(spark: SparkSession, tmp_path: Path) -> None:
    one = pa.table({"a": ["x", SSN, None, SSN, SSN], "b": [1, 2, 2, 3, None]})
    two = pa.table({"a": ["y", f"see {SSN}"], "b": [4, 4]})
    counts = scan(spark, tmp_path, one, two)
    assert (counts["a"].rows, counts["a"].nulls, counts["a"].distinct_estimate) == (7, 1, 4)
    assert counts["a"].hits == {("pattern", Kind.SSN): 4}
    assert counts["a"].distinct_hits == {("pattern", Kind.SSN): 2}
    assert (counts["b"].rows, counts["b"].nulls, counts["b"].hits) == (7, 1, {})


def test_one_leaked_number_in_many_cells_is_found(spark: SparkSession, tmp_path: Path) -> None:
    cells = pa.table({"a": ["fine"] * 50_000 + [SSN] + ["fine"] * 50_000})
    pq.write_table(cells, tmp_path / "one.parquet")
    counts = scan_table(spark, [DataFile(path=str(tmp_path / "one.parquet"), size=1)], from_arrow_schema(cells.schema), [DASHES])
    assert counts[0].hits == {("pattern", Kind.SSN): 1}


def test_every_type_is_scanned_or_reported(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table(
        {
            "int": pa.array([123456789], pa.int32()),
            "double": pa.array([123456789.0]),
            "decimal": pa.array([decimal.Decimal("123456789.00")]),
            "bool": pa.array([True]),
            "date": pa.array([dt.date(1, 1, 1)]),
            "time": pa.array([dt.datetime(9999, 12, 31)], pa.timestamp("us")),
            "binary": pa.array([b"123-45-6789"]),
            "text": pa.array(["x"]),
        }
    )
    counts = scan(spark, tmp_path, table, using=matchers())
    for name in ("int", "double", "decimal"):
        assert ("bare", Kind.SSN) in counts[name].hits, name
    assert counts["date"].hits == counts["time"].hits == {("type", Kind.DATE): 1}
    assert not counts["binary"].scanned
    assert all(counts[name].scanned for name in table.schema.names if name != "binary")


def test_nested_fields_are_paths_of_their_own(spark: SparkSession, tmp_path: Path) -> None:
    person = pa.struct([("city", pa.string()), ("ids", pa.list_(pa.string()))])
    table = pa.table(
        {
            "address": pa.array([{"city": "x", "ids": ["a", SSN]}, None], person),
            "names": pa.array([[{"family": SSN}, {"family": None}], []], pa.list_(pa.struct([("family", pa.string())]))),
            "attributes": pa.array([[("k", SSN), (SSN, "v")], None], pa.map_(pa.string(), pa.string())),
        }
    )
    counts = scan(spark, tmp_path, table)
    assert list(counts) == ["address.city", "address.ids[]", "names[].family", "attributes.{key}", "attributes.{value}"]
    found = {path: sum(c.hits.values()) for path, c in counts.items()}
    assert found == {
        "address.city": 0,
        "address.ids[]": 1,
        "names[].family": 1,
        "attributes.{key}": 1,
        "attributes.{value}": 1,
    }


def test_json_in_text_is_found_by_its_content_and_counted_by_path(spark: SparkSession, tmp_path: Path) -> None:
    documents = [
        '{"patient": {"ssn": "123-45-6789", "n": 1.50}, "contacts": [{"phone": "a"}, {"phone": null}]}',
        '{"patient": {"ssn": "x", "ssn": "123-45-6789"}}',  # the hidden first of two equal keys counts too
        "plain text",
        "{broken",
    ]
    counts = scan(spark, tmp_path, pa.table({"payload": documents}))
    assert (counts["payload"].json_cells, counts["payload"].texts) == (2, 2)
    assert counts["payload$.patient.ssn"].rows == 3
    assert counts["payload$.patient.ssn"].hits == {("pattern", Kind.SSN): 2}
    assert (counts["payload$.contacts[].phone"].rows, counts["payload$.contacts[].phone"].nulls) == (2, 1)


def test_json_keys_that_are_data_are_not_named(spark: SparkSession, tmp_path: Path) -> None:
    many = "{" + ",".join(f'"person_{chr(97 + n % 26)}{chr(97 + n // 26)}": {n}' for n in range(300)) + "}"
    counts = scan(spark, tmp_path, pa.table({"payload": [f'{{"{SSN}": {{"Mary Jones": 1}}}}', many]}))
    assert counts["payload$.{key}"].hits == {("pattern", Kind.SSN): 1}
    assert list(counts) == ["payload", "payload$.{key}", "payload$.{value}", "payload$.{value}.{key}", "payload$.{value}.{value}"]


PEOPLE = ['{"Oberholtzer": {"bp": 1}, "Smith": {"bp": 2}, "Przeździecka": {"bp": 3}}', '{"Oberholtzer": {"bp": 1}}']


def test_json_keys_that_are_names_of_people_are_values_and_not_named(spark: SparkSession, tmp_path: Path) -> None:
    """Mostly names: then the names that no list holds are hidden with the others."""
    counts = scan(spark, tmp_path, pa.table({"by_person": PEOPLE}), using=matchers())
    assert list(counts) == ["by_person", "by_person$.{key}", "by_person$.{value}.bp"]
    assert counts["by_person$.{key}"].hits[("name-cell", Kind.PERSON_NAME)] == 3
    assert counts["by_person$.{value}.bp"].rows == 4


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["Price", "Page", "Code", "unit"], ["Price", "Page", "Code", "unit"]),
        (["birth_date", "firstName", "Grant_Number"], ["birth_date", "firstName", "Grant_Number"]),
        (["total", "unit", "code", "mary_jones"], ["total", "unit", "code", "{value}"]),
    ],
)
def test_names_of_fields_stay_names(spark: SparkSession, tmp_path: Path, keys: list[str], shown: list[str]) -> None:
    counts = scan(spark, tmp_path, pa.table({"doc": ["{" + ", ".join(f'"{key}": 1' for key in keys) + "}"]}), using=matchers())
    assert {path.removeprefix("doc$.") for path in counts} - {"doc", "{key}"} == set(shown)


def test_a_key_that_somebody_decided_on_is_a_field(spark: SparkSession, tmp_path: Path) -> None:
    rows = pa.table({"doc": ['{"Garcia": {"x": 1}, "Oberholtzer": 2}']})
    counts = scan(spark, tmp_path, rows, using=matchers(), json_keys=JsonKeys(declared=["doc$.Garcia.x"]))
    assert list(counts) == ["doc", "doc$.Garcia.x", "doc$.{key}", "doc$.{value}"]


def test_an_object_with_more_keys_than_configured_is_a_map(spark: SparkSession, tmp_path: Path) -> None:
    rows = pa.table({"doc": ['{"aa": 1, "bb": 2, "cc": 3}']})
    few, many = (scan(spark, tmp_path / str(most), rows, json_keys=JsonKeys(most=most)) for most in (2, 3))
    assert (list(few), len(many)) == (["doc", "doc$.{key}", "doc$.{value}"], 4)
    assert few["doc$.{key}"].distinct_estimate == 3


def test_an_empty_table_has_all_its_columns(spark: SparkSession, tmp_path: Path) -> None:
    schema = from_arrow_schema(pa.schema([("a", pa.string()), ("b", pa.struct([("c", pa.int32())]))]))
    without_files = scan_table(spark, [], schema, [DASHES])
    assert [(c.path, c.type, c.rows) for c in without_files] == [("a", "string", 0), ("b.c", "int", 0)]
    counts = scan(spark, tmp_path, pa.table({"a": pa.array([], pa.string())}))
    assert (counts["a"].rows, counts["a"].hits) == (0, {})


def test_a_cell_of_ten_megabytes_is_searched_to_its_end(spark: SparkSession, tmp_path: Path) -> None:
    counts = scan(spark, tmp_path, pa.table({"a": ["lorem ipsum " * 850_000 + SSN]}))
    assert counts["a"].hits == {("pattern", Kind.SSN): 1}


def test_bytes_that_are_no_utf8_hide_nothing(spark: SparkSession, tmp_path: Path) -> None:
    raw = pa.array([b"\xff\xfe 123-45-6789"], pa.binary()).view(pa.string())
    counts = scan(spark, tmp_path, pa.table({"a": raw}), using=matchers())
    assert ("pattern", Kind.SSN) in counts["a"].hits


def test_a_sample_looks_at_rows_from_all_over_the_table(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table({"a": [f"v{n}" for n in range(1000)]})
    pq.write_table(table, tmp_path / "one.parquet", row_group_size=100)
    file = DataFile(path=str(tmp_path / "one.parquet"), size=1)
    (counts,) = scan_table(spark, [file], from_arrow_schema(table.schema), [DASHES], sample_rows=50)
    assert counts.sampled
    assert 45 <= counts.rows <= 55


def test_masked_shapes_are_shown_only_where_many_cells_have_them(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table({"a": ["Ab-12"] * 6 + ["Cd-34"] * 6 + ["Zoë 王 🎉"] * 3})
    counts = scan(spark, tmp_path, table, with_shapes=True, min_shape_rows=11)
    assert counts["a"].shapes == (("aa-99", 12),)


def test_emoji_and_other_scripts_are_masked(spark: SparkSession, tmp_path: Path) -> None:
    counts = scan(spark, tmp_path, pa.table({"a": ["🎉 محمد ٣"] * 3}), with_shapes=True, min_shape_rows=1)
    assert counts["a"].shapes == (("? aaaa 9", 3),)


def test_no_output_holds_a_value(spark: SparkSession, tmp_path: Path) -> None:
    values = ["Zwölfaxing", "QX-77181", SSN]
    counts = scan(spark, tmp_path, pa.table({"a": values * 12}), using=matchers(), with_shapes=True)
    assert not [v for v in values if v in repr(counts)]


def test_files_that_hold_none_of_the_columns_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"col-4f2a": ["x"]}), tmp_path / "mapped.parquet")
    file = DataFile(path=str(tmp_path / "mapped.parquet"), size=1)
    with pytest.raises(ContractBroken, match="none of its table's columns"):
        scan_table(spark, [file], from_arrow_schema(pa.schema([("a", pa.string())])), [DASHES])


def test_a_column_added_later_is_null_in_older_files(spark: SparkSession, tmp_path: Path) -> None:
    counts = scan(spark, tmp_path, pa.table({"a": ["x"], "new": [SSN]}), pa.table({"a": ["y", "z"]}))
    assert (counts["new"].rows, counts["new"].nulls, counts["new"].hits) == (3, 2, {("pattern", Kind.SSN): 1})


def test_a_partition_columns_value_is_scanned_from_the_path(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "ssn=123-45-6789"
    folder.mkdir()
    pq.write_table(pa.table({"a": ["x", "y"]}), folder / "part.parquet")
    schema = from_arrow_schema(pa.schema([("a", pa.string()), ("ssn", pa.string())]))
    counts = scan_table(spark, [DataFile(path=str(folder / "part.parquet"), size=1)], schema, [DASHES])
    assert counts[1].hits == {("pattern", Kind.SSN): 2}


def test_rows_hidden_from_the_tables_readers_stop_the_scan(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="rows"):
        scan(spark, tmp_path, pa.table({"a": ["x", "y"]}), expected_rows=1)


def test_a_broken_file_is_named_and_shows_no_value(spark: SparkSession, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1" + SSN.encode() + b"PAR1")
    with pytest.raises(ContractBroken) as error:
        scan_table(spark, [DataFile(path=str(broken), size=9)], from_arrow_schema(pa.schema([("a", pa.string())])), [DASHES])
    assert "broken.parquet" in str(error.value)
    assert SSN not in str(error.value)


def test_storage_options_hold_no_credentials_and_need_them_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from wardlake.detect.storage import open_filesystem

    options = StorageOptions(endpoint="http://localhost:1", credentials="env:SCAN_TEST")
    with pytest.raises(ConfigurationError, match="no credentials"):
        open_filesystem("s3a://bucket/key", options)
    monkeypatch.setenv("SCAN_TEST_ACCESS_KEY", "reader")
    monkeypatch.setenv("SCAN_TEST_SECRET_KEY", "very-hidden")
    assert open_filesystem("s3a://bucket/a b/key", options)[1] == "bucket/a b/key"
    assert "very-hidden" not in repr(options)


def test_a_store_that_does_not_answer_a_worker_is_the_storage_s_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broken data: the run goes on once the store is back."""
    monkeypatch.setenv("SCAN_TEST_ACCESS_KEY", "reader")
    monkeypatch.setenv("SCAN_TEST_SECRET_KEY", "very-hidden")
    plan = ScanPlan(
        schema=from_arrow_schema(pa.schema([("a", pa.string())])),
        matchers=(DASHES,),
        with_shapes=False,
        rows_per_unit=0,
        storage=StorageOptions(endpoint=f"http://127.0.0.1:{free_port()}", credentials="env:SCAN_TEST"),
    )
    failed = [each for each in scan_shares([[Unit("s3a://lake/a.parquet", 9, 0, 1)]], plan) if isinstance(each, Failed)]
    with pytest.raises(StorageUnavailable, match="does not answer") as error:
        require_scanned([Failed("b.parquet", "broken"), *failed])
    assert error.value.which == ("a.parquet",)


def test_a_worker_without_credentials_is_the_configuration_s_fault_and_named() -> None:
    plan = ScanPlan(
        schema=from_arrow_schema(pa.schema([("a", pa.string())])),
        matchers=(DASHES,),
        with_shapes=False,
        rows_per_unit=0,
        storage=StorageOptions(endpoint="http://127.0.0.1:1", credentials="env:SCAN_ABSENT"),
    )
    failed = [each for each in scan_shares([[Unit("s3a://lake/a.parquet", 9, 0, 1)]], plan) if isinstance(each, Failed)]
    with pytest.raises(ConfigurationError, match="no credentials") as error:
        require_scanned([Failed("b.parquet", "away", called=StorageUnavailable), *failed])
    assert error.value.exit_code == 2
    assert "SCAN_ABSENT_ACCESS_KEY" in error.value.next_step


def test_an_unknown_file_system_is_refused() -> None:
    from wardlake.detect.storage import open_filesystem

    with pytest.raises(ContractBroken):
        open_filesystem("gopher://x/y", StorageOptions())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", SSN, "", "é", None]), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_parts_merge_to_the_whole_in_any_order(cells: list[str | None], first: int, second: int) -> None:
    low, high = sorted((min(first, len(cells)), min(second, len(cells))))
    parts = [
        count_leaf("a", "string", pa.array(part, pa.string()), [DASHES], with_shapes=True)
        for part in (cells[:low], cells[low:high], cells[high:])
    ]
    whole = count_leaf("a", "string", pa.array(cells, pa.string()), [DASHES], with_shapes=True)["a"]
    for order in (parts, parts[::-1], [merge_paths(parts[:2]), parts[2]], [parts[0], merge_paths(parts[1:])]):
        merged = merge_paths(order)["a"]
        assert (merged.rows, merged.nulls, merged.hits, merged.shapes) == (whole.rows, whole.nulls, whole.hits, whole.shapes)
        assert list(merged.sketch) == list(whole.sketch)


def test_distinct_texts_are_estimated_within_a_tenth_after_merging() -> None:
    one = sketch_texts(pa.array([f"value {n}" for n in range(60_000)]))
    two = sketch_texts(pa.array([f"value {n}" for n in range(40_000, 100_000)]))
    assert 90_000 < estimate_distinct(merge_sketches(one, two)) < 110_000
