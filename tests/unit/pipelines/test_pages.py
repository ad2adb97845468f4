"""A page names tables and columns and nothing else; the same run stopped by other columns pages again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from wardlake.adapters.once_pager import OncePager
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.adapters.system_clock import SystemClock
from wardlake.model.errors import UnclassifiedColumns
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import page
from wardlake.ports.pager import Page

HALT = UnclassifiedColumns("2 columns of clinic have no decision.", which=["visits.note: no decision; ssn in 3.00% of 120 cells"])


class Desk:
    """Keeps what it was paged with."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    def page(self, page: Page) -> None:
        self.pages.append(page)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def job(desk: Desk, tmp_path: Path) -> RefreshJob:
    pager = OncePager(desk, SqliteRegistry(tmp_path / "registry.db"), SystemClock())
    return cast(RefreshJob, SimpleNamespace(source=SimpleNamespace(name="clinic"), run_id="nightly-7", pager=pager))


def halt(job: RefreshJob, *columns: str) -> None:
    page(job, HALT, columns=columns, runbook="docs/runbooks/unclassified-columns.md")


def test_a_page_holds_names_and_neither_kinds_nor_rates_nor_counts(job: RefreshJob, desk: Desk) -> None:
    halt(job, "visits.note", "patients.nickname", "visits.note")
    assert desk.pages[0].lines == ("patients.nickname", "visits.note")
    assert not [said for said in (desk.pages[0].title, *desk.pages[0].lines) if "ssn" in said or "%" in said or "cells" in said]


def test_the_same_columns_page_once_and_others_of_the_same_run_again(job: RefreshJob, desk: Desk) -> None:
    halt(job, "visits.note", "patients.nickname")
    halt(job, "patients.nickname", "visits.note")
    halt(job, "visits.ward")
    assert [each.lines for each in desk.pages] == [("patients.nickname", "visits.note"), ("visits.ward",)]
