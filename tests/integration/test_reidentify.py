"""The way back from a token to a person: two people, a reason, a record before each step, one answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType
from tests.servers.openbao import OpenBaoServer

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import AuditUnavailable, ConfigurationError, ContractBroken, KeysUnavailable, NotAllowed
from wardlake.model.identity import Identity, Role
from wardlake.model.treatments import TokenMode
from wardlake.model.zones import LakeLayout
from wardlake.ports.clock import Clock
from wardlake.tokens.keyring import open_ring
from wardlake.tokens.mapping import Identifiers, Mappings, update_mapping
from wardlake.tokens.plain import token_of
from wardlake.tokens.reidentify import COLLECTION, Desk, approve, open_requests, request, reveal
from wardlake.tokens.reveal import SealedIdentifier, locate_identifier, open_identifier

VALUE = "MRN-SECRET-0042"


def person(name: str, *roles: Role, factor: bool = True) -> Identity:
    return Identity(subject=name, roles=frozenset(roles), source="vault", credential=f"entity-{name}", second_factor=factor)


ASKER = person("ada", Role.COMPLIANCE)
SECOND = person("bo", Role.COMPLIANCE)
ENGINEER = person("eve", Role.ENGINEER)


@dataclass
class StoppedClock(Clock):
    """A clock that a test moves."""

    at: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Office:
    """A desk over a real registry, its trail, and the mapping of one patient."""

    registry: SqliteRegistry
    clock: StoppedClock
    token: str
    mappings: Mappings
    keys: OpenBaoKeys
    trail: list[AuditEvent] = field(default_factory=list)
    sink_is_down: bool = False

    @property
    def desk(self) -> Desk:
        return Desk(
            registry=self.registry,
            record=self.record,
            clock=self.clock,
            approve_within=timedelta(days=2),
            reveal_within=timedelta(hours=1),
        )

    def record(self, event: AuditEvent) -> None:
        if self.sink_is_down:
            raise AuditUnavailable("The audit record cannot be written.")
        self.trail.append(event)

    def ask(self, caller: Identity = ASKER) -> str:
        return request(self.desk, caller, token=self.token, purpose="dev", domain="patient", reason="safety report 7")

    def locate(self, purpose: str, domain: str, token: str) -> SealedIdentifier:
        return locate_identifier(self.mappings, domain, token)

    def unseal(self, sealed: SealedIdentifier) -> str:
        return open_identifier(self.keys, sealed)

    def answer(self, key: str, caller: Identity = ASKER) -> str:
        return reveal(self.desk, caller, key, locate=self.locate, unseal=self.unseal)

    @property
    def steps(self) -> list[AuditKind]:
        return [event.kind for event in self.trail]


def vault(server: OpenBaoServer, role: str) -> OpenBaoKeys:
    approle = server.approles[role]
    credentials = AppRoleCredentials(role_id=approle.role_id, secret_id=approle.secret_id)
    return OpenBaoKeys(OpenBaoSession(VaultAddress(url=server.address), credentials))


@pytest.fixture(scope="module")
def mapped(spark: SparkSession, openbao_server: OpenBaoServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mappings, str]:
    """A mapping written by the pipeline with keys from a real vault, and the token of its one patient."""
    lake = LakeLayout(str(tmp_path_factory.mktemp("lake")))
    mappings = Mappings(tables=DeltaTables(spark), layout=lake, purpose="reidentified")
    keys = vault(openbao_server, "pipeline")
    keys.create("reidentified/patient")
    keys.create_wrapping_key(mappings.wrapping_key)
    ring = open_ring(keys, mappings.purpose, ["patient"])
    rows = [Identifiers(rows=spark.createDataFrame([(VALUE,), ("MRN-OTHER",)], "id string"))]
    update_mapping(mappings, keys, ring, "patient", rows, mode=TokenMode.KEYED, run_id="run-1")
    return mappings, token_of(ring, VALUE, StringType(), domain="patient", prefix="pat_")


@pytest.fixture
def office(mapped: tuple[Mappings, str], openbao_server: OpenBaoServer, tmp_path: Path) -> Office:
    registry = SqliteRegistry(tmp_path / "registry.db")
    return Office(registry, StoppedClock(), mapped[1], mapped[0], vault(openbao_server, "compliance"))


def test_two_people_find_out_who_a_token_is(office: Office) -> None:
    key = office.ask()
    approve(office.desk, SECOND, key)
    assert office.answer(key) == VALUE
    assert office.steps == [
        AuditKind.REIDENTIFICATION_REQUESTED,
        AuditKind.REIDENTIFICATION_APPROVED,
        AuditKind.REIDENTIFICATION_REVEALED,
    ]
    assert [event.actor for event in office.trail] == ["ada", "bo", "ada"]


def test_the_answer_stands_nowhere_but_in_the_return_value(
    office: Office, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    key = office.ask()
    approve(office.desk, SECOND, key)
    office.answer(key)
    printed = capfd.readouterr()
    kept = json.dumps([dict(document) for _, document in office.desk.registry.find(COLLECTION)])
    recorded = "".join(json.dumps(dict(event.details)) for event in office.trail)
    for text in (kept, recorded, printed.out, printed.err, caplog.text):
        assert VALUE not in text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or VALUE.encode() not in file.read_bytes()
    assert office.token not in recorded


def test_an_answer_is_given_once(office: Office) -> None:
    key = office.ask()
    approve(office.desk, SECOND, key)
    office.answer(key)
    with pytest.raises(NotAllowed):
        office.answer(key)
    assert office.steps.count(AuditKind.REIDENTIFICATION_REVEALED) == 1


def test_an_engineer_can_do_no_step(office: Office) -> None:
    key = office.ask()
    with pytest.raises(NotAllowed) as caught:
        office.ask(ENGINEER)
    assert caught.value.exit_code == 19
    with pytest.raises(NotAllowed):
        approve(office.desk, ENGINEER, key)
    approve(office.desk, SECOND, key)
    with pytest.raises(NotAllowed):
        office.answer(key, ENGINEER)
    with pytest.raises(NotAllowed):
        open_requests(office.desk, ENGINEER)
    assert office.steps.count(AuditKind.REIDENTIFICATION_REFUSED) == 4
    assert office.answer(key) == VALUE


def test_an_engineers_vault_credential_opens_no_row(office: Office, openbao_server: OpenBaoServer) -> None:
    sealed = office.locate("dev", "patient", office.token)
    with pytest.raises(NotAllowed):
        open_identifier(vault(openbao_server, "engineer"), sealed)
    assert VALUE not in repr(sealed) and sealed.data_key not in repr(sealed)


def test_nobody_approves_their_own_request(office: Office) -> None:
    key = office.ask()
    with pytest.raises(NotAllowed, match="cannot approve"):
        approve(office.desk, ASKER, key)


def test_two_names_on_one_credential_are_one_person(office: Office) -> None:
    key = office.ask()
    alias = Identity(subject="ada2", roles=ASKER.roles, source="vault", credential=ASKER.credential, second_factor=True)
    with pytest.raises(NotAllowed, match="cannot approve"):
        approve(office.desk, alias, key)


def test_a_steward_may_ask_but_not_approve(office: Office) -> None:
    steward = person("cy", Role.STEWARD)
    key = office.ask(steward)
    with pytest.raises(NotAllowed):
        approve(office.desk, person("di", Role.STEWARD), key)
    approve(office.desk, SECOND, key)
    assert office.answer(key, steward) == VALUE


def test_approval_and_answer_need_a_second_factor(office: Office) -> None:
    key = office.ask()
    with pytest.raises(NotAllowed, match="second factor"):
        approve(office.desk, person("bo", Role.COMPLIANCE, factor=False), key)
    approve(office.desk, SECOND, key)
    with pytest.raises(NotAllowed, match="second factor"):
        office.answer(key, person("ada", Role.COMPLIANCE, factor=False))


def test_only_the_person_who_asked_has_the_answer(office: Office) -> None:
    key = office.ask()
    approve(office.desk, SECOND, key)
    with pytest.raises(NotAllowed):
        office.answer(key, SECOND)


def test_nothing_is_revealed_before_approval(office: Office) -> None:
    key = office.ask()
    with pytest.raises(NotAllowed):
        office.answer(key)


def test_requests_and_approvals_expire(office: Office) -> None:
    late, key = office.ask(), office.ask()
    approve(office.desk, SECOND, key)
    office.clock.at += timedelta(hours=1, seconds=1)
    with pytest.raises(NotAllowed):
        office.answer(key)
    office.clock.at += timedelta(days=2)
    with pytest.raises(NotAllowed):
        approve(office.desk, SECOND, late)


def test_what_cannot_be_recorded_does_not_happen(office: Office) -> None:
    office.sink_is_down = True
    with pytest.raises(AuditUnavailable):
        office.ask()
    assert office.desk.registry.find(COLLECTION) == []
    office.sink_is_down = False
    key = office.ask()
    office.sink_is_down = True
    with pytest.raises(AuditUnavailable):
        approve(office.desk, SECOND, key)
    with pytest.raises(NotAllowed):
        office.answer(key)
    office.sink_is_down = False
    approve(office.desk, SECOND, key)
    office.sink_is_down = True
    with pytest.raises(AuditUnavailable):
        office.answer(key)
    office.sink_is_down = False
    assert office.answer(key) == VALUE


def test_the_record_is_written_before_the_mapping_is_opened(office: Office) -> None:
    key = office.ask()
    approve(office.desk, SECOND, key)
    seen: list[AuditKind] = []

    def unseal(sealed: SealedIdentifier) -> str:
        seen.extend(office.steps)
        return "someone"

    reveal(office.desk, ASKER, key, locate=office.locate, unseal=unseal)
    assert seen[-1] is AuditKind.REIDENTIFICATION_REVEALED
    assert office.trail[-1].details["key_version"] == 1
    assert (office.trail[-1].details["kind"], office.trail[-1].details["token_mode"]) == ("text", "keyed")


def test_the_mapping_that_was_approved_is_the_one_opened(office: Office) -> None:
    key = request(office.desk, ASKER, token=office.token, purpose="study", domain="visit", reason="safety report 7")
    approve(office.desk, SECOND, key)
    asked: list[tuple[str, ...]] = []

    def locate(*about: str) -> SealedIdentifier:
        asked.append(about)
        return office.locate("reidentified", "patient", office.token)

    reveal(office.desk, ASKER, key, locate=locate, unseal=office.unseal)
    assert asked == [("study", "visit", office.token)]


def test_an_answer_that_cannot_be_found_now_is_not_spent(office: Office) -> None:
    def no_vault(purpose: str, domain: str, token: str) -> SealedIdentifier:
        raise KeysUnavailable("The vault does not answer.", which=[f"{purpose}/{domain}"])

    key = office.ask()
    approve(office.desk, SECOND, key)
    with pytest.raises(KeysUnavailable, match="dev/patient"):
        reveal(office.desk, ASKER, key, locate=no_vault, unseal=office.unseal)
    assert AuditKind.REIDENTIFICATION_REVEALED not in office.steps
    assert office.answer(key) == VALUE


def test_an_answer_that_the_vault_refuses_is_still_to_be_had(office: Office) -> None:
    def refused(_: SealedIdentifier) -> str:
        raise NotAllowed("The vault's policy forbids this.")

    key = office.ask()
    approve(office.desk, SECOND, key)
    with pytest.raises(NotAllowed, match="policy"):
        reveal(office.desk, ASKER, key, locate=office.locate, unseal=refused)
    assert office.answer(key) == VALUE
    with pytest.raises(NotAllowed, match="not open"):
        office.answer(key)


class Killed(BaseException):
    """Stands for a process that ends at once: nothing after it runs."""


def test_a_step_that_was_killed_half_way_is_taken_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_when(state: str) -> None:
        def replace(collection: str, key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
            if before["state"] == state:
                raise Killed
            return SqliteRegistry.replace(office.registry, collection, key, before, after)

        monkeypatch.setattr(office.registry, "replace", replace)

    def is_stuck_until_its_claim_lapses(step: Callable[[], object]) -> None:
        with pytest.raises(Killed):
            step()
        monkeypatch.undo()
        assert open_requests(office.desk, SECOND) == []
        with pytest.raises(NotAllowed, match="not open"):
            step()
        office.clock.at += timedelta(minutes=5)
        assert [each["request"] for each in open_requests(office.desk, SECOND)] == [key]

    key = office.ask()
    end_when("approving")
    is_stuck_until_its_claim_lapses(lambda: approve(office.desk, SECOND, key))
    approve(office.desk, SECOND, key)
    end_when("revealing")
    is_stuck_until_its_claim_lapses(lambda: office.answer(key))
    assert office.answer(key) == VALUE


def test_a_token_that_the_mapping_does_not_hold_spends_no_answer(office: Office) -> None:
    key = request(office.desk, ASKER, token=office.token[:-1], purpose="dev", domain="patient", reason="safety report 7")
    approve(office.desk, SECOND, key)
    for _ in range(2):
        with pytest.raises(ContractBroken, match="no such token"):
            office.answer(key)
    assert AuditKind.REIDENTIFICATION_REVEALED not in office.steps


def test_a_request_needs_a_reason(office: Office) -> None:
    with pytest.raises(ConfigurationError, match="reason"):
        request(office.desk, ASKER, token=office.token, purpose="dev", domain="patient", reason=" ")
