"""`wardlake keys`: keys are made for names that are written down, and what lacks a key names the command that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.settings.test_load import CLASSIFICATION, write

from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.cli.program import main
from wardlake.model.errors import KeysUnavailable
from wardlake.pipelines.key_making import domains_of_file
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.tokens.keyring import open_ring

ROOT = Path(__file__).resolve().parents[3]
CREATE = "wardlake keys create --source S"


def sealed(folder: Path) -> SealedKeyFile:
    return SealedKeyFile(folder / "keys.json", folder / "master.key")


def test_keys_of_a_name_that_is_not_there_are_refused_and_none_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    with pytest.raises(SystemExit) as left:
        main(["keys", "create", "--source", "synthae", "--conf", str(ROOT / "conf"), "--lake", str(lake)])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "synthae" in said
    assert "synthea, synthea-safe-harbor" in said
    assert not lake.exists()


def test_the_keys_of_a_written_name_are_those_its_decisions_need(tmp_path: Path) -> None:
    conf = write(tmp_path, {"classification/clinic.yaml": CLASSIFICATION})
    assert "patient" in domains_of_file(load_settings(conf, "embedded", today=today()), "clinic")


def test_a_key_file_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable) as absent:
        sealed(tmp_path).reachable()
    assert absent.value.next_step == CREATE


def test_a_key_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys.json", tmp_path / "master.key")
    with pytest.raises(KeysUnavailable) as absent:
        sealed(tmp_path).latest("dev/patient")
    assert absent.value.next_step.startswith(CREATE)
    with pytest.raises(KeysUnavailable) as ring:
        open_ring(sealed(tmp_path), "dev", ["patient"])
    assert ring.value.next_step == CREATE
