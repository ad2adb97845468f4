"""The names of files that were told: one more writes one line, and what is gone takes no room for ever."""

from __future__ import annotations

from pathlib import Path

from wardlake.adapters.told_files import Content, Newest, ToldFiles

CONTENT = Content("12/1769846400000000000", "0123456789abcdef")


def names(*numbers: int) -> dict[str, Content]:
    return {f"visits/{number:06}.csv": CONTENT for number in numbers}


def test_one_more_writes_its_line_alone(tmp_path: Path) -> None:
    state = tmp_path / "told"
    files = ToldFiles(state)
    files.add(names(*range(500)))
    before = state.read_bytes()
    files.add(names(500))
    after = state.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert ToldFiles(state).files == names(*range(501))


def test_what_is_forgotten_is_written_no_more(tmp_path: Path) -> None:
    state = tmp_path / "told"
    files = ToldFiles(state)
    for each in range(3_000):
        files.add(names(each))
        files.forget([name for name in names(each - 10) if name in files.files])
    assert state.read_bytes().count(b"\n") < 1_100
    assert names(*range(2_990, 3_000)).items() <= ToldFiles(state).files.items()


def test_a_line_that_was_cut_off_is_of_a_file_that_is_told_again(tmp_path: Path) -> None:
    state = tmp_path / "told"
    ToldFiles(state).add(names(1, 2))
    state.write_bytes(state.read_bytes()[:-5])
    again = ToldFiles(state)
    assert again.files == names(1)
    again.add(names(3))
    assert ToldFiles(state).files == names(1, 3)


def test_any_name_is_kept_and_names_alone_are_read(tmp_path: Path) -> None:
    state = tmp_path / "told"
    state.write_text("visits/1.csv\n")
    odd = {"visits/two\nlines\u2028.csv": CONTENT}
    ToldFiles(state).add(odd)
    assert ToldFiles(state).files == {"visits/1.csv": Content(), **odd}
    assert Content().is_stamped("any")


def test_how_far_a_folder_went_outlives_its_files(tmp_path: Path) -> None:
    state = tmp_path / "told"
    files = ToldFiles(state)
    for each in range(1_500):
        files.add(names(each), {"visits": Newest(each, "2026-01-31T08:00:00+00:00")})
        files.forget([name for name in names(each - 1) if name in files.files])
    again = ToldFiles(state)
    assert again.newest == {"visits": Newest(1_499, "2026-01-31T08:00:00+00:00")}
    assert "visits/000000.csv" not in again.files
    assert state.read_bytes().count(b"\n") < 1_100
