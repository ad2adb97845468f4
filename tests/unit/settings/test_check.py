"""Files that are well formed and do not agree with their profile or with each other: refused with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.servers.processes import ROOT
from tests.unit.settings.test_load import CLASSIFICATION, load

from wardlake.model.errors import ConfigurationError
from wardlake.settings.check import check_settings
from wardlake.settings.load import Settings

VISITS = """\
  visits:
    patient_id: {sensitive: {rule: token, domain: patient}}
    seen_at: {sensitive: {rule: date_shift, days: 30}}
    left_at: {sensitive: {rule: date_shift, days: 60}}
"""


def loaded(root: Path, **files: str) -> Settings:
    """The settings of a folder, with what names speak for."""
    (root / "conf" / "detection").mkdir(parents=True)
    shutil.copy(ROOT / "conf" / "detection" / "evidence.yaml", root / "conf" / "detection")
    return load(root, **files)


def refusals(root: Path, classification: str) -> list[str]:
    settings = loaded(root, classification__clinic=classification)
    with pytest.raises(ConfigurationError) as refused:
        check_settings(settings)
    return [str(mistake) for mistake in refused.value.mistakes]


def test_files_that_agree_are_taken(tmp_path: Path) -> None:
    check_settings(loaded(tmp_path))


def test_a_rule_that_the_profile_does_not_allow_is_refused_with_its_line(tmp_path: Path) -> None:
    harbour = CLASSIFICATION.replace("expert", "safe-harbor").replace("keyed", "random")
    [said] = refusals(tmp_path, harbour.replace("{blocked: true, reason: full face}", "{sensitive: {rule: free_text}}"))
    assert said.startswith("conf/classification/clinic.yaml:8: patients.photo: profile safe-harbor")


def test_date_shifts_of_one_patient_that_differ_are_refused_naming_both(tmp_path: Path) -> None:
    [said] = refusals(tmp_path, CLASSIFICATION + VISITS)
    assert said.startswith("conf/classification/clinic.yaml:12: visits.left_at:")
    assert "visits.seen_at" in said


def test_a_key_whose_ends_differ_is_refused(tmp_path: Path) -> None:
    [said] = refusals(
        tmp_path, CLASSIFICATION + VISITS.replace("domain: patient", "domain: member").replace("days: 60", "days: 30")
    )
    assert "visits.patient_id: reference to patients.id" in said


def test_a_bucket_for_what_its_name_calls_an_age_is_refused_under_safe_harbor(tmp_path: Path) -> None:
    harbour = CLASSIFICATION.replace("expert", "safe-harbor").replace("keyed", "random")
    photo = "    photo: {blocked: true, reason: full face}\n"
    aged = harbour.replace(photo, photo + "    AGE_AT_VISIT: {sensitive: {rule: bucket, width: 5}}\n")
    assert any("AGE_AT_VISIT" in said and "ages of 90 and over" in said for said in refusals(tmp_path, aged))
