"""Files of a migration service: whole, read as text, and refused by name where they are damaged."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wardlake.adapters.change_files import ChangeColumns, ChangeFiles
from wardlake.model.changes import Operation
from wardlake.model.errors import StorageUnavailable
from wardlake.ports.change_stream import Aside

HEADER = "Op,change_seq,change_time,id,note\n"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
GOOD = HEADER + "I,1,2026-01-31T08:00:00Z,7,secret\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dropped" / "visits").mkdir(parents=True)
    return tmp_path / "dropped"


def stream(folder: Path, **columns: str) -> ChangeFiles:
    return ChangeFiles(folder, folder.parent / "acknowledged", columns=ChangeColumns(**columns))


def read_all(files: ChangeFiles) -> None:
    """And list the folder once more: then its times are those of all that was told."""
    for _ in range(2):
        while files.read(most=10, seconds=0).end:
            pass


def why(folder: Path) -> str:
    """What is said of the one file of the folder, which is damaged."""
    batch = stream(folder).read(most=10, seconds=0)
    (damaged,) = batch.damaged
    assert (batch.changes, batch.end, damaged.table, damaged.practice) == ((), "", "visits", None)
    return f"{damaged.place}: {damaged.why}"


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
    assert why(folder) == "visits/1.csv: it is cut off or damaged"


@pytest.mark.parametrize("lost", [slice(None, -10), slice(20, None), slice(None, 30)])
def test_a_parquet_file_that_is_cut_off_is_named(folder: Path, lost: slice) -> None:
    pq.write_table(pa.table({"Op": ["I"]}), folder / "visits" / "1.parquet")
    whole = (folder / "visits" / "1.parquet").read_bytes()
    (folder / "visits" / "1.parquet").write_bytes(whole[lost])
    assert why(folder) == "visits/1.parquet: it is cut off or damaged"


@pytest.mark.parametrize("column", ["Op", "change_seq", "note"])
def test_a_parquet_file_with_a_text_that_is_not_utf_8_is_named(folder: Path, column: str) -> None:
    (folder / "visits" / "north").mkdir()
    row = {"Op": b"I", "change_seq": b"1", "change_time": b"2026-01-31T08:00:00Z", "id": b"7", "note": b"north"}
    cells = {**row, column: b"secre\xff"}
    texts = {name: pa.array([cell], pa.binary()).view(pa.string()) for name, cell in cells.items()}
    pq.write_table(pa.table(texts), folder / "visits" / "north" / "1.parquet")
    (folder / "visits" / "south").mkdir()
    (folder / "visits" / "south" / "2.csv").write_text(GOOD)
    files = ChangeFiles(folder, folder.parent / "acknowledged", aside=Aside(practices={"visits": "practice"}))
    batch = files.read(most=10, seconds=0)
    assert [(each.place, each.why) for each in batch.damaged] == [("visits/north/1.parquet", "it is cut off or damaged")]
    assert batch.end == "visits/south/2.csv"


@pytest.mark.parametrize(
    "row",
    [
        "X,1,2026-01-31T08:00:00Z",
        ",1,2026-01-31T08:00:00Z",
        "I,one,2026-01-31T08:00:00Z",
        "I,,2026-01-31T08:00:00Z",
        "I,-1,2026-01-31T08:00:00Z",
        f"I,1{'0' * 35},2026-01-31T08:00:00Z",
        "I,1,secretly",
        "I,1,",
        "I,1,0001-01-01T00:00:00+01:00",
    ],
)
def test_a_row_that_does_not_say_what_where_and_when_is_named_by_its_number(folder: Path, row: str) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD + f"{row},7,secret\n")
    assert why(folder) == "visits/1.csv: row 2 does not say what was done, where it stands or when"


def test_columns_that_are_missing_are_named(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text("Op,id\nI,7\n")
    assert why(folder) == "visits/1.csv: it lacks columns: change_seq, change_time"
    (folder / "visits" / "1.csv").write_text(GOOD)
    needs = ChangeFiles(folder, folder.parent / "acknowledged", needed={"visits": ["id", "practice"]})
    assert [each.why for each in needs.read(most=10, seconds=0).damaged] == ["it lacks columns: practice"]


def test_a_damaged_file_is_tried_again_when_it_is_another(folder: Path) -> None:
    path = folder / "visits" / "1.csv"
    path.write_text(GOOD[:-4])
    (folder / "visits" / "2.csv").write_text(GOOD)
    files = stream(folder)
    assert [len(files.read(most=1, seconds=0).damaged) for _ in range(2)] == [1, 0]
    path.write_text(GOOD)
    first = files.read(most=1, seconds=0)
    assert (first.end, first.mended) == ("visits/1.csv", ("visits/1.csv",))
    assert files.read(most=1, seconds=0).end == "visits/2.csv"


def told_once(folder: Path) -> Path:
    """A file that is acknowledged."""
    (folder / "visits" / "1.csv").write_text(GOOD)
    files = stream(folder)
    files.acknowledge(files.read(most=10, seconds=0).end)
    return folder / "visits" / "1.csv"


def grow(path: Path) -> None:
    path.write_text(GOOD + "I,2,2026-01-31T08:00:00Z,8,secret\n")


def test_a_file_that_grew_after_it_was_told_is_named_and_what_follows_waits(folder: Path) -> None:
    grow(told_once(folder))
    (folder / "visits" / "2.csv").write_text(GOOD)
    assert why(folder) == "visits/1.csv: it is another than when it was told"


def test_a_file_that_grew_is_told_as_it_is_once_people_let_it_go(folder: Path) -> None:
    path = told_once(folder)
    grow(path)
    files = stream(folder)
    (damaged,) = files.read(most=10, seconds=0).damaged
    assert files.read(most=10, seconds=0).damaged == ()
    let_go = Aside(released={damaged.place: damaged.stamp})
    again = ChangeFiles(folder, folder.parent / "acknowledged", aside=let_go)
    batch = again.read(most=10, seconds=0)
    assert (len(batch.changes), batch.damaged) == (2, ())
    assert again.read(most=10, seconds=0).changes == ()
    again.acknowledge(batch.end)
    assert stream(folder).read(most=10, seconds=0).damaged == ()


def test_a_file_that_grew_and_is_as_it_was_again_is_mended(folder: Path) -> None:
    path = told_once(folder)
    grow(path)
    files = stream(folder)
    assert len(files.read(most=10, seconds=0).damaged) == 1
    path.write_text(GOOD)
    batch = files.read(most=10, seconds=0)
    assert (batch.changes, batch.mended) == ((), ("visits/1.csv",))


def test_a_file_of_which_only_the_time_is_another_is_as_it_was(folder: Path) -> None:
    os.utime(told_once(folder), ns=(1, 1))
    batch = stream(folder).read(most=10, seconds=0)
    assert (batch.changes, batch.damaged) == ((), ())


def test_a_file_that_grew_and_is_gone_waits_until_somebody_says_so(folder: Path) -> None:
    path = told_once(folder)
    grow(path)
    files = stream(folder)
    files.read(most=10, seconds=0)
    path.unlink()
    (folder / "visits" / "2.csv").write_text(GOOD)
    batch = files.read(most=10, seconds=0)
    assert (batch.changes, batch.mended) == ((), ())


def test_the_folder_is_listed_once_for_all_that_is_read_until_it_is_acknowledged(folder: Path) -> None:
    for name in ("2", "3"):
        (folder / "visits" / f"{name}.csv").write_text(GOOD)
    files = stream(folder)
    ends = [files.read(most=1, seconds=0).end]
    (folder / "visits" / "1.csv").write_text(GOOD)
    ends.append(files.read(most=1, seconds=0).end)
    files.acknowledge(ends[-1])
    assert [*ends, files.read(most=1, seconds=0).end] == ["visits/2.csv", "visits/3.csv", "visits/1.csv"]


def test_a_name_that_is_gone_is_forgotten_and_a_folder_that_is_gone_is_the_storage_s_failure(folder: Path) -> None:
    path = told_once(folder)
    state = folder.parent / "acknowledged"
    folder.rename(folder.parent / "elsewhere")
    files = ChangeFiles(folder, state)
    with pytest.raises(StorageUnavailable, match="is not there"):
        files.read(most=1, seconds=0)
    (folder.parent / "elsewhere").rename(folder)
    assert files.read(most=1, seconds=0).end == ""
    path.unlink()
    assert files.read(most=1, seconds=0).end == ""
    path.write_text(GOOD)
    assert files.read(most=1, seconds=0).end == "visits/1.csv"


@pytest.mark.parametrize(
    ("damaged", "waits", "goes_on"),
    [
        ("visits/2", ("visits/3", "visits/north/4"), ("visits/1", "bills/5")),
        ("visits/north/2", ("visits/3", "visits/north/4"), ("visits/south/5", "bills/6")),
    ],
)
def test_later_files_that_may_hold_the_same_rows_wait(
    folder: Path, damaged: str, waits: tuple[str, ...], goes_on: tuple[str, ...]
) -> None:
    for name in (damaged, *waits, *goes_on):
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD[:-4] if name == damaged else GOOD)
    files, told = stream(folder), []
    while (batch := files.read(most=10, seconds=0)).end:
        told.append(batch.end.removesuffix(".csv"))
    assert told == list(goes_on)


def test_no_day_is_whole_while_a_file_of_everybody_waits_for_one_of_a_practice(folder: Path) -> None:
    (folder / "visits" / "north").mkdir()
    (folder / "visits" / "north" / "2.csv").write_text(GOOD[:-4])
    (folder / "visits" / "1.csv").write_text(GOOD)
    files = stream(folder)
    read_all(files)
    assert files.told_to(NOW) is not None
    (folder / "visits" / "3.csv").write_text(GOOD)
    read_all(files)
    assert files.told_to(NOW) is None
    (folder / "visits" / "north" / "2.csv").write_text(GOOD)
    read_all(files)
    assert files.told_to(NOW) is not None


def test_a_file_in_a_practice_s_folder_holds_rows_of_nobody_else(folder: Path) -> None:
    (folder / "visits" / "north").mkdir()
    (folder / "visits" / "north" / "1.csv").write_text(HEADER + "I,1,2026-01-31T08:00:00Z,7,south\n")
    files = ChangeFiles(folder, folder.parent / "acknowledged", aside=Aside(practices={"visits": "note"}))
    (damaged,) = files.read(most=10, seconds=0).damaged
    assert (damaged.practice, damaged.why) == ("north", "it lies in a practice's folder and holds rows of another")
    (folder / "visits" / "north" / "1.csv").write_text("Op,change_seq,change_time,id\nI,1,2026-01-31T08:00:00Z,7\n")
    assert [each.new for each in files.read(most=10, seconds=0).changes] == [{"id": "7", "note": "north"}]


def test_a_large_file_is_told_in_pieces_and_its_end_comes_with_the_last(folder: Path) -> None:
    rows = "".join(f"I,{n},2026-01-31T08:00:00Z,{n},x\n" for n in range(1, 8))
    (folder / "visits" / "1.csv").write_text(HEADER + rows)
    files = stream(folder)
    pieces = [files.read(most=3, seconds=0) for _ in range(3)]
    assert [(len(each.changes), each.end) for each in pieces] == [(3, ""), (3, ""), (1, "visits/1.csv")]
    files.close()
    assert files.read(most=3, seconds=0).changes == pieces[0].changes


def test_a_file_without_rows_is_acknowledged_with_what_follows(folder: Path) -> None:
    for name, text in (("1", HEADER), ("2", GOOD), ("3", HEADER)):
        (folder / "visits" / f"{name}.csv").write_text(text)
    files = stream(folder)
    ends = [files.read(most=10, seconds=0).end for _ in range(2)]
    assert ends == ["visits/2.csv", "visits/3.csv"]
    files.acknowledge(ends[1])
    assert stream(folder).read(most=10, seconds=0).end == ""


def test_a_folder_that_cannot_be_written_is_the_storage_s_failure(folder: Path) -> None:
    files = ChangeFiles(folder, folder / "absent" / "acknowledged")
    with pytest.raises(StorageUnavailable):
        files.acknowledge("visits/1.csv")


def line(position: int, at: str) -> str:
    return f"U,{position},{at},7,secret\n"


MORNING, BEFORE, SOON, NOON = (f"2026-01-31T{each}Z" for each in ("08:00:00", "07:00:00", "08:02:00", "12:00:00"))


@pytest.mark.parametrize(
    ("later", "is_refused"),
    [
        pytest.param(line(60, NOON), True, id="counts from below"),
        pytest.param(line(60, SOON), False, id="clocks of two machines"),
        pytest.param(line(60, BEFORE), False, id="late"),
        pytest.param(line(101, NOON), False, id="onward"),
        pytest.param(line(101, NOON) + line(100, NOON), True, id="one of its rows"),
    ],
)
def test_positions_that_go_back_while_times_go_on_are_a_restored_source_s(folder: Path, later: str, is_refused: bool) -> None:
    (folder / "visits" / "1.csv").write_text(HEADER + line(50, BEFORE) + line(100, MORNING))
    files = stream(folder)
    files.acknowledge(files.read(most=10, seconds=0).end)
    (folder / "visits" / "1.csv").unlink()  # files that were told may go
    (folder / "visits" / "2.csv").write_text(HEADER + later)
    batch = stream(folder).read(most=10, seconds=0)
    assert (len(batch.damaged), batch.changes == ()) == ((1, True) if is_refused else (0, False))
    if is_refused:
        assert "its positions go back while its times go on" in batch.damaged[0].why
        assert "secret" not in batch.damaged[0].why
        stamp = batch.damaged[0].stamp
        let_go = Aside(stamps={}, released={"visits/2.csv": stamp})
        files = ChangeFiles(folder, folder.parent / "acknowledged", aside=let_go)
        end = files.read(most=10, seconds=0).end
        assert end == "visits/2.csv"
        files.acknowledge(end)
        (folder / "visits" / "3.csv").write_text(HEADER + line(102, "2026-01-31T13:00:00Z"))  # counts on from what was let go
        assert stream(folder).read(most=10, seconds=0).end == "visits/3.csv"


def test_a_time_at_the_end_of_the_calendar_stops_nothing(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(HEADER + line(50, "9999-12-31T23:59:59Z"))
    files = stream(folder)
    files.acknowledge(files.read(most=10, seconds=0).end)
    (folder / "visits" / "2.csv").write_text(HEADER + line(40, NOON) + line(60, NOON))
    assert files.read(most=10, seconds=0).end == "visits/2.csv"


def test_a_mount_point_that_is_empty_is_the_storage_s_failure(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD)
    files = stream(folder)
    files.acknowledge(files.read(most=10, seconds=0).end)
    (folder / "visits").rename(folder.parent / "elsewhere")
    with pytest.raises(StorageUnavailable, match="no table any more"):
        stream(folder).read(most=10, seconds=0)


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def told_to(files: ChangeFiles, at: datetime = NOON) -> datetime | None:
    """Once all is told that is there."""
    while not files.has_told(files.mark()):
        if end := files.read(most=10, seconds=0).end:
            files.acknowledge(end)
    return files.told_to(at)


def beat(folder: Path, number: int, at: str) -> None:
    (folder / "heartbeat").mkdir(exist_ok=True)
    (folder / "heartbeat" / f"{number}.csv").write_text(f"Op,change_seq,change_time\nU,{number},{at}\n")


def test_a_folder_in_which_nothing_comes_says_nothing_of_the_time(folder: Path) -> None:
    assert told_to(stream(folder)) is None
    (folder / "visits" / "1.csv").write_text(GOOD)
    assert told_to(stream(folder)) == NOON.replace(hour=8)
    assert told_to(stream(folder), NOON + timedelta(days=2)) == NOON.replace(hour=8)  # the service may be dead


def test_what_comes_late_may_be_of_before_the_latest_time(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD)
    columns = ChangeColumns(late=timedelta(minutes=20))
    late = ChangeFiles(folder, folder.parent / "acknowledged", columns=columns)
    assert told_to(late) == NOON.replace(hour=7, minute=40)


def test_a_heartbeat_tells_the_time_and_no_change(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD)
    beat(folder, 2, "2026-01-31T11:30:00Z")
    columns = ChangeColumns(heartbeat="heartbeat")
    files = ChangeFiles(folder, folder.parent / "acknowledged", columns=columns)
    batches = [files.read(most=10, seconds=0) for _ in range(3)]
    assert [each.table for batch in batches for each in batch.changes] == ["visits"]
    files.acknowledge("heartbeat/2.csv")
    assert told_to(files) == NOON.replace(hour=11, minute=30)
    assert told_to(ChangeFiles(folder, folder.parent / "acknowledged", columns=columns)) == NOON.replace(hour=11, minute=30)


def test_a_time_that_is_still_to_come_is_no_heartbeat(folder: Path) -> None:
    (folder / "visits" / "1.csv").write_text(GOOD)
    beat(folder, 2, "2099-01-31T11:30:00Z")
    assert told_to(
        ChangeFiles(folder, folder.parent / "acknowledged", columns=ChangeColumns(heartbeat="heartbeat"))
    ) == NOON.replace(hour=8)


def test_what_was_dropped_while_the_folder_was_listed_is_told_before_the_time_of_a_later_heartbeat_counts(folder: Path) -> None:
    columns = ChangeColumns(heartbeat="heartbeat")
    files = ChangeFiles(folder, folder.parent / "acknowledged", columns=columns)
    beat(folder, 2, "2026-01-31T11:30:00Z")
    files.acknowledge(files.read(most=10, seconds=0).end)  # visits/ was listed before 1.csv was in it, heartbeat/ after
    (folder / "visits" / "1.csv").write_text(GOOD)
    assert not files.has_told(files.mark())
    assert len(files.read(most=10, seconds=0).changes) == 1


def test_a_service_that_never_rests_is_told_up_to_what_was_there_a_look_before(folder: Path) -> None:
    files, mark = stream(folder), "0"
    for hour in (8, 9):
        (folder / "visits" / f"{hour}.csv").write_text(HEADER + f"I,{hour},2026-01-31T{hour:02}:00:00Z,7,x\n")
        assert not files.has_told(mark)
        batch = files.read(most=10, seconds=0)
        assert files.read(most=10, seconds=0).changes == ()
        files.acknowledge(batch.end)
    assert files.has_told(mark)
    assert files.told_to(NOON) == NOON.replace(hour=8)
