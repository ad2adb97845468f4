"""Files of a migration service: whole, read as text, and refused by name where they are damaged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wardlake.adapters.change_files import ChangeColumns, ChangeFiles
from wardlake.model.changes import Operation
from wardlake.model.errors import ContractBroken, StorageUnavailable

HEADER = "Op,change_seq,change_time,id,note\n"
GOOD = HEADER + "I,1,2026-01-31T08:00:00Z,7,secret\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dropped" / "visits").mkdir(parents=True)
    return tmp_path / "dropped"


def stream(folder: Path, **columns: str) -> ChangeFiles:
    return ChangeFiles(folder, folder.parent / "acknowledged", columns=ChangeColumns(**columns))


def only(folder: Path, **columns: str) -> list:
    return list(stream(folder, **columns).read(most=10, seconds=0).changes)


def test_nothing_between_commas_is_null_and_quotes_are_an_empty_text(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(HEADER + 'I,1,2026-01-31 08:00:00,7,\nI,2,2026-01-31 08:00:00,8,""\n')
    assert [each.new for each in only(folder)] == [{"id": "7", "note": None}, {"id": "8", "note": ""}]


def test_parquet_is_read_as_text_and_columns_may_have_other_names(folder: Path) -> None:
    rows = pa.table(
        {
            "cdc": ["D"],
            "scn": pa.array([20260131080000000000001], pa.decimal128(38)),
            "at": ["2026-01-31T09:00:00+01:00"],
            "id": [7],
        }
    )
    pq.write_table(rows, folder / "visits" / "1.parquet")
    (change,) = only(folder, operation="cdc", position="scn", at="at")
    assert (change.operation, change.old, change.new) == (Operation.DELETE, {"id": "7"}, None)
    assert change.position.commit == 20260131080000000000001
    assert change.committed_at.isoformat() == "2026-01-31T08:00:00+00:00"


def test_files_are_told_in_the_order_of_their_names_whatever_their_table(folder: Path) -> None:
    (folder / "bills").mkdir()
    for table, name in (("visits", "2"), ("bills", "3"), ("bills", "1")):
        (folder / table / f"{name}.csv").write_text(GOOD)
    files = stream(folder)
    assert [files.read(most=1, seconds=0).end for _ in range(4)] == ["bills/1.csv", "visits/2.csv", "bills/3.csv", ""]


def test_a_file_that_comes_late_under_an_earlier_name_is_told_too(folder: Path) -> None:
    (folder / "visits" / "2.csv").write_text(GOOD)
    files = stream(folder)
    files.acknowledge(files.read(most=1, seconds=0).end)
    (folder / "visits" / "1.csv").write_text(GOOD)
    assert files.read(most=1, seconds=0).end == "visits/1.csv"


DAMAGED = {
    "cut off within a row": GOOD[:-4].encode(),
    "cut off after a comma": (HEADER + "I,1,2026-01-31T08:00:00Z,\n").encode(),
    "more cells than columns": (HEADER + "I,1,2026-01-31T08:00:00Z,7,secret,secret\n").encode(),
    "a quote that never closes": (HEADER + 'I,1,2026-01-31T08:00:00Z,7,"secret\n').encode(),
    "not UTF-8": GOOD.encode().replace(b"secret", b"secre\xff"),
    "empty": b"",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_named_and_shows_no_value(folder: Path, case: str) -> None:
    (folder / "visits" / "1.csv").write_bytes(DAMAGED[case])
    with pytest.raises(ContractBroken, match=r"visits/1\.csv") as refused:
        only(folder)
    assert "secre" not in str(refused.value)


def test_a_parquet_file_that_is_cut_off_is_named(folder: Path) -> None:
    pq.write_table(pa.table({"Op": ["I"]}), folder / "visits" / "1.parquet")
    whole = (folder / "visits" / "1.parquet").read_bytes()
    (folder / "visits" / "1.parquet").write_bytes(whole[:-10])
    with pytest.raises(ContractBroken, match=r"visits/1\.parquet"):
        only(folder)


@pytest.mark.parametrize(
    "row",
    [
        "X,1,2026-01-31T08:00:00Z",
        ",1,2026-01-31T08:00:00Z",
        "I,one,2026-01-31T08:00:00Z",
        "I,,2026-01-31T08:00:00Z",
        "I,1,secretly",
        "I,1,",
    ],
)
def test_a_row_that_does_not_say_what_where_and_when_is_named_by_its_number(folder: Path, row: str) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD + f"{row},7,secret\n")
    with pytest.raises(ContractBroken, match=r"visits/1\.csv: row 2") as refused:
        only(folder)
    assert "secret" not in str(refused.value)


def test_columns_of_the_service_that_are_missing_are_named(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text("Op,id\nI,7\n")
    with pytest.raises(ContractBroken, match="change_seq") as refused:
        only(folder)
    assert refused.value.which == ("visits/1.csv: change_seq", "visits/1.csv: change_time")


def test_a_damaged_file_is_told_again_until_it_is_mended(folder: Path) -> None:
    path = folder / "visits" / "1.csv"
    path.write_text(GOOD[:-4])
    files = stream(folder)
    with pytest.raises(ContractBroken):
        files.read(most=1, seconds=0)
    path.write_text(GOOD)
    assert files.read(most=1, seconds=0).end == "visits/1.csv"


def test_a_folder_that_cannot_be_written_is_the_storage_s_failure(folder: Path) -> None:
    files = ChangeFiles(folder, folder / "absent" / "acknowledged")
    with pytest.raises(StorageUnavailable):
        files.acknowledge("visits/1.csv")
