"""`wardlake conf check`: every mistake of every file at once, also of the suites that sources are held to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.servers.processes import ROOT
from tests.unit.settings.test_check import VISITS
from tests.unit.settings.test_load import CLASSIFICATION, SOURCE, TODAY, write

from wardlake.cli.program import main
from wardlake.model.errors import ConfigurationError
from wardlake.settings.check import check_whole
from wardlake.settings.knowledge import load_knowledge

SUITE = "tables: {patients: {columns: {id: string}}}\n"


def whole(root: Path, **files: str) -> Path:
    """A folder with everything that a run reads, changed by `files`."""
    for folder in ("detection", "disclosure", "surrogates"):
        shutil.copytree(ROOT / "conf" / folder, root / "conf" / folder)
    suites = {f"../expectations/clinic/{side}.yaml": SUITE for side in ("source", "output")}
    return write(root, {**suites, **{name.replace("__", "/") + ".yaml": text for name, text in files.items()}})


def mistakes(conf: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        check_whole(conf, "embedded", today=TODAY)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_whole_configuration_is_taken(tmp_path: Path) -> None:
    assert set(check_whole(whole(tmp_path), "embedded", today=TODAY).sources) == {"clinic"}


def test_what_is_shipped_is_whole() -> None:
    assert check_whole(ROOT / "conf", "embedded", today=TODAY).sources


def test_mistakes_of_form_agreement_knowledge_and_suites_are_reported_at_once(tmp_path: Path) -> None:
    conf = whole(
        tmp_path,
        environments__embedded="name: embedded\ncolour: blue\n",
        classification__clinic=CLASSIFICATION + VISITS,
        disclosure__residue="a: b\n",
        disclosure__shared_days="a: b\n",
        detection__names="not_first: [a]\n",
        detection__patterns="patterns: 7\n",
    )
    (conf / "surrogates" / "cities.txt").unlink()
    (tmp_path / "expectations" / "clinic" / "source.yaml").unlink()
    (tmp_path / "expectations" / "clinic" / "output.yaml").write_text("tables: {patients: {colour: blue}}\n")
    found = mistakes(conf)
    assert {line.split(":")[0] for line in found} == {
        "conf/environments/embedded.yaml",
        "conf/classification/clinic.yaml",
        "conf/disclosure/residue.yaml",
        "conf/disclosure/shared_days.yaml",
        "conf/detection/names.yaml",
        "conf/detection/patterns.yaml",
        "conf/surrogates/cities.txt",
        "conf/sources/clinic.yaml",
        "expectations/clinic/output.yaml",
    }
    assert any("expectations/clinic/source.yaml is missing" in line for line in found)


def test_a_classification_is_held_to_its_profile_though_another_file_is_wrong(tmp_path: Path) -> None:
    found = mistakes(whole(tmp_path, classification__clinic=CLASSIFICATION + VISITS, detection__evidence="7\n"))
    assert any("visits.left_at" in line for line in found)
    assert "conf/detection/evidence.yaml:0: must hold a mapping of keys" in found


def test_a_source_that_refers_to_no_table_hides_no_other_mistake(tmp_path: Path) -> None:
    found = mistakes(
        whole(
            tmp_path,
            sources__clinic=SOURCE.replace("table: patients, to", "table: people, to"),
            classification__clinic=CLASSIFICATION + VISITS,
        )
    )
    assert any("not declared: people" in line for line in found)
    assert any("visits.left_at" in line for line in found)


@pytest.mark.parametrize("text", ["tables: 7\n", "tables: {patients: 7}\n", "tables: {patients: {rows: 7}}\n", "- 7\n", ": :\n"])
def test_a_suite_of_another_form_is_a_mistake_and_no_crash(tmp_path: Path, text: str) -> None:
    conf = whole(tmp_path)
    (tmp_path / "expectations" / "clinic" / "output.yaml").write_text(text)
    assert [line.split(":")[0] for line in mistakes(conf)] == ["expectations/clinic/output.yaml"]


def test_a_source_without_contracts_on_purpose_needs_no_suite(tmp_path: Path) -> None:
    conf = whole(tmp_path, sources__clinic=SOURCE + "contracts: false\n")
    shutil.rmtree(tmp_path / "expectations")
    assert check_whole(conf, "embedded", today=TODAY).sources


def test_knowledge_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    conf = whole(tmp_path, disclosure__residue="a: b\n", disclosure__dev_password="a: b\n")
    with pytest.raises(ConfigurationError) as caught:
        load_knowledge(conf)
    assert {mistake.file for mistake in caught.value.mistakes} == {
        "conf/disclosure/residue.yaml",
        "conf/disclosure/dev_password.yaml",
    }


@pytest.mark.parametrize(
    ("prefix", "why"),
    [("97", "no three digits"), ("1970", "no three digits"), ("1.7", "no three digits"), ("036", "allowed and denied")],
)
def test_a_prefix_that_may_not_be_allowed_is_a_mistake(tmp_path: Path, prefix: str, why: str) -> None:
    listed = (ROOT / "conf" / "disclosure" / "zip3_allowed.yaml").read_text(encoding="utf-8")
    conf = whole(tmp_path, disclosure__zip3_allowed=listed.replace('"006"', f'"{prefix}"', 1))
    with pytest.raises(ConfigurationError) as caught:
        load_knowledge(conf)
    assert [(mistake.file, mistake.message) for mistake in caught.value.mistakes] == [
        ("conf/disclosure/zip3_allowed.yaml", f"{why}: ['{prefix}']")
    ]


def test_the_command_reports_them_and_leaves_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = whole(tmp_path, environments__embedded="name: embedded\ncolour: blue\n", disclosure__residue="a: b\n")
    with pytest.raises(SystemExit) as left:
        main(["conf", "check", "--conf", str(conf)])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "conf/environments/embedded.yaml:2" in said
    assert "conf/disclosure/residue.yaml" in said
