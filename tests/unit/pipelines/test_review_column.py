"""`classify review` and `classify approve`: what they write, what they refuse, and whom they take for a second person."""

from __future__ import annotations

import json
import pwd
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.commands import command
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.adapters.system_identity import SystemIdentity
from wardlake.classify.review import DECIDED, REVIEWS, WAITING, request_review
from wardlake.cli.classify import parse_rule
from wardlake.model.audit import AuditKind
from wardlake.model.errors import ConfigurationError, ContractBroken, NotAllowed
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.identity import Role
from wardlake.model.snapshots import SnapshotManifest, TableHashes, TableSnapshot
from wardlake.model.treatments import Bucket, Decision, IdentifierKind
from wardlake.pipelines.classification import approve_column, parse_column, parse_decision, review_column
from wardlake.ports.identity import IdentityProvider
from wardlake.settings.load import Settings, load_settings
from wardlake.settings.today import today
from wardlake.snapshot.manifest import manifest_bytes, manifest_path
from wardlake.wiring import Wiring

COLUMN = parse_column("visits.reason_code")
FILE = "conf/classification/clinic.yaml"


class SecondPerson(Wiring):
    """The same ports in another user's hands."""

    @cached_property
    def identity(self) -> IdentityProvider:
        return SystemIdentity({"nobody": [Role.STEWARD]}, user_id=lambda: pwd.getpwnam("nobody").pw_uid)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return make_clinic(tmp_path)


def settings_of(clinic: Clinic) -> Settings:
    return load_settings(clinic.folder / "conf", "embedded", today=today())


def text_of(clinic: Clinic, file: str = FILE) -> str:
    return (clinic.folder / file).read_text("utf-8")


def decide(clinic: Clinic, decision: Decision, column: str = "visits.reason_code", name: str = "clinic") -> dict[str, Any]:
    return review_column(settings_of(clinic), clinic.wiring(), name, parse_column(column), decision)


def reviews_recorded(clinic: Clinic) -> int:
    sink = (clinic.lake / "audit" / "objects").rglob("body")
    return sum(AuditKind.CLASSIFICATION_REVIEWED.value in path.read_text("utf-8") for path in sink)


def ask(clinic: Clinic, name: str = "clinic") -> None:
    """The evidence of a scan: one reason code in ten is a social security number."""
    seen = ColumnEvidence(
        table="visits", path="reason_code", type="string", rows=120, nulls=0, distinct_estimate=3,
        content={IdentifierKind.SSN: 0.1},
    )  # fmt: skip
    request_review(clinic.wiring().registry, source=name, run_id="r", evidence=seen, at="2026-01-31T02:00:00Z")


def as_second_person(clinic: Clinic) -> SecondPerson:
    wiring = clinic.wiring()
    return SecondPerson(environment=wiring.environment, lake=wiring.lake, root=wiring.root)


def safe(reason: str = "three codes") -> Decision:
    return parse_decision("safe", {}, "unique_code", reason)


def test_a_sensitive_decision_is_written_beside_the_comments(clinic: Clinic) -> None:
    done = decide(clinic, parse_decision("sensitive", {"rule": "null"}, "", "not needed"), "patients.sex")
    assert done["state"] == DECIDED
    assert text_of(clinic).startswith("# the clinic's decisions\n")
    assert '    sex:\n      sensitive: {rule: "null"}\n      reason: not needed\n' in text_of(clinic).replace("'null'", '"null"')
    assert reviews_recorded(clinic) == 1


@pytest.mark.parametrize(
    ("column", "rule", "said"),
    [
        ("visits.patient_id", {"rule": "token", "domain": "visit"}, "both ends must have the same decision"),
        ("patients.id", {"rule": "date_year"}, "both ends must have the same decision"),
    ],
)
def test_a_decision_that_parts_the_ends_of_a_key_is_refused_before_anything_is_recorded(
    clinic: Clinic, column: str, rule: dict[str, Any], said: str
) -> None:
    before = text_of(clinic)
    with pytest.raises(ConfigurationError, match=said):
        decide(clinic, parse_decision("sensitive", rule, "", "as asked"), column)
    assert (text_of(clinic), reviews_recorded(clinic)) == (before, 0)
    assert clinic.wiring().registry.find(REVIEWS) == []


def snapshot(clinic: Clinic, at: str, **columns: list[str]) -> None:
    """The manifest that a snapshot of these tables leaves."""
    tables = tuple(
        TableSnapshot(
            name=name,
            path=f"raw/clinic/{at}/{name}",
            version=0,
            schema=json.dumps({"type": "struct", "fields": [{"name": each, "type": "string"} for each in found]}),
            hashes=TableHashes(files="f", rows="1", row_count=1),
            commitment="c",
        )
        for name, found in columns.items()
    )
    manifest = SnapshotManifest(
        snapshot_id=f"id-{at}", source="clinic", run_id=f"run-{at}", taken_at=at, schema_version="7", position={},
        retention="operational", legal_basis="", tables=tables,
    )  # fmt: skip
    path = Path(manifest_path(clinic.wiring().layout, "clinic", manifest.run_id))
    path.parent.mkdir(parents=True)
    path.write_bytes(manifest_bytes(manifest))


BLOCK = ("classify", "review", "--source", "clinic", "--as", "blocked", "--reason", "as asked", "--column")


def test_a_column_that_nobody_knows_is_refused_before_anything_is_recorded(tmp_path: Path, spark: SparkSession) -> None:
    clinic = make_clinic(tmp_path, spark)
    before = text_of(clinic)
    snapshot(clinic, "2026-01-30", patients=["id", "gone"])
    snapshot(clinic, "2026-01-31", patients=["id", "contact", "payload"], visits=["id"])
    conf, lake = clinic.folder / "conf", clinic.lake
    for column in ("patients.NOSUCH", "patients.gone", "visits.contact", "nowhere.id", "patients.NOSUCH$.mrn"):
        refused = command(*BLOCK, column, conf=conf, lake=lake)
        assert (refused.code, f"Nobody knows {column}" in refused.said) == (2, True)
        assert "wardlake classify check --source clinic" in refused.answer["error"]["next"]
    assert (text_of(clinic), reviews_recorded(clinic)) == (before, 0)
    assert clinic.wiring().registry.find(REVIEWS) == []
    for column in ("patients.contact", "patients.payload$.mrn"):
        taken = command(*BLOCK, column, conf=conf, lake=lake)
        assert (taken.code, taken.answer.get("state")) == (0, DECIDED), taken.said


def test_a_column_that_is_asked_about_or_waits_is_known_whatever_the_snapshot_holds(tmp_path: Path, spark: SparkSession) -> None:
    clinic = make_clinic(tmp_path, spark)
    clinic.edit("classification/clinic.yaml", "    reason_code: safe\n", "")
    snapshot(clinic, "2026-01-31", patients=["id"], visits=["id"])
    ask(clinic)
    assert decide(clinic, safe())["state"] == WAITING  # which answers the request
    assert decide(clinic, parse_decision("blocked", {}, "", "on second thoughts"))["state"] == DECIDED


def test_without_a_snapshot_any_column_may_be_decided(tmp_path: Path, spark: SparkSession) -> None:
    clinic = make_clinic(tmp_path, spark)
    assert decide(clinic, parse_decision("blocked", {}, "", "to come"), "patients.contact")["state"] == DECIDED


def test_a_rule_that_the_profile_does_not_allow_is_refused_before_anything_is_recorded(clinic: Clinic) -> None:
    strict = text_of(clinic).replace("profile: expert", "profile: safe-harbor").replace("mode: keyed", "mode: random")
    clinic.write("classification/strict.yaml", strict.replace("{rule: date_shift}", "{rule: date_year}"))
    before = text_of(clinic, "conf/classification/strict.yaml")
    with pytest.raises(ConfigurationError, match="does not allow rule date_shift"):
        decide(clinic, parse_decision("sensitive", {"rule": "date_shift"}, "", "as asked"), "patients.birth_date", "strict")
    assert (text_of(clinic, "conf/classification/strict.yaml"), reviews_recorded(clinic)) == (before, 0)


def test_safe_against_evidence_is_written_once_a_second_person_agrees(clinic: Clinic) -> None:
    before = text_of(clinic)
    ask(clinic)
    assert decide(clinic, safe())["state"] == WAITING
    assert text_of(clinic) == before
    approve_column(settings_of(clinic), as_second_person(clinic), "clinic", COLUMN, "")
    assert "reason_code:\n      safe: true\n      kind: unique_code\n      reason: three codes\n" in text_of(clinic)


def test_two_reviewers_at_once_lose_nothing(clinic: Clinic) -> None:
    columns = ["patients.sex", "visits.reason_code", "patients.ssn", "visits.id"]
    settings = settings_of(clinic)  # all of them read the file before any of them wrote

    def blocked(column: str) -> dict[str, Any]:
        return review_column(settings, clinic.wiring(), "clinic", parse_column(column), parse_decision("blocked", {}, "", column))

    with ThreadPoolExecutor(len(columns)) as people:
        assert {done["state"] for done in people.map(blocked, columns)} == {DECIDED}
    tables = settings_of(clinic).classification("clinic").tables
    decided = {f"{table}.{path}" for table, paths in tables.items() for path, decision in paths.items() if decision.reason}
    assert decided == set(columns)


def test_a_decision_is_held_against_what_another_wrote_meanwhile(clinic: Clinic) -> None:
    settings, wiring = settings_of(clinic), clinic.wiring()
    clinic.write(
        "classification/clinic.yaml", text_of(clinic).replace("domain: patient}, kind: mrn", "domain: person}, kind: mrn")
    )
    before = text_of(clinic)
    as_it_was = parse_decision("sensitive", {"rule": "token", "domain": "patient"}, "mrn", "as asked")
    with pytest.raises(ConfigurationError, match="both ends must have the same decision"):
        review_column(settings, wiring, "clinic", parse_column("visits.patient_id"), as_it_was)
    assert (text_of(clinic), reviews_recorded(clinic)) == (before, 0)


def test_the_reviewer_cannot_be_the_second_person(clinic: Clinic) -> None:
    ask(clinic)
    decide(clinic, safe())
    before = text_of(clinic)
    with pytest.raises(NotAllowed, match="another one"):
        approve_column(settings_of(clinic), clinic.wiring(), "clinic", COLUMN, "")
    assert text_of(clinic) == before


def test_two_classifications_of_one_source_are_reviewed_apart(clinic: Clinic) -> None:
    clinic.write("classification/other.yaml", text_of(clinic))
    ask(clinic, "clinic")
    with pytest.raises(ContractBroken, match="No evidence"):
        decide(clinic, safe(), name="other")
    decide(clinic, safe())
    with pytest.raises(ContractBroken, match="No review"):
        approve_column(settings_of(clinic), as_second_person(clinic), "other", COLUMN, "")


def test_a_rule_is_written_short_or_as_json() -> None:
    assert parse_rule("token:domain=patient,prefix=pat_") == {"rule": "token", "domain": "patient", "prefix": "pat_"}
    decision = parse_decision("sensitive", parse_rule(json.dumps({"rule": "bucket", "edges": [1, 2]})), "", "coarse")
    assert decision.rule == Bucket(edges=(1.0, 2.0))


@pytest.mark.parametrize("text", ['{"rule": "bucket"', '{"rule": }', '{"rule": "bucket", "edges": [1]} x'])
def test_a_rule_that_is_no_json_is_a_mistake_of_the_command(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no JSON object"):
        parse_rule(text)
