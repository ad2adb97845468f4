"""How files are named, how long they are, and what none of them holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.architecture.source_tree import name_of, python_files, tracked_files

LONGEST = 500  # lines
NO_PROMISE = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
TEXT = {".py", ".sh", ".md", ".yaml", ".yml", ".toml", ".txt", ".xml", ".hcl", ".json", ".html", ".tf", ""}
# Written so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X)\b")
MACHINE = re.compile(r"(?<![\w.$}])/(?:[w]ork|[r]oot|[h]ome|[t]mp)/\w")
REGISTRY = re.compile(
    r"(?:[p]ypi\.org|[p]ythonhosted\.org|[r]epo1?\.maven\.|[m]aven\.org|[p]roxy\.golang\.org|[s]um\.golang\.org|[n]pmjs)"
)
LEFT_OUT = {"skip", "skipif", "xfail", "importorskip"}


def texts() -> list[tuple[str, str]]:
    files = [path for path in tracked_files() if path.suffix in TEXT and not name_of(path).startswith("tests/data/")]
    return [(name_of(path), path.read_text(encoding="utf-8")) for path in files]


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_is_longer_than_can_be_read_at_once() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_file_and_folder_is_named_for_what_it_promises() -> None:
    unnamed = [name_of(p) for p in tracked_files() if NO_PROMISE & {Path(part).stem for part in Path(name_of(p)).parts}]
    assert unnamed == []


def test_nothing_is_left_unfinished() -> None:
    assert places(UNFINISHED) == []


def test_no_machine_s_path_is_in_the_tree() -> None:
    assert places(MACHINE) == []


def test_no_package_registry_is_named_in_the_tree() -> None:
    assert places(REGISTRY) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE, "open('" + "/wo" + "rk/main')"),
        (MACHINE, "cd " + "/tm" + "p/x"),
        (REGISTRY, "https://py" + "pi.org/simple"),
        (UNFINISHED, "# TO" + "DO: later"),
    ],
)
def test_the_patterns_find_what_they_look_for(pattern: re.Pattern[str], line: str) -> None:
    assert pattern.search(line)


def test_no_test_is_left_out() -> None:
    left_out = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in LEFT_OUT and ast.unparse(node).startswith(("pytest.", "unittest."))
    ]
    assert left_out == []


def test_every_python_file_says_what_it_is_for() -> None:
    silent = [
        name_of(path)
        for path in python_files()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Catches whatever happens, not one thing that is expected."""
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException", "WardlakeError"}


def deals_with_it(handler: ast.ExceptHandler) -> bool:
    """Raises, or does something with what it caught."""
    inner = [node for line in handler.body for node in ast.walk(line)]
    return any(isinstance(node, ast.Raise) or (isinstance(node, ast.Name) and node.id == handler.name) for node in inner)


def test_no_exception_is_swallowed() -> None:
    swallowed = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("lib", "jobs", "airflow_dags")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and is_broad(node) and not deals_with_it(node)
    ]
    assert swallowed == []


def test_the_code_has_no_stubs() -> None:
    stubs = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("lib", "jobs", "airflow_dags")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("NotImplementedError")
    ]
    assert stubs == []
