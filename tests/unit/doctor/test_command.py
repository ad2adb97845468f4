"""`wardlake doctor`: every row is shown, whatever is wrong with another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.servers.processes import ROOT
from tests.unit.settings.test_load import write

from wardlake.cli.context import doctor_of
from wardlake.cli.program import main
from wardlake.model.errors import KeysUnavailable


def whole(root: Path, **files: str) -> Path:
    for folder in ("detection", "disclosure", "surrogates"):
        shutil.copytree(ROOT / "conf" / folder, root / "conf" / folder)
    suite = "tables: {patients: {columns: {id: string}}}\n"
    suites = {f"../expectations/clinic/{side}.yaml": suite for side in ("source", "output")}
    return write(root, {**suites, **{name.replace("__", "/") + ".yaml": text for name, text in files.items()}})


def told(conf: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the rows by name."""
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--json", "--conf", str(conf), "--lake", str(conf.parent / "lake"), *flags])
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(capsys.readouterr().out)["checks"]:
        rows.setdefault(row["name"], []).append(row)
    assert "Java" in rows, "the machine's rows are shown whatever the configuration says"
    assert isinstance(left.value.code, int)
    return left.value.code, rows


def test_a_mistake_elsewhere_in_the_configuration_is_a_row_beside_those_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = told(whole(tmp_path, sources__clinic="colour: blue\n"), capsys)
    [row] = rows["Configuration"]
    assert (code, row["state"]) == (2, "missing")
    assert "conf/sources/clinic.yaml" in row["detail"]
    assert "wardlake conf check --env embedded" in row["remedy"]
    assert "Token keys" in rows


def test_each_mistake_of_the_environments_file_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = told(whole(tmp_path, environments__embedded="name: embedded\ncolour: blue\nsize: 7\n"), capsys)
    assert code == 2
    assert [row["state"] for row in rows["Environment"]] == ["missing", "missing"]
    assert "conf/environments/embedded.yaml:2" in rows["Environment"][0]["detail"]


def test_an_environment_that_is_not_there_names_those_that_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = told(whole(tmp_path), capsys, "--env", "production")
    assert code == 2
    assert "embedded" in rows["Environment"][0]["remedy"]


def test_a_variable_that_is_not_set_is_a_row_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WARDLAKE_TEST_DSN", raising=False)
    conf = whole(tmp_path, environments__embedded="name: embedded\nregistry: {kind: postgres, dsn: env:WARDLAKE_TEST_DSN}\n")
    code, rows = told(conf, capsys)
    assert code == 2
    assert rows["Secret"][0]["remedy"] == "provide env:WARDLAKE_TEST_DSN"
    assert rows["Token keys"][0]["state"] == "optional-missing"


def test_no_configuration_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = told(tmp_path / "nowhere" / "conf", capsys)
    assert (code, rows["Configuration"][0]["state"]) == (2, "missing")


def test_a_whole_environment_of_a_whole_checkout_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = told(ROOT / "conf", capsys, "--lake", str(tmp_path / "lake"))
    assert code == 0
    assert rows["Configuration"][0]["state"] == "ok"
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("wardlake doctor", "wardlake doctor --env cluster"),
        ("See it (`wardlake doctor`), again", "See it (`wardlake doctor --env cluster`), again"),
        ("wardlake doctor --env NAME, again", "wardlake doctor --env cluster, again"),
        ("wardlake doctor --env other", "wardlake doctor --env other"),
        ("wait", "wait"),
    ],
)
def test_errors_that_send_to_the_doctor_name_the_environment(said: str, shown: str) -> None:
    with pytest.raises(KeysUnavailable) as problem, doctor_of("cluster"):
        raise KeysUnavailable("The vault does not answer.", next_step=said)
    assert problem.value.next_step == shown
