"""No value of the data enters the audit: events that may hold one are refused, and the refusal does not repeat it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.spec.audit.conftest import Archive

from wardlake.audit.names import short_name, short_place
from wardlake.audit.scan import MAX_LEAVES, AuditRefused, check_event
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditEvent
from wardlake.model.errors import AuditUnavailable

Make = Callable[..., AuditEvent]

ALLOWED: list[Mapping[str, Any]] = [
    {},
    {"rows_in": {"patients": 243, "observations": 260_000_000}, "recall": {"ssn": 0.9971}},
    {"rules": {"patients.SSN": "null", "patients.BIRTHDATE": "date_year", "events.payload$.contacts[].phone": "drop"}},
    {"snapshot_id": "a" * 64, "code": "0123456789" * 4, "rules_hash": "1234567890abcdef" * 4},
    {"token_mode": "keyed", "key_versions": {"dev/patient": 2}, "suites": [{"name": "patients", "passed": True}]},
    {"patients": {"Année de naissance (approx.)": "date_year"}, "none": None, "started": "2026-01-31T02:00:00+00:00"},
    {"legal_basis": "45 CFR 164.514(b)(1), expert report 7 of the ethics board"},
]


@pytest.mark.parametrize("details", ALLOWED)
def test_rule_ids_counts_and_hashes_pass(event: Make, details: Mapping[str, Any]) -> None:
    check_event(event(details=details))


LEAKS = {
    "ssn": "999-54-3801",
    "ssn in a sentence": "patient 999-54-3801 found",
    "ssn without dashes": "999543801",
    "e-mail": "ann.lee@example.org",
    "phone": "555-214-9812",
    "phone in brackets": "(555) 214-9812",
    "phone abroad": "+44 20 7946 0958",
    "ten digits": "5552149812",
    "card": "4111 1111 1111 1111",
    "card without blanks": "4111111111111111",
    "patient's id": "0b1b3c5e-4f2a-4f0e-9d3c-1a2b3c4d5e6f",
    "address on the network": "10.20.30.40",
    "birth date": "1957-03-02",
    "birth date in a note": "born 1957-03-02",
    "birth date as written": "3/2/1957",
    "street": "12 Orchard Hill Road",
    "a note": "She said that her sister lives round the corner and keeps the spare key",
    "a long text": "x" * 201,
    "several lines": "a\nb",
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
@pytest.mark.parametrize("place", ["value", "list", "nested", "key"])
def test_what_looks_like_a_value_is_refused_and_not_repeated(event: Make, leak: str, place: str) -> None:
    details: Mapping[str, Any] = {
        "value": {"note": leak},
        "list": {"notes": ["fine", leak]},
        "nested": {"a": {"b": [{"c": leak}]}},
        "key": {"counts": {leak: 1}},
    }[place]
    if place == "key" and leak in (LEAKS["a note"], LEAKS["street"]):
        details = {"counts": {f"{leak} 999-54-3801": 1}}  # a key alone may be any column's name
    with pytest.raises(AuditRefused) as refused:
        check_event(event(details=details))
    assert leak not in str(refused.value)
    assert "details." in str(refused.value)


def test_the_refusal_stops_the_action_as_a_missing_sink_does() -> None:
    assert issubclass(AuditRefused, AuditUnavailable)
    assert AuditRefused.exit_code == 16


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 10**15, -(10**15), b"bytes", object(), {1, 2}],
    ids=["nan", "inf", "huge", "tiny", "bytes", "object", "set"],
)
def test_what_is_not_plain_json_or_no_count_is_refused(event: Make, value: Any) -> None:
    with pytest.raises(AuditRefused, match=r"details\.x"):
        check_event(event(details={"x": value}))


def test_nesting_and_size_are_bounded(event: Make) -> None:
    deep: Any = 1
    for _ in range(20):
        deep = {"x": deep}
    with pytest.raises(AuditRefused, match="deeply"):
        check_event(event(details=deep))
    with pytest.raises(AuditRefused, match="more than"):
        check_event(event(details={"x": [0] * (MAX_LEAVES + 1)}))


@pytest.mark.parametrize(
    "header",
    [
        {"actor": ""},
        {"actor": "Ann Lee"},
        {"actor": "ann.lee@example.org"},
        {"zone": "dev zone"},
        {"run_id": "999-54-3801"},
        {"dataset_id": "0b1b3c5e-4f2a-4f0e-9d3c-1a2b3c4d5e6f"},
        {"at": "2026-01-31T02:00:00"},
        {"at": "2026-01-31T02:00:00+01:00"},
        {"at": "yesterday"},
        {"kind": "dataset.invented"},
    ],
)
def test_a_header_that_is_no_name_time_or_kind_is_refused(event: Make, header: Mapping[str, Any]) -> None:
    (field,) = header
    with pytest.raises(AuditRefused, match=field):
        check_event(event(**header))


@pytest.mark.parametrize("actor", ["os:ward", "vault:0b1b3c5e-4f2a-4f0e-9d3c-1a2b3c4d5e6f", "oidc:3f9a1c0011223344"])
def test_every_identity_providers_subject_is_an_actor(event: Make, actor: str) -> None:
    check_event(event(actor=actor))


def test_all_problems_are_told_at_once(event: Make) -> None:
    with pytest.raises(AuditRefused) as refused:
        check_event(event(actor="", details={"a": "999-54-3801", "b": "1957-03-02"}))
    assert len(refused.value.which) == 3


def test_long_names_of_columns_are_shortened_and_still_told_apart(archive: Archive, event: Make) -> None:
    one, other = "a" * 400 + "1", "a" * 400 + "2"
    details = {"rules": {"t": {one: "token", other: "safe", "id": "token"}}, "columns": [short_name(f"t.{one}")]}
    written = archive.trail.append(event(details=details)).event.details
    keys = list(written["rules"]["t"])
    assert keys[2] == "id"
    assert keys[0] != keys[1]
    assert {len(key) for key in keys[:2]} == {200}
    assert keys[0].startswith("a" * 100)
    assert verify_archive(archive.objects, head=archive.sink.head()).ok


def test_a_column_named_by_a_sentence_is_shortened() -> None:
    name = "survey.How often did you, in the last four weeks, feel that you could not control what happened"
    assert len(short_name(name).split()) <= 12
    assert short_name(name).startswith("survey.How often did you")
    assert short_name("patients.ssn") == "patients.ssn"


ODD_NAMES = ["2024-01-31", "364075005", "%ideal", "(note", "-x", "10.0.0.1", "a\tb", "12 Long Street", "1957-03-02 " + "a" * 400]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_column_of_any_name_stands_in_a_record_by_its_hash(archive: Archive, event: Make, name: str) -> None:
    details = {"rules": {short_name(name): {short_name(name): "safe"}}, "columns": [short_place("visits", name)]}
    written = archive.trail.append(event(details=details)).event.details
    assert name not in str(written)
    assert written["columns"][0].startswith("visits.name~")
    assert len({short_name(other) for other in ODD_NAMES}) == len(ODD_NAMES)
    assert short_name(short_name(name)) == short_name(name)


def test_a_value_in_a_long_key_is_refused_all_the_same(archive: Archive, event: Make) -> None:
    with pytest.raises(AuditRefused):
        archive.trail.append(event(details={"rules": {"999-54-3801 " + "a" * 400: "token"}}))
