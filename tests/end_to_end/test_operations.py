"""What people do beside a refresh, by the commands they type: decide, approve, verify, ask the audit, rotate, retire.

One clinic is refreshed once, from an undecided column to publication; the tests look at what that left, and the last ones
change it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from pyspark.sql import SparkSession
from tests.commands import Ended, command
from tests.end_to_end.clinic import Clinic, Quiet, make_clinic, patients

from wardlake.model.zones import Zone
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.publish.pointer import open_dataset
from wardlake.runs.engine import load_run, lock_name, save_run
from wardlake.runs.states import Run, RunState

SIGNING = ec.generate_private_key(ec.SECP256R1())
ISSUER = "https://login.example.org"
PEOPLE = """\
identity:
  kind: oidc
  issuer: {issuer}
  audience: wardlake
  token: env:WARDLAKE_TEST_TOKEN
  keys: {keys}
  roles: {{steward: steward, compliance: compliance}}
"""


def token(who: str, role: str, *, second_factor: bool = False) -> str:
    """What the identity provider gives a person who signs in."""
    now = int(time.time())
    factor = {"amr": ["pwd", "otp"], "auth_time": now} if second_factor else {}
    claims = {"iss": ISSUER, "aud": "wardlake", "sub": who, "iat": now, "exp": now + 900, "wardlake_roles": [role], **factor}
    return jwt.encode(claims, SIGNING, algorithm="ES256", headers={"kid": "k1"})


@dataclass(frozen=True)
class Office:
    """The clinic and who types: the pipeline's account on this machine, or a person by their token."""

    clinic: Clinic

    def run(self, *arguments: str, env: str = "embedded") -> Ended:
        return command(*arguments, conf=self.clinic.folder / "conf", lake=self.clinic.lake, env=env)

    def run_as(self, who: str, role: str, *arguments: str, code: bool = False) -> Ended:
        os.environ["WARDLAKE_TEST_TOKEN"] = token(who, role)
        factor = ["--code", token(who, role, second_factor=True)] if code else []
        return self.run(*arguments, *factor, env="people")

    def refresh(self, *flags: str) -> Ended:
        return self.run("dev", "refresh", "--source", "clinic", *flags)

    def patients(self) -> list[dict[str, Any]]:
        wiring = self.clinic.wiring()
        path = open_dataset(wiring.tables, wiring.layout, Zone.DEV, "clinic")["patients"]
        return [row.asDict() for row in wiring.tables.read(path).collect()]


def open_office(folder: Path, spark: SparkSession) -> Office:
    """A clinic with two columns that nobody decided: one harmless, one whose name speaks of people."""
    clinic = make_clinic(folder, spark)
    (folder / "keys.json").write_text(json.dumps({"keys": [_public_key()]}))
    embedded = (folder / "conf" / "environments" / "embedded.yaml").read_text()
    before, _, after = embedded.partition("identity:")
    identity = PEOPLE.format(issuer=ISSUER, keys=folder / "keys.json")
    clinic.write("environments/people.yaml", before.replace("name: embedded", "name: people") + identity + _after_identity(after))
    clinic.edit("sources/clinic.yaml", "sex: string}", "sex: string, contact: string}")
    clinic.edit("classification/clinic.yaml", "    sex: safe\n", "")
    clinic.table("patients", [{**person, "contact": ("mail", "call")[n % 2]} for n, person in enumerate(patients())])
    return Office(clinic)


def _public_key() -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(SIGNING.public_key(), as_dict=True), "kid": "k1", "alg": "ES256", "use": "sig"}


def _after_identity(text: str) -> str:
    return "spark:" + text.partition("\nspark:")[2]


@dataclass(frozen=True, kw_only=True)
class Story:
    """Every command from the halted run to the published dataset."""

    office: Office
    halted: Ended
    requests: Ended
    decided: Ended
    waiting: Ended
    still_halted: Ended
    requests_then: Ended
    own_approval: Ended
    without_code: Ended
    approved: Ended
    published: Ended
    requests_after: Ended


REVIEW = ("classify", "review", "--source", "clinic", "--reason", "a few words of ours", "--as", "safe", "--column")
APPROVE = ("classify", "approve", "--source", "clinic", "--column", "patients.contact")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Story]:
    office = open_office(tmp_path_factory.mktemp("office"), spark)
    yield Story(
        office=office,
        halted=office.refresh(),
        requests=office.run("classify", "requests"),
        decided=office.run(*REVIEW, "patients.sex"),
        waiting=office.run_as("ann", "steward", *REVIEW, "patients.contact"),
        still_halted=office.refresh(),
        requests_then=office.run("classify", "requests", "--source", "clinic"),
        own_approval=office.run_as("ann", "steward", *APPROVE, code=True),
        without_code=office.run_as("bob", "steward", *APPROVE),
        approved=office.run_as("bob", "steward", *APPROVE, code=True),
        published=office.refresh(),
        requests_after=office.run("classify", "requests"),
    )
    os.environ.pop("WARDLAKE_TEST_TOKEN", None)


# --- classify ----------------------------------------------------------------------------------------------------------


def test_undecided_columns_are_listed_with_rates_and_shapes_and_what_to_type_next(story: Story) -> None:
    assert story.halted.code == 10
    found = {each["column"]: each for each in story.requests.answer["requests"]}
    assert set(found) == {"patients.contact", "patients.sex"}
    assert found["patients.contact"]["evidence"]["against_safe"] == ["person_name"]
    assert found["patients.contact"]["evidence"]["shapes"] == [["aaaa", 1.0]]
    assert found["patients.sex"]["next"].startswith("wardlake classify review --source clinic --column 'patients.sex' --as ")


def test_two_people_by_their_credentials_let_a_run_go_on_where_it_halted(story: Story) -> None:
    assert (story.decided.code, story.decided.answer["state"]) == (0, "decided")
    assert (story.waiting.code, story.waiting.answer["state"]) == (0, "waiting")
    assert (story.own_approval.code, story.without_code.code) == (19, 19)
    assert (story.approved.code, story.approved.answer["state"]) == (0, "approved")
    assert story.published.code == 0, story.published.said
    assert "Going on with run" in story.published.said
    assert "Snapshot the source into raw tables: already done" in story.published.said


def test_one_person_s_word_is_not_enough_for_the_run(story: Story) -> None:
    assert story.still_halted.code == 10
    assert "patients.contact" in story.still_halted.said
    assert "patients.sex" not in story.still_halted.said


def test_who_decided_and_who_is_waited_for_is_listed_until_it_is_done(story: Story) -> None:
    (reviewed,) = story.requests_then.answer["requests"]
    assert (reviewed["column"], reviewed["state"]) == ("patients.contact", "waiting")
    assert reviewed["decided_by"].startswith("oidc:")
    assert reviewed["next"].startswith("another person: wardlake classify approve")
    assert story.requests_after.answer["requests"] == []


def test_an_undeclared_key_is_proposed_as_yaml_and_not_declared(story: Story) -> None:
    office, source = story.office, story.office.clinic.folder / "conf" / "sources" / "clinic.yaml"
    declared = source.read_text()
    assert office.run("classify", "keys", "--source", "clinic").answer["proposals"] == []
    line = "    references: [{columns: [patient_id], table: patients, to: [id]}]\n"
    office.clinic.edit("sources/clinic.yaml", line, "")
    try:
        found = office.run("classify", "keys", "--source", "clinic")
    finally:
        source.write_text(declared)
    assert [(each["table"], each["columns"], each["parent"]) for each in found.answer["proposals"]] == [
        ("visits", ["patient_id"], "patients")
    ]
    assert "- {columns: [patient_id], table: patients, to: [id]}  # 100.0% of 40 values" in found.answer["yaml"]
    assert not any(person["id"] in json.dumps(found.answer) for person in patients())


# --- verify and audit --------------------------------------------------------------------------------------------------


def test_a_snapshot_is_verified_by_command_until_a_file_changes(story: Story) -> None:
    snapshot = story.published.answer["snapshot_id"]
    found = story.office.run("snapshot", "verify", snapshot)
    assert (found.code, found.answer["ok"], found.answer["tables"]) == (0, True, 2)
    file = next(path for path in sorted((story.office.clinic.lake / "raw").rglob("*.parquet")) if "visits" in str(path))
    body = file.read_bytes()
    file.write_bytes(body[:-20] + bytes([body[-20] ^ 1]) + body[-19:])
    try:
        broken = story.office.run("snapshot", "verify", snapshot)
    finally:
        file.write_bytes(body)
    assert broken.code == 23
    assert "visits" in broken.said


def test_a_dataset_is_verified_by_command(story: Story) -> None:
    found = story.office.run("dev", "verify", story.published.answer["dataset_id"])
    assert (found.code, found.answer["passed"], found.answer["read_from"]) == (0, True, "zone")
    assert story.office.run("dev", "verify", "ds-of-nobody").code == 23


def test_the_audit_answers_which_dataset_readers_saw_on_a_day(story: Story) -> None:
    dataset, today = story.published.answer["dataset_id"], f"{datetime.now(UTC):%Y-%m-%d}"
    by_day = story.office.run("audit", "query", "--zone", "dev", "--on", today)
    assert [record["event"]["dataset_id"] for record in by_day.answer["visible"]] == [dataset]
    anywhere = story.office.run("audit", "query", "--on", today).answer["visible"]
    assert [(record["event"]["zone"], record["event"]["dataset_id"]) for record in anywhere] == [("dev", dataset)]
    before = story.office.run("audit", "query", "--zone", "dev", "--on", "2020-01-01").answer
    assert before == {"records": [], "visible": []}
    by_name = story.office.run("audit", "query", "--dataset", dataset).answer["records"]
    assert by_name[0]["event"]["kind"] == "dataset.published"
    assert by_name[0]["event"]["details"]["rules"]["patients"]["ssn"] == "token"


def test_the_audit_is_queried_and_verified_whatever_has_become_of_the_configuration(story: Story) -> None:
    clinic = story.office.clinic
    file = clinic.folder / "conf" / "classification" / "clinic.yaml"
    whole = file.read_text()
    clinic.write("classification/clinic.yaml", whole.replace("rule: token", "rule: no-such-rule"))
    try:
        assert story.office.refresh().code == 2
        query = story.office.run("audit", "query", "--dataset", story.published.answer["dataset_id"])
        verified = story.office.run("audit", "verify")
    finally:
        file.write_text(whole)
    assert (query.code, query.answer["records"][0]["event"]["kind"]) == (0, "dataset.published")
    assert (verified.code, verified.answer["ok"]) == (0, True)
    assert verified.answer["records"] > 5


def test_an_agreement_that_ran_out_stops_a_refresh_under_it_and_no_look_at_what_was_published(story: Story) -> None:
    clinic = story.office.clinic
    file = clinic.folder / "conf" / "classification" / "clinic.yaml"
    whole = file.read_text()
    clinic.write(
        "agreements/uni.yaml",
        "name: uni\nrecipient: a university\npurpose: research\nsigned_on: 2024-01-01\nexpires_on: 2025-01-01\n"
        f"document_sha256: '{'0' * 64}'\n",
    )
    clinic.write("classification/clinic.yaml", whole.replace("token_mode: keyed\n", "token_mode: keyed\nagreement: uni\n"))
    try:
        refused = story.office.refresh()
        said = story.office.refresh("--dry-run")
        looked = story.office.run("snapshot", "verify", story.published.answer["snapshot_id"])
        assert story.office.run("conf", "check").answer["expired"] != []
    finally:
        file.write_text(whole)
        (clinic.folder / "conf" / "agreements" / "uni.yaml").unlink()
    assert (refused.code, looked.code) == (2, 0)
    assert "agreement uni ran out on 2025-01-01" in refused.said
    assert said.answer["lines"][-1].endswith("the run would not begin")


# --- what changes the lake: in this order ------------------------------------------------------------------------------


def test_a_fresh_run_that_is_refused_the_lock_gives_nothing_up(story: Story) -> None:
    wiring = story.office.clinic.wiring()
    published = load_run(wiring.registry, story.published.answer["run_id"])
    assert published is not None
    save_run(wiring.registry, replace(published, run_id="halted", state=RunState.HALTED, steps={}, started_at=_now()))
    with wiring.registry.lock(lock_name(PLAN, "clinic")):
        assert story.office.refresh("--fresh").code == 21
    assert _run(story, "halted").state is RunState.HALTED


def test_after_a_rotation_the_tokens_are_others_and_the_old_ones_still_lead_back(story: Story) -> None:
    before = {row["id"] for row in story.office.patients()}
    rotated = story.office.run("keys", "rotate", "--domain", "patient")
    assert (rotated.code, rotated.answer["versions"]) == (0, {"patient": 2})
    again = story.office.refresh("--fresh")
    assert again.code == 0, again.said
    assert _run(story, "halted").state is RunState.REFUSED  # a fresh run that holds the lock replaces it
    after = {row["id"] for row in story.office.patients()}
    assert len(after) == 40
    assert not before & after
    real = {person["id"] for person in patients()}
    old, new = _reveal(story.office, min(before), "--key-version", "1"), _reveal(story.office, min(after), "--mode", "keyed")
    assert {old.answer["identifier"], new.answer["identifier"]} <= real


def test_an_answer_that_is_not_found_is_neither_recorded_nor_spent(story: Story) -> None:
    office = story.office
    told = len(_revealed(office))
    shown = str(office.patients()[0]["id"])
    mistyped = _reveal(office, shown[:-1] + ("0" if shown[-1] != "0" else "1"))
    assert (mistyped.code, "no such token" in mistyped.said) == (20, True)
    key = _approved(office, shown)
    elsewhere = office.run_as("ann", "compliance", "reidentify", "reveal", key, "--key-version", "9", code=True)
    assert (elsewhere.code, len(_revealed(office))) == (20, told)
    assert office.run_as("ann", "compliance", "reidentify", "reveal", key, code=True).code == 0
    assert office.run_as("ann", "compliance", "reidentify", "reveal", key, code=True).code == 19
    assert len(_revealed(office)) == told + 1
    assert {"key_version", "kind", "token_mode"} <= set(_revealed(office)[-1]["event"]["details"])


def test_retention_removes_what_is_over_and_never_what_readers_see(story: Story) -> None:
    office, clinic = story.office, story.office.clinic
    with pytest.raises(Killed):
        replace(clinic, progress=Quiet(at={"publish": die})).refresh(fresh=True)
    snapshots = clinic.lake / "raw" / "clinic"
    stray = min(snapshots.iterdir()) / "patients" / "part-left-by-a-dead-writer.parquet"
    stray.write_bytes(b"rows")
    swept = office.run("retention", "apply")
    assert [(each["what"], each["because"]) for each in swept.answer["over"]] == [("raw-files", "files that no manifest names")]
    assert not stray.exists()
    assert office.run("snapshot", "verify", story.published.answer["snapshot_id"]).code == 0
    kept = "retention: {operational_snapshot_days: 0, published_versions: 1}\n"
    clinic.edit("environments/embedded.yaml", "name: embedded\n", f"name: embedded\n{kept}")
    seen = office.patients()
    said = office.run("retention", "apply", "--dry-run")
    assert (said.code, said.answer["applied"], said.answer["audit_sequence"]) == (0, False, None)
    kinds = {each["what"] for each in said.answer["over"]}
    assert kinds == {"run", "snapshot", "staging", "dataset", "archived-dataset", "known-values"}
    assert len(list(snapshots.iterdir())) == 3
    done = office.run("retention", "apply")
    assert done.answer["over"] == said.answer["over"]
    assert list((clinic.lake / "raw").rglob("*.parquet")) == []
    assert list((clinic.lake / "staging").iterdir()) == []
    assert len(list((clinic.lake / "dev" / "clinic" / "datasets").iterdir())) == 1
    assert office.patients() == seen
    record = office.run("audit", "query").answer["records"][-1]
    assert (record["sequence"], record["event"]["kind"]) == (done.answer["audit_sequence"], "retention.applied")
    assert office.run("audit", "verify").answer["ok"]
    assert office.run("dev", "verify", story.published.answer["dataset_id"]).answer["read_from"] == "archive"
    assert office.run("retention", "apply").answer["over"] == []


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def die() -> None:
    raise Killed


def _reveal(office: Office, token: str, *flags: str) -> Ended:
    """Who a token stands for, by three commands of two people."""
    return office.run_as("ann", "compliance", "reidentify", "reveal", _approved(office, token), *flags, code=True)


def _approved(office: Office, token: str) -> str:
    """A request that waits for its answer."""
    asked = office.run_as("ann", "compliance", "reidentify", "request", "--token", token, "--reason", "report 7")
    key = str(asked.answer["request"])
    assert office.run_as("bob", "compliance", "reidentify", "approve", key, code=True).code == 0
    return key


def _revealed(office: Office) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = office.run("audit", "query").answer["records"]
    return [each for each in records if each["event"]["kind"] == "reidentification.revealed"]


def _run(story: Story, run_id: str) -> Run:
    run = load_run(story.office.clinic.wiring().registry, run_id)
    assert run is not None
    return run


def _now() -> str:
    return datetime.now(UTC).isoformat()
