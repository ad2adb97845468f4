"""docs/promises.md names only tests and commands that exist, and claims nothing without one."""

from __future__ import annotations

import ast
import re
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.architecture.source_tree import ROOT

from wardlake.cli import main

PAGES = ("docs/promises.md", "docs/security-properties.md")
STATES = re.compile(r"^(holds|part: .+|not yet)$")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


class Row(NamedTuple):
    page: str
    line: int
    promise: str
    shown_by: tuple[str, ...]
    state: str


def read_rows(page: str, text: str) -> list[Row]:
    """The rows of every table whose last two columns are what shows it and the state."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or cells[-1] == "state" or set(cells[0]) <= set("- "):
            continue
        rows.append(Row(page, number, cells[0], tuple(re.findall(r"`([^`]+)`", cells[-2])), cells[-1]))
    return rows


ROWS = [row for page in PAGES for row in read_rows(page, (ROOT / page).read_text())]


@cache
def functions_of(file: Path) -> frozenset[str]:
    """Test functions of a file, methods as `Class::test`."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(found)


def names_a_test(reference: str) -> bool:
    file, _, name = reference.partition("::")
    return (ROOT / file).is_file() and (not name or name in functions_of(ROOT / file))


def command_exists(reference: str) -> bool:
    program, *words = reference.split()
    if program == "make":
        return set(words) <= set(TARGET.findall((ROOT / "Makefile").read_text()))
    return answers_help(tuple(words))


@cache
def answers_help(words: tuple[str, ...]) -> bool:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    return not ended.value.code


def test_every_test_named_exists() -> None:
    named = [(row, reference) for row in ROWS for reference in row.shown_by if reference.startswith("tests/")]
    assert [f"{row.page}:{row.line}: {reference}" for row, reference in named if not names_a_test(reference)] == []


def test_every_command_named_exists() -> None:
    named = [(row, reference) for row in ROWS for reference in row.shown_by if not reference.startswith("tests/")]
    assert [f"{row.page}:{row.line}: {reference}" for row, reference in named if not command_exists(reference)] == []


def test_nothing_is_claimed_that_nothing_shows() -> None:
    claimed = [f"{row.page}:{row.line}" for row in ROWS if bool(row.shown_by) != (row.state != "not yet")]
    assert claimed == []


def test_every_state_is_one_of_three() -> None:
    assert [f"{row.page}:{row.line}: {row.state}" for row in ROWS if not STATES.match(row.state)] == []


def test_the_pages_hold_promises() -> None:
    assert {row.page for row in ROWS} == set(PAGES)
    assert len(ROWS) > 200


@pytest.mark.parametrize("reference", ["tests/none.py::test_a", "tests/architecture/test_promises.py::test_that_is_not_there"])
def test_a_test_that_is_not_there_is_found_out(reference: str) -> None:
    assert not names_a_test(reference)


def test_a_command_that_is_not_there_is_found_out() -> None:
    assert not command_exists("make no-such-target")
    assert not command_exists("wardlake no-such-command")
