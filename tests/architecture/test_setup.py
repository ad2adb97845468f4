"""The set-up scripts, the Makefile and what the README says of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.architecture.source_tree import ROOT, name_of, tracked_files

SCRIPTS = [path for path in tracked_files() if path.suffix == ".sh" or name_of(path) == ".ci/run"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_a_script_is_well_formed(script: Path) -> None:
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_make_target_says_what_it_does() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+)", listed, re.MULTILINE)) == TARGETS


def test_every_make_command_of_the_documents_exists() -> None:
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    named = {(name_of(p), t) for p in pages for t in re.findall(r"(?:^|`)make ([a-z-]+)", p.read_text(), re.MULTILINE)}
    assert {(page, target) for page, target in named if target not in TARGETS} == set()


def test_every_link_between_documents_leads_somewhere() -> None:
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    links = [(p, t) for p in pages for t in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", p.read_text()) if "://" not in t]
    assert [f"{name_of(page)}: {target}" for page, target in links if not (page.parent / target).exists()] == []


def test_ci_fails_where_the_records_are_absent(tmp_path: Path) -> None:
    (ci := tmp_path / "checkout" / ".ci").mkdir(parents=True)
    (ci / "run").write_text((ROOT / ".ci" / "run").read_text())
    ended = subprocess.run(["sh", ci / "run"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "shared/data" in ended.stderr
