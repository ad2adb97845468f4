"""The project's own files, as the architecture tests read them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("lib", "jobs", "airflow_dags", "tests")


def tracked_files() -> list[Path]:
    """Every file that a clone has or the next commit would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return sorted(ROOT / name for name in names if (ROOT / name).is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_files(*folders: str) -> list[Path]:
    """Python files under these folders of the project, or under all that hold code."""
    wanted = tuple(f"{folder}/" for folder in folders or CODE_FOLDERS)
    return [path for path in tracked_files() if path.suffix == ".py" and name_of(path).startswith(wanted)]


def imported_modules(path: Path) -> Iterator[str]:
    """The full name of every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
