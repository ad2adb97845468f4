"""The commands beside the refresh: what they find, what they answer, and what they leave behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.end_to_end.clinic import Clinic, Quiet, make_clinic, patients

from wardlake.adapters.system_identity import SystemIdentity
from wardlake.adapters.totp import STEP_SECONDS, code_at, time_step
from wardlake.audit.archive import query_records
from wardlake.classify.review import open_requests
from wardlake.model.audit import AuditKind
from wardlake.model.errors import ContractBroken, VerificationFailed
from wardlake.model.identity import Role
from wardlake.model.zones import Zone
from wardlake.pipelines.classification import check_source, new_check_id, parse_column, parse_decision, review_column
from wardlake.pipelines.key_making import rotate_keys
from wardlake.pipelines.refresh.job import RESIDUE, RefreshJob
from wardlake.pipelines.refresh.run import job_outside_a_run
from wardlake.pipelines.reidentification import ask, confirm, tell
from wardlake.pipelines.verification import describe_verification, publication_of, verify_one_snapshot, verify_published
from wardlake.ports.identity import IdentityProvider
from wardlake.publish.pointer import open_dataset
from wardlake.settings.load import Settings, load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring

ME = pwd.getpwuid(os.getuid()).pw_name
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def clinic(tmp_path: Path, spark: SparkSession) -> Clinic:
    return make_clinic(tmp_path, spark)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> tuple[Clinic, dict[str, Any]]:
    clinic = make_clinic(tmp_path_factory.mktemp("clinic"), spark)
    return clinic, clinic.refresh()


@pytest.fixture
def published(made: tuple[Clinic, dict[str, Any]], tmp_path: Path) -> Iterator[tuple[Clinic, dict[str, Any]]]:
    """The published clinic; what a test does to its lake is undone after."""
    clinic, answer = made
    shutil.copytree(clinic.lake, tmp_path / "kept")
    yield clinic, answer
    for path in sorted(clinic.lake.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(clinic.lake)
    shutil.copytree(tmp_path / "kept", clinic.lake)


def settings_of(clinic: Clinic) -> Settings:
    return load_settings(clinic.folder / "conf", clinic.environment, today=today())


def job_of(clinic: Clinic, kind: str) -> RefreshJob:
    wiring = clinic.wiring()
    name = new_check_id(wiring, kind)
    return job_outside_a_run(settings_of(clinic), wiring, source="clinic", classification="", run_id=name)


def raw_files(clinic: Clinic) -> list[Path]:
    """Files of raw tables and manifests of snapshots."""
    below = [path.relative_to(clinic.lake) for path in clinic.lake.rglob("*") if path.is_file()]
    return [path for path in below if path.parts[0] == "raw" or "snapshots" in path.parts]


# --- classify ----------------------------------------------------------------------------------------------------------


def test_a_check_answers_the_undecided_column_with_evidence_and_leaves_no_raw_data(clinic: Clinic) -> None:
    clinic.edit("classification/clinic.yaml", "    ssn: {sensitive: {rule: token, domain: ssn}, kind: ssn}\n", "")
    found = check_source(job_of(clinic, "check"))
    (row,) = found["unclassified"]
    assert (row["table"], row["column"]) == ("patients", "ssn")
    assert row["evidence"]["content"]["ssn"] == 1.0
    assert patients()[0]["ssn"] not in json.dumps(found)
    assert [each["evidence"]["path"] for each in open_requests(clinic.wiring().registry, "clinic")] == ["ssn"]
    assert raw_files(clinic) == []


def test_a_check_of_a_study_s_source_leaves_no_raw_data_either(clinic: Clinic) -> None:
    clinic.edit("sources/clinic.yaml", "kind: csv\n", "kind: csv\nretention: study\nlegal_basis: trial 7\n")
    assert check_source(job_of(clinic, "check"))["unclassified"] == []
    assert raw_files(clinic) == []


def test_a_check_that_fails_leaves_no_raw_data_either(clinic: Clinic) -> None:
    clinic.table("patients", [{**person, "birth_date": "not-a-day"} for person in patients()])
    with pytest.raises(ContractBroken):
        check_source(job_of(clinic, "check"))
    assert raw_files(clinic) == []


def test_a_reviewed_column_is_undecided_no_more(clinic: Clinic) -> None:
    clinic.edit("classification/clinic.yaml", "    ssn: {sensitive: {rule: token, domain: ssn}, kind: ssn}\n", "")
    decision = parse_decision("sensitive", {"rule": "token", "domain": "ssn"}, "ssn", "a number of a person")
    review_column(settings_of(clinic), clinic.wiring(), "clinic", parse_column("patients.ssn"), decision)
    text = (clinic.folder / "conf" / "classification" / "clinic.yaml").read_text()
    assert text.startswith("# the clinic's decisions\n")
    assert "sensitive: {rule: token, domain: ssn}\n      kind: ssn\n      reason: a number of a person\n" in text
    assert check_source(job_of(clinic, "check"))["unclassified"] == []


# --- snapshot verify ---------------------------------------------------------------------------------------------------


def test_a_snapshot_is_as_its_manifest_says_until_a_file_is_changed(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    assert verify_one_snapshot(clinic.wiring(), answer["snapshot_id"])["ok"]
    file = next(path for path in sorted((clinic.lake / "raw").rglob("*.parquet")) if "visits" in str(path))
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(bytes(body))
    with pytest.raises(VerificationFailed, match="visits") as failed:
        verify_one_snapshot(clinic.wiring(), answer["snapshot_id"])
    assert failed.value.exit_code == 23


# --- dev verify --------------------------------------------------------------------------------------------------------


def verify(clinic: Clinic, answer: dict[str, Any]) -> dict[str, Any]:
    job = job_of(clinic, "verify")
    return verify_published(job, publication_of(clinic.wiring(), answer["dataset_id"]), job.run_id)


def archived(clinic: Clinic, answer: dict[str, Any], name: str) -> Path:
    """The newest body of an archived object whose key ends so."""
    folder: Path = clinic.lake / "audit" / "objects" / "datasets" / answer["dataset_id"]
    return max(path for path in folder.rglob("body") if name in path.parent.name)


def change(body: Path, before: bytes, after: bytes) -> None:
    assert before in body.read_bytes()
    body.chmod(0o644)
    body.write_bytes(body.read_bytes().replace(before, after))


def test_a_published_dataset_passes_again_and_that_is_recorded(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    found = verify(clinic, answer)
    assert (found["read_from"], found["known_values_kept"], found["passed"]) == ("zone", True, True)
    records = query_records(clinic.wiring().audit_objects, dataset_id=answer["dataset_id"])
    assert records[-1].event.kind is AuditKind.DATASET_VERIFIED
    assert describe_verification(found).startswith("ok: ")
    assert "known values" not in describe_verification(found)


def test_it_passes_after_the_key_of_its_known_values_was_rotated(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    rotate_keys(clinic.wiring(), [RESIDUE])
    assert verify(clinic, answer)["known_values_kept"]


def test_it_is_said_that_known_values_are_no_longer_kept(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    shutil.rmtree(clinic.wiring().layout.known_values(answer["run_id"]))
    found = verify(clinic, answer)
    assert not found["known_values_kept"]
    assert "known values are no longer kept" in describe_verification(found)


@pytest.mark.parametrize("left", [[], ["patients"]])
def test_a_dataset_gone_from_dev_is_read_from_the_archive(published: tuple[Clinic, dict[str, Any]], left: list[str]) -> None:
    clinic, answer = published
    for path in Path(answer["path"]).iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = verify(clinic, answer)
    assert (found["read_from"], found["passed"]) == ("archive", True)


def test_a_changed_archived_file_is_found(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    shutil.rmtree(answer["path"])
    change(archived(clinic, answer, ".parquet"), b"PAR1", b"PAR2")
    with pytest.raises(VerificationFailed, match="missing or changed") as failed:
        verify(clinic, answer)
    assert failed.value.exit_code == 23


def test_an_archive_whose_manifest_was_written_anew_is_found(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, answer = published
    shutil.rmtree(answer["path"])
    change(archived(clinic, answer, "manifest.json"), b'"retain_until": "2', b'"retain_until": "3')
    with pytest.raises(VerificationFailed, match="not the one that was published"):
        verify(clinic, answer)


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def die() -> None:
    raise Killed


def test_a_later_run_over_the_same_rows_that_died_before_it_published_changes_nothing(
    published: tuple[Clinic, dict[str, Any]],
) -> None:
    clinic, answer = published
    with pytest.raises(Killed):
        replace(clinic, progress=Quiet(at={"publish": die})).refresh(fresh=True)
    shutil.rmtree(answer["path"])
    found = verify(clinic, answer)
    assert (found["read_from"], found["passed"]) == ("archive", True)


# --- reidentify --------------------------------------------------------------------------------------------------------


class SecondPerson(Wiring):
    """The same ports in another user's hands."""

    @cached_property
    def identity(self) -> IdentityProvider:
        return SystemIdentity(
            {"nobody": [Role.COMPLIANCE]},
            second_factors={"nobody": SECRET},
            used_codes=Path(self.layout.zone(Zone.RESTRICTED)) / "used-codes",
            user_id=lambda: pwd.getpwnam("nobody").pw_uid,
        )


def early_in_a_step(ports: Wiring) -> None:
    """So that a code of the step before is not one of two steps before by the time that it is looked at."""
    while ports.clock.now().timestamp() % STEP_SECONDS > 20:
        time.sleep(0.5)


def test_two_people_find_out_who_a_token_is_on_one_machine(published: tuple[Clinic, dict[str, Any]]) -> None:
    clinic, _ = published
    (clinic.folder / "totp").write_text(SECRET)
    factors = f"  kind: operating-system\n  second_factors: {{{ME}: 'file:{clinic.folder}/totp'}}\n"
    clinic.edit("environments/embedded.yaml", "  kind: operating-system\n", factors)
    mine = clinic.wiring()
    other = SecondPerson(environment=mine.environment, lake=mine.lake, root=mine.root, session=mine.session)
    paths = open_dataset(mine.tables, mine.layout, Zone.DEV, "clinic")
    token = str(mine.tables.read(paths["patients"]).first()["id"])  # type: ignore[index]
    asked, wrong = (ask(mine, token=token, purpose="dev", domain=name, reason="report 7") for name in ("patient", "nowhere"))
    early_in_a_step(other)
    confirm(other, asked, code_at(SECRET, time_step(other.clock.now()) - 1))
    confirm(other, wrong, code_at(SECRET, time_step(other.clock.now())))
    early_in_a_step(mine)
    with pytest.raises(ContractBroken, match="no mapping"):
        tell(mine, wrong, code_at(SECRET, time_step(mine.clock.now()) - 1))
    identifier = tell(mine, asked, code_at(SECRET, time_step(mine.clock.now())))
    assert identifier in {person["id"] for person in patients()}
    told = [r for r in query_records(mine.audit_objects) if r.event.kind is AuditKind.REIDENTIFICATION_REVEALED]
    assert len(told) == 1  # the one that could not be answered was not spent
