"""The policy folder: replaced as a whole, kept by hash, written by nobody else."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
from pathlib import Path

import pytest

from wardlake.adapters.trino_policy_files import TrinoPolicyFiles
from wardlake.model.errors import ConfigurationError, StorageUnavailable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir(mode=0o750)
    return made


def test_what_was_written_is_read_and_every_version_is_kept(folder: Path) -> None:
    files = TrinoPolicyFiles(folder)
    assert (files.read().rules, files.read().groups) == (b"", b"")
    for rules in (b"{}", b"[]"):
        files.write_rules(rules)
        kept = folder / "versions" / f"rules-{hashlib.sha256(rules).hexdigest()}.json.gz"
        assert gzip.decompress(kept.read_bytes()) == rules
    files.write_groups(b"g:ann\n")
    found = files.read()
    assert (found.rules, found.groups, found.ours) == (b"[]", b"g:ann\n", True)
    assert len(list((folder / "versions").iterdir())) == 3
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.*") if path.is_file()} == {0o640}
    assert not [path for path in folder.rglob("*.new")]


@pytest.mark.parametrize("name", ["rules.json", "groups.txt"])
def test_a_file_that_somebody_else_changed_or_removed_is_not_ours(folder: Path, name: str) -> None:
    files = TrinoPolicyFiles(folder)
    files.write_rules(b"{}")
    files.write_groups(b"g:ann\n")
    (folder / name).write_bytes(b"changed")
    assert not files.read().ours
    (folder / name).unlink()
    assert not files.read().ours


def test_a_reader_finds_the_old_bytes_or_the_new_ones(folder: Path) -> None:
    files, versions = TrinoPolicyFiles(folder), [bytes([65 + number]) * 300_000 for number in range(20)]
    files.write_rules(versions[0])
    done, torn = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            body = (folder / "rules.json").read_bytes()
            if body not in versions:
                torn.append(len(body))

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions:
        files.write_rules(version)
    done.set()
    reader.join()
    assert torn == []


@pytest.mark.parametrize("mode", [0o770, 0o757, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(ConfigurationError, match="written to by others"):
        TrinoPolicyFiles(folder).write_rules(b"{}")
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_or_full_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(StorageUnavailable, match="ENOENT") as told:
        TrinoPolicyFiles(tmp_path / "nowhere").write_rules(b"{}")
    assert told.value.which == (str(tmp_path / "nowhere"),)
    os.mkfifo(folder / "versions")
    files = TrinoPolicyFiles(folder)
    with pytest.raises(StorageUnavailable):
        files.write_groups(b"g:ann\n")
    assert (files.read().groups, files.read().ours) == (b"g:ann\n", False)  # what closes has closed, and is written again


def test_a_link_left_in_the_way_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (folder / ".rules.json.new").symlink_to(tmp_path / "elsewhere")
    TrinoPolicyFiles(folder).write_rules(b"{}")
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"
