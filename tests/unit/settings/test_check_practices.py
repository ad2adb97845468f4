"""Own codes of a source for the marts' value sets: taken by name, and refused with file and line where they do not fit."""

from __future__ import annotations

from pathlib import Path

from tests.unit.settings.test_load import load, mistakes

from wardlake.model.practices import OwnCodes

SOURCE = """\
name: clinic
kind: csv
location: data/clinic
schema_version: "1"
tables:
  visits: {primary_key: [id], types: {id: string, practice: string}}
"""
PRACTICES = """\
name: clinic
practice_column: practice
capture: {kind: files, folder: dropped}
value_sets:
"""
FITTING = (
    PRACTICES
    + """\
  diabetes: {add: ["E11.9"]}
  advanced_illness: {replace: ["F03.90"]}
"""
)
UNFIT = (
    PRACTICES
    + """\
  diabetis: {add: ["E11.9"]}
  pregnancy: {add: ["O09"], replace: ["O10"]}
  dialysis: {}
  mammography: {add: ["77067 "]}
  colonoscopy: {add: [45378]}
"""
)
CLASSIFICATION = "source: clinic\nprofile: expert\ntoken_mode: keyed\ntables: {}\n"


def test_own_codes_of_a_value_set_are_taken(tmp_path: Path) -> None:
    settings = load(tmp_path, sources__clinic=SOURCE, classification__clinic=CLASSIFICATION, practices__clinic=FITTING)
    assert settings.practices_of("clinic").value_sets == {
        "diabetes": OwnCodes(add=("E11.9",)),
        "advanced_illness": OwnCodes(replace=("F03.90",)),
    }


def test_own_codes_of_a_value_set_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    given = {"sources__clinic": SOURCE, "classification__clinic": CLASSIFICATION}
    [said] = mistakes(tmp_path, **given, practices__clinic=UNFIT)
    assert said.startswith("conf/practices/clinic.yaml:9: value_sets.colonoscopy.add.0: ")
    said_of = mistakes(tmp_path, **given, practices__clinic=UNFIT.replace("  colonoscopy: {add: [45378]}\n", ""))
    assert [each.removeprefix("conf/practices/clinic.yaml:") for each in said_of] == [
        "5: value_sets.diabetis: no such value set. Near: diabetes, panel_diabetes, dialysis",
        "6: value_sets.pregnancy: either codes to add or codes to replace all with",
        "7: value_sets.dialysis: either codes to add or codes to replace all with",
        "8: value_sets.mammography: a code is empty, or has blanks around it",
    ]
