"""Files that are well formed and do not agree with their profile or with each other: refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.settings.test_load import CLASSIFICATION, load

from wardlake.model.errors import ConfigurationError
from wardlake.settings.check import check_settings

VISITS = """\
  visits:
    patient_id: {sensitive: {rule: token, domain: patient}}
    seen_at: {sensitive: {rule: date_shift, days: 30}}
    left_at: {sensitive: {rule: date_shift, days: 60}}
"""


def refusals(root: Path, classification: str) -> list[str]:
    settings = load(root, classification__clinic=classification)
    with pytest.raises(ConfigurationError) as refused:
        check_settings(settings)
    return [str(mistake) for mistake in refused.value.mistakes]


def test_files_that_agree_are_taken(tmp_path: Path) -> None:
    check_settings(load(tmp_path))


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
