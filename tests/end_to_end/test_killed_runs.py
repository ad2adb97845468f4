"""A run that is killed anywhere, and run again, ends as if it had never been killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.end_to_end.clinic import ROOT, Clinic, make_clinic

from wardlake.audit.archive import query_records
from wardlake.model.audit import AuditKind
from wardlake.model.zones import Zone
from wardlake.publish.pointer import read_pointer


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, spark) -> str:
    """The dataset that the clinic gives when nobody kills anything, under keys that the killed runs use too."""
    clinic = make_clinic(tmp_path_factory.mktemp("undisturbed"), spark)
    return clinic.refresh()["tables"]


def kill_at(clinic: Clinic, when: str) -> None:
    command = [sys.executable, "-m", "tests.end_to_end.refresh_and_die", str(clinic.folder), when]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=500, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]


def current(clinic: Clinic):
    wiring = clinic.wiring()
    return read_pointer(wiring.tables, wiring.layout, Zone.DEV, "clinic")


@pytest.mark.parametrize("when", ["staging", "report"])
def test_a_killed_run_goes_on_to_the_same_end(when, tmp_path, spark, undisturbed):
    clinic = make_clinic(tmp_path, spark)
    kill_at(clinic, when)
    seen_before = current(clinic)
    answer = clinic.refresh()
    wiring = clinic.wiring()
    published = [
        record
        for record in query_records(wiring.audit_objects, run_id=answer["run_id"])
        if record.event.kind is AuditKind.DATASET_PUBLISHED
    ]
    assert (seen_before is None) == (when == "staging")
    assert answer["tables"] == undisturbed
    assert current(clinic).dataset_id == answer["dataset_id"]
    assert len(published) == 1
    assert not list((clinic.lake / "staging").glob("*"))
    assert [path.name for path in (clinic.lake / "dev" / "clinic" / "datasets").iterdir()] == [answer["dataset_id"]]
