"""A refresh that is killed at every step, again and again, and gone on with ends as if it had never been killed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from tests.end_to_end.clinic import ROOT, Clinic, make_clinic

from wardlake.audit.archive import query_records
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditKind
from wardlake.pipelines.dev_refresh import PLAN

pytestmark = pytest.mark.timeout(1200)
STEPS = [step.name for step in PLAN.steps]
KILLED_IN_THE_MIDST = ("snapshot", "deidentify", "seal", "publish")
POINTS = [f"{when}:{step}" for step in STEPS for when in ("start", *(["midst"] if step in KILLED_IN_THE_MIDST else []), "end")]


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A run that was killed at every point, what could be seen after each, and its end; beside one that nobody killed."""

    clinic: Clinic
    undisturbed: Clinic
    answer: dict[str, Any]
    wanted: dict[str, Any]
    seen: list[dict[str, Any]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory, spark) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    undisturbed = make_clinic(folder / "undisturbed", spark)
    clinic = Clinic(folder=folder / "clinic", spark=spark)
    shutil.copytree(undisturbed.folder, clinic.folder)  # the same keys
    wanted = undisturbed.refresh()
    command = [sys.executable, "-m", "tests.end_to_end.refresh_and_die", str(clinic.folder), *POINTS]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1100, check=False)
    seen = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, (seen[-1:], ended.stderr[-3000:])
    return Killed(clinic=clinic, undisturbed=undisturbed, answer=clinic.refresh(), wanted=wanted, seen=seen)


def shape(clinic: Clinic) -> set[str]:
    """Every folder of the lake, and every file of ours, by what it is: names that chance gives are left out."""
    paths = (path.relative_to(clinic.lake) for path in clinic.lake.rglob("*"))
    return {re.sub(r"dev-\d{8}[\w-]*|part-[\w.-]+|\d{6,}|[0-9a-f-]{32,}", "*", str(path)) for path in paths}


def test_every_try_was_killed_where_it_should_be(killed: Killed) -> None:
    assert [(each["point"], each["ended"]) for each in killed.seen] == [(point, -signal.SIGKILL) for point in POINTS]


def test_the_same_rows_are_published_under_the_same_name(killed: Killed) -> None:
    assert killed.answer["tables"] == killed.wanted["tables"]
    assert killed.answer["dataset_id"] == killed.wanted["dataset_id"]


def test_it_was_one_run_all_along(killed: Killed) -> None:
    records = query_records(killed.clinic.wiring().audit_objects)
    runs = {record.event.run_id for record in records if record.event.run_id}
    published = [record for record in records if record.event.kind is AuditKind.DATASET_PUBLISHED]
    assert runs == {killed.answer["run_id"]}
    assert len(published) == 1


def test_nothing_half_made_was_ever_seen(killed: Killed) -> None:
    """No pointer before the publication; from then on one, to a dataset that is whole."""
    published = POINTS.index("end:publish")
    assert [each["current"] for each in killed.seen[:published]] == [None] * published
    for each in killed.seen[published:]:
        assert each["current"] == killed.answer["dataset_id"]
        assert each["whole"] == each["lying"] == [each["current"]]


def test_nothing_is_left_over(killed: Killed) -> None:
    assert shape(killed.clinic) == shape(killed.undisturbed)
    assert not list((killed.clinic.lake / "staging").glob("*"))


def test_the_audit_chain_is_whole(killed: Killed) -> None:
    wiring = killed.clinic.wiring()
    assert verify_archive(wiring.audit_objects, head=wiring.audit_sink.head()).ok
