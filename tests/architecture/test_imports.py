"""Who may import whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.source_tree import ROOT, imported_modules, name_of, python_files

OUTSIDE_WORLD = {"boto3", "botocore", "hvac", "psycopg", "psycopg2", "redis", "great_expectations", "delta", "minio", "smtplib"}
OUTSIDE_WORLD |= {"requests", "trino"}
STANDARD_LIBRARY = set(sys.stdlib_module_names)


def importers_of(packages: set[str], files: list[Path]) -> dict[str, list[str]]:
    found = {name_of(path): sorted({m for m in imported_modules(path) if m.split(".")[0] in packages}) for path in files}
    return {path: modules for path, modules in found.items() if modules}


def test_the_layers_hold() -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_only_adapters_import_what_talks_to_the_outside_world() -> None:
    files = [path for path in python_files("lib", "jobs") if not name_of(path).startswith("lib/wardlake/adapters/")]
    assert importers_of(OUTSIDE_WORLD, files) == {}


def test_the_model_imports_the_standard_library_alone() -> None:
    foreign = {
        name_of(path): module
        for path in python_files("lib/wardlake/model")
        for module in imported_modules(path)
        if module.split(".")[0] not in STANDARD_LIBRARY and not module.startswith("wardlake.model")
    }
    assert foreign == {}


def test_the_scheduler_s_files_import_the_plan_and_nothing_heavy() -> None:
    allowed = STANDARD_LIBRARY | {"airflow", "plan_to_dag"}
    foreign = {
        name_of(path): module
        for path in python_files("airflow_dags")
        for module in imported_modules(path)
        if module.split(".")[0] not in allowed and not module.startswith(("wardlake.model.", "wardlake.pipelines."))
    }
    assert foreign == {}


def test_no_test_replaces_a_part_by_a_mock() -> None:
    assert importers_of({"mock", "moto", "pytest_mock"}, python_files("tests")) == {}
    assert [name_of(p) for p in python_files("tests") if "unittest.mock" in set(imported_modules(p))] == []
