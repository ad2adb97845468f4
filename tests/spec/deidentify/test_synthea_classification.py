"""The decisions on Synthea: every column, both profiles, keys that join."""

from __future__ import annotations

import crypt
from dataclasses import replace
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.spec.deidentify.conftest import CONF

from wardlake.deidentify.checks.foreign_keys import check_references, order_tables
from wardlake.deidentify.checks.profiles import check_profile
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import (
    Classification,
    DateShift,
    Decision,
    Generalise,
    Profile,
    Surrogate,
    Token,
    TokenMode,
    Verdict,
)
from wardlake.settings.classification import ClassificationFile
from wardlake.settings.load import name_tables
from wardlake.settings.validation import adapter_for


def read(path: str) -> Any:
    return YAML(typ="safe").load((CONF / path).read_text())


@pytest.fixture(scope="module")
def source() -> SourceSpec:
    spec: SourceSpec = adapter_for(SourceSpec).validate_python(read("sources/synthea.yaml"))
    return name_tables(spec)


@pytest.fixture(scope="module", params=["synthea", "synthea-safe-harbor"])
def classification(request: Any) -> Classification:
    file: ClassificationFile = adapter_for(ClassificationFile).validate_python(read(f"classification/{request.param}.yaml"))
    return file.decisions()


def test_every_column_of_every_table_has_a_decision_and_no_other_is_named(source: SourceSpec, classification: Any) -> None:
    declared = {name: list(table.types) for name, table in source.tables.items()}
    assert {name: list(decisions) for name, decisions in classification.tables.items()} == declared


def test_the_profile_allows_every_decision_and_every_key_joins(source: SourceSpec, classification: Classification) -> None:
    assert check_profile(classification) == []
    assert check_references(source, classification) == []
    patients = {**classification.tables["patients"], "Id": Decision(verdict=Verdict.SAFE)}
    broken = replace(classification, tables={**classification.tables, "patients": patients})
    assert len(check_references(source, broken)) == 15  # one for each key that names a patient


def test_the_two_are_of_the_profiles_they_are_named_for(classification: Classification) -> None:
    expected = {Profile.EXPERT: TokenMode.KEYED, Profile.SAFE_HARBOR: TokenMode.RANDOM}
    assert classification.token_mode is expected[classification.profile]


def test_the_traps_are_closed(classification: Classification) -> None:
    tables = classification.tables
    assert isinstance(tables["payer_transitions"]["OWNER_NAME"].rule, Surrogate)
    assert isinstance(tables["providers"]["NAME"].rule, Surrogate)
    assert tables["claims_transactions"]["PATIENTINSURANCEID"].rule == tables["patients"]["Id"].rule == Token(domain="patient")
    assert {tables["imaging_studies"][c].rule for c in ("SERIES_UID", "INSTANCE_UID")} == {
        Token(domain="imaging_series"),
        Token(domain="imaging_instance"),
    }
    answers = tables["observations"]["VALUE"].rule  # the patient's street is written here too
    assert isinstance(answers, Generalise)
    assert not any(word[0].isdigit() and "times a week" not in word and "more" not in word for word in answers.to)
    ends = tables["claims_transactions"]["TODATE"].rule
    assert not isinstance(ends, DateShift) or ends.sentinels == ("1970-01-01T00:00:00Z",)


def test_patients_come_before_encounters_before_claims_before_their_lines(source: SourceSpec) -> None:
    order = [name for group in order_tables(source) for name in group]
    assert len(order) == 18
    places = [order.index(name) for name in ("patients", "encounters", "claims", "claims_transactions")]
    assert places == sorted(places)


def test_the_dev_password_opens_its_hash() -> None:
    conf = read("disclosure/dev_password.yaml")
    assert crypt.crypt(conf["password"], conf["hash"]) == conf["hash"]
    assert conf["hash"] in (CONF.parent / "docs" / "guide" / "dev-password.md").read_text()
