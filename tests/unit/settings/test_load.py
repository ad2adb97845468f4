"""Configuration: validated, unknown keys refused, every mistake at once with file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from wardlake.model.errors import ConfigurationError
from wardlake.model.treatments import IdentifierKind, Verdict
from wardlake.settings.load import Settings, load_environment, load_settings

TODAY = date(2026, 1, 31)
ENVIRONMENT = "name: embedded\n"
SOURCE = """\
name: clinic
kind: csv
location: data/clinic
schema_version: "1"
patients: patients
tables:
  patients: {primary_key: [id], patient: id}
  visits:
    primary_key: [id]
    patient: patient_id
    references: [{columns: [patient_id], table: patients, to: [id]}]
"""
CLASSIFICATION = """\
source: clinic
profile: expert
token_mode: keyed
tables:
  patients:
    id: {sensitive: {rule: token, domain: patient}, kind: unique_code}
    sex: safe
    photo: {blocked: true, reason: full face}
"""


def write(root: Path, files: dict[str, str]) -> Path:
    base = {
        "environments/embedded.yaml": ENVIRONMENT,
        "sources/clinic.yaml": SOURCE,
        "classification/clinic.yaml": CLASSIFICATION,
    }
    for name, text in {**base, **files}.items():
        path = root / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return root / "conf"


def load(root: Path, **files: str) -> Settings:
    named = {name.replace("__", "/") + ".yaml": text for name, text in files.items()}
    return load_settings(write(root, named), "embedded", today=TODAY)


def mistakes(root: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(root, **files)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_right_configuration_becomes_the_models_values(tmp_path):
    settings = load(tmp_path)
    source = settings.source("clinic")
    decisions = settings.classification("clinic").tables["patients"]
    assert source.tables["visits"].references[0].table == "patients"
    assert source.tables["visits"].name == "visits"
    assert source.location == str(tmp_path / "data/clinic")
    assert decisions["id"].rule.domain == "patient"
    assert decisions["id"].kind is IdentifierKind.UNIQUE_CODE
    assert decisions["sex"].verdict is Verdict.SAFE
    assert decisions["photo"].verdict is Verdict.BLOCKED


def test_an_unknown_key_is_refused_with_its_line(tmp_path):
    found = mistakes(tmp_path, sources__clinic=SOURCE + "colour: blue\n")
    assert found == ["conf/sources/clinic.yaml:12: colour: no such key here"]


def test_an_unknown_key_of_a_rule_is_refused_with_its_line(tmp_path):
    found = mistakes(tmp_path, classification__clinic=CLASSIFICATION.replace("domain: patient}", "domain: patient, salt: x}"))
    assert found == ["conf/classification/clinic.yaml:6: tables.patients.id.sensitive.token.salt: no such key here"]


def test_an_unknown_rule_is_refused(tmp_path):
    found = mistakes(tmp_path, classification__clinic=CLASSIFICATION.replace("rule: token", "rule: scramble"))
    assert len(found) == 1
    assert found[0].startswith("conf/classification/clinic.yaml:6: ")


def test_a_misspelt_verdict_is_refused(tmp_path):
    found = mistakes(tmp_path, classification__clinic=CLASSIFICATION.replace("sex: safe", "sex: save"))
    assert found[0].startswith("conf/classification/clinic.yaml:7: ")


def test_every_mistake_of_every_file_is_reported_at_once(tmp_path):
    found = mistakes(
        tmp_path,
        sources__clinic=SOURCE.replace("kind: csv", "kind: papyrus").replace("location: data/clinic\n", ""),
        environments__embedded="name: embedded\nretention: {audit_years: many}\n",
        classification__clinic=CLASSIFICATION.replace("profile: expert", "profile: trust-me"),
    )
    assert {line.split(":")[0] for line in found} == {
        "conf/sources/clinic.yaml",
        "conf/environments/embedded.yaml",
        "conf/classification/clinic.yaml",
    }
    assert len(found) == 4


def test_a_key_written_twice_is_refused(tmp_path):
    found = mistakes(tmp_path, classification__clinic=CLASSIFICATION + "    sex: blocked\n")
    assert found[0].startswith("conf/classification/clinic.yaml:9: not valid YAML")


def test_a_mistake_never_quotes_what_the_file_holds(tmp_path):
    found = mistakes(tmp_path, environments__embedded="name: embedded\nretention: {audit_years: hunter2}\n")
    assert "hunter2" not in "".join(found)


def test_a_reference_to_a_table_that_is_not_declared_is_refused(tmp_path):
    found = mistakes(tmp_path, sources__clinic=SOURCE.replace("table: patients, to", "table: people, to"))
    assert found == [
        "conf/sources/clinic.yaml:11: visits: refers to a table that is not declared: people",
    ]


def test_a_study_without_a_legal_basis_is_refused(tmp_path):
    found = mistakes(tmp_path, sources__clinic=SOURCE + "retention: study\n")
    assert found == ["conf/sources/clinic.yaml:12: retention `study` needs a legal_basis"]


def test_an_agreement_that_ran_out_stops_what_is_published_under_it_and_nothing_else(tmp_path):
    agreement = """\
        name: uni
        recipient: University
        purpose: method research
        signed_on: 2024-01-01
        expires_on: 2025-01-01
        document_sha256: "00"
        """
    under_it = "agreement: uni\n" + CLASSIFICATION
    settings = load(tmp_path, agreements__uni=agreement, classification__clinic=under_it, classification__other=CLASSIFICATION)
    settings.require_agreement("other")
    with pytest.raises(ConfigurationError, match="has run out") as refused:
        settings.require_agreement("clinic")
    assert [str(mistake) for mistake in refused.value.mistakes] == [
        "conf/classification/clinic.yaml:1: agreement uni ran out on 2025-01-01"
    ]


def test_the_audit_lies_in_no_storage_class_that_must_be_thawed(tmp_path):
    kept = "retention: {audit_storage_class: GLACIER_IR}\n"
    assert load(tmp_path, environments__embedded=ENVIRONMENT + kept).environment.retention.audit_storage_class == "GLACIER_IR"
    (refused,) = mistakes(tmp_path, environments__embedded=ENVIRONMENT + kept.replace("_IR", ""))
    assert refused.startswith("conf/environments/embedded.yaml:2: retention.audit_storage_class")


def test_one_environment_is_read_whatever_the_rest_says(tmp_path):
    conf = write(tmp_path, {"classification/clinic.yaml": "no: classification\n", "environments/other.yaml": "nor: this\n"})
    environment, root = load_environment(conf, "embedded")
    assert (environment.name, root) == ("embedded", tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        load_environment(conf, "other")
    assert all(mistake.file == "conf/environments/other.yaml" for mistake in refused.value.mistakes)
    for name in ("nowhere", "../environments/embedded"):
        with pytest.raises(ConfigurationError, match="1 mistake"):
            load_environment(conf, name)


def test_an_agreement_that_is_not_on_record_is_refused(tmp_path):
    found = mistakes(tmp_path, classification__clinic="agreement: uni\n" + CLASSIFICATION)
    assert found == ["conf/classification/clinic.yaml:1: no agreement uni is on record in agreements/"]


def test_an_environment_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="no such environment"):
        load_settings(write(tmp_path, {}), "production", today=TODAY)


def test_an_environment_is_a_name_and_no_path(tmp_path):
    with pytest.raises(ConfigurationError, match="no such environment"):
        load_settings(write(tmp_path, {}), "../environments/embedded", today=TODAY)


def test_an_environment_that_does_not_exist_is_named_beside_other_mistakes(tmp_path):
    conf = write(tmp_path, {"sources/clinic.yaml": SOURCE + "colour: blue\n"})
    with pytest.raises(ConfigurationError) as caught:
        load_settings(conf, "production", today=TODAY)
    assert {mistake.file for mistake in caught.value.mistakes} == {
        "conf/sources/clinic.yaml",
        "conf/environments/production.yaml",
    }


def test_a_source_can_be_read_from_another_folder(tmp_path):
    settings = load(tmp_path)
    assert settings.source(f"clinic={tmp_path}/other").location == f"{tmp_path}/other"


def test_an_unknown_source_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigurationError, match="clinic"):
        load(tmp_path).source("clinique")


def test_a_role_that_there_is_not_is_refused_with_its_line(tmp_path: Path) -> None:
    environment = "name: embedded\nidentity:\n  kind: operating-system\n  roles: {anna: [doctor]}\n"
    (said,) = mistakes(tmp_path, environments__embedded=environment)
    assert said.startswith("conf/environments/embedded.yaml:4:") and "steward" in said


def test_a_warehouse_is_read_and_its_unknown_and_missing_keys_are_refused(tmp_path: Path) -> None:
    warehouse = (
        "warehouse: {url: https://trino.example, user: wardlake, password: env:TRINO, catalog: lake, policies: /policies,"
        " marts: local:///marts}\n"
    )
    found = load(tmp_path, environments__embedded=ENVIRONMENT + warehouse).environment.warehouse
    assert found is not None
    assert (found.user, found.refresh_seconds, found.kind) == ("wardlake", 5.0, "trino")
    wrong = warehouse.replace("catalog: lake", "catalogue: lake")
    said = mistakes(tmp_path, environments__embedded=ENVIRONMENT + wrong)
    assert sorted(each.partition(": ")[2] for each in said) == [
        "warehouse.catalog: this key is required",
        "warehouse.catalogue: no such key here",
    ]
