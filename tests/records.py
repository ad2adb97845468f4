"""The real records beside the project: tests that ask for `records` are left out where there are none, with one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "WARDLAKE_TEST_DATA"


def pytest_report_header() -> str:
    folder = os.environ.get(VARIABLE)
    return f"records: {folder}" if folder else f"records: {VARIABLE} is not set, tests on real records are left out"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get(VARIABLE):
        return
    left_out = [item for item in items if "records" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def records() -> Path:
    """The folder of the records. A variable that points nowhere is an error."""
    folder = Path(os.environ[VARIABLE])
    if not folder.is_dir():
        raise FileNotFoundError(f"{VARIABLE} names no folder")
    return folder
