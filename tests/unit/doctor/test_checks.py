"""What the doctor says of a machine, given what was found there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wardlake.doctor import State, render_checks
from wardlake.doctor.checks import FREE_BYTES, Check, Facts, judge_facts

WHOLE = Facts(
    python=(3, 11),
    java="17.0.15",
    spark="4.2.0",
    jars_wanted={"delta.jar": "aa"},
    jars_found={"delta.jar": "aa"},
    postgres="15",
    pgaudit=True,
    openbao="2.7.2",
    minio="v0",
    airflow="3.3.2",
    trino="476",
    keycloak="26.4.0",
    lake=".lake",
    lake_writable=True,
    free_bytes=FREE_BYTES,
)


def check(name: str, **found: object) -> Check:
    return next(check for check in judge_facts(replace(WHOLE, **found)) if check.name == name)


def test_a_whole_machine_has_nothing_missing() -> None:
    assert {c.state for c in judge_facts(WHOLE)} == {State.OK}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Python", {"python": (3, 10)}),
        ("Python", {"python": (3, 13)}),
        ("Java", {"java": ""}),
        ("Java", {"java": "11.0.2"}),
        ("Java", {"java": "1.8.0_402"}),
        ("Spark", {"spark": ""}),
        ("Spark", {"spark": "4.1.4"}),
        ("Python packages", {"packages_missing": ("hvac",)}),
        ("Jars", {"jars_found": {}}),
        ("Jars", {"jars_found": {"delta.jar": "bb"}}),
        ("Jars", {"jars_found": {"delta.jar": "aa", "other.jar": "cc"}}),
        ("Jars", {"jars_wanted": {}, "jars_found": {}}),
        ("Lake", {"lake_writable": False}),
        ("Disk space", {"free_bytes": FREE_BYTES - 1}),
    ],
)
def test_what_a_refresh_needs_and_is_not_there_is_missing(name: str, found: dict[str, object]) -> None:
    assert check(name, **found).state is State.MISSING


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("PostgreSQL", {"postgres": ""}),
        ("PostgreSQL", {"pgaudit": False}),
        ("OpenBao", {"openbao": ""}),
        ("MinIO", {"minio": ""}),
        ("Airflow", {"airflow": ""}),
        ("Trino", {"trino": ""}),
        ("Keycloak", {"keycloak": ""}),
    ],
)
def test_what_only_the_tests_start_is_optional_and_comes_with_one_command(name: str, found: dict[str, object]) -> None:
    missing = check(name, **found)
    assert missing.state is State.OPTIONAL_MISSING
    assert missing.remedy == "make setup-tests"


def test_every_check_names_what_it_serves_and_how_to_get_it() -> None:
    assert all(c.serves and c.remedy for c in judge_facts(Facts(python=(3, 9))))


def test_the_remedy_is_shown_for_what_is_missing_only() -> None:
    text = render_checks(judge_facts(replace(WHOLE, java="")))
    assert "apt-get install openjdk-17-jre-headless" in text
    assert "make setup" not in text
