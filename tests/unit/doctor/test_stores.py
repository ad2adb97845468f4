"""The doctor follows what an environment names: its references, and the stores behind its ports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.processes import ROOT

from wardlake.adapters.sealed_key_file import SealedKeyFile
from wardlake.doctor import Check, State, check_environment
from wardlake.doctor.references import check_references, named_references
from wardlake.doctor.stores import check_stores, embedded_files
from wardlake.model.errors import KeysUnavailable
from wardlake.model.zones import LakeLayout
from wardlake.ports.audit_sink import AuditEntry, SinkUnavailable
from wardlake.ports.registry import RegistryUnavailable
from wardlake.settings import environment as env
from wardlake.settings.load import load_environment
from wardlake.wiring import Wiring

EMBEDDED = env.Environment(name="embedded")
SERVED = env.Environment(name="served", registry=env.Postgres(dsn="env:REGISTRY"))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def wired(lake: Path, environment: env.Environment = EMBEDDED) -> Wiring:
    return Wiring(environment=environment, lake=str(lake), root=lake)


class Answers:
    """A store that says what it is told to say."""

    def __init__(self, problem: Exception | None = None, head: AuditEntry | None = None) -> None:
        self.problem, self.newest = problem, head

    def reachable(self) -> None:
        if self.problem:
            raise self.problem

    def head(self) -> AuditEntry | None:
        self.reachable()
        return self.newest


@dataclasses.dataclass
class Told:
    """Stores that answer as told."""

    keys: Any = dataclasses.field(default_factory=Answers)
    registry: Any = dataclasses.field(default_factory=Answers)
    audit_sink: Any = dataclasses.field(default_factory=Answers)
    layout: LakeLayout = dataclasses.field(default_factory=lambda: LakeLayout("/nowhere", {}))


# --- references --------------------------------------------------------------------------------------------------------


def test_every_reference_of_the_example_cluster_that_leads_nowhere_is_a_row_with_its_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment, _ = load_environment(ROOT / "conf", "cluster")
    references = {reference for _, reference in named_references(environment)}
    for reference in references:
        monkeypatch.delenv(reference.removeprefix("env:"), raising=False)
    lines = (ROOT / "conf" / "environments" / "cluster.yaml").read_text().splitlines()
    written = {part for line in lines if "storage_credentials" not in line for part in line.split() if part.startswith("env:")}
    lost = check_references(environment)
    assert references == written
    assert {check.remedy for check in lost} == {f"provide {reference}" for reference in written}
    assert {check.state for check in lost} == {State.MISSING}
    assert any("objects.access_key, audit_objects.access_key" in check.detail for check in lost)


def test_references_that_lead_somewhere_are_one_row_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOKEN", "open-sesame")
    (tmp_path / "dsn").write_text("open-sesame")
    [check] = check_references(
        env.Environment(
            name="e",
            registry=env.Postgres(dsn=f"file:{tmp_path}/dsn"),
            pagers=(env.WebhookPager(url="https://p", secret="env:TOKEN"),),
        )
    )
    assert check.state is State.OK
    assert "open-sesame" not in repr(check)


def test_a_secret_written_where_a_reference_belongs_is_named_by_its_place_alone() -> None:
    [check] = check_references(env.Environment(name="e", registry=env.Postgres(dsn="postgresql://ward:open-sesame@db/w")))
    assert check.state is State.MISSING
    assert "registry.dsn" in check.detail
    assert "open-sesame" not in repr(check)


def test_a_file_that_cannot_be_read_as_text_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_bytes(b"\xff")
    for place in (tmp_path / "dsn", tmp_path):
        [check] = check_references(env.Environment(name="e", registry=env.Postgres(dsn=f"file:{place}")))
        assert check.state is State.MISSING


def test_embedded_defaults_refer_to_nothing() -> None:
    assert check_references(EMBEDDED) == []


# --- stores ------------------------------------------------------------------------------------------------------------


def test_an_embedded_lake_that_is_new_lacks_its_key_file_only_and_asking_makes_nothing(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    checks = by_name(check_environment(EMBEDDED, wired(lake)))
    assert {name: check.state for name, check in checks.items()} == {
        "Token keys": State.OPTIONAL_MISSING,
        "Registry tables": State.OK,
        "Audit table": State.OK,
    }
    assert checks["Token keys"].remedy == f"wardlake keys create --source S --env embedded --lake {lake}"
    assert not lake.exists()


def test_an_embedded_lake_in_use_answers(tmp_path: Path) -> None:
    wiring = wired(tmp_path)
    wiring.prepare_key_file()
    wiring.registry.put("runs", "one", {})
    wiring.audit_sink.head()
    files = embedded_files(EMBEDDED, wiring.layout)
    assert all(file and file.exists() for file in files)  # where the wiring puts them
    details = {check.name: check.detail for check in check_stores(EMBEDDED, wiring)}
    assert details == {
        "Token keys": "can be reached",
        "Registry tables": "answers",
        "Audit table": "answers; there is no record yet",
    }


def test_a_named_registry_file_is_looked_for_where_the_wiring_puts_it(tmp_path: Path) -> None:
    environment = env.Environment(name="e", registry=env.Sqlite(file=str(tmp_path / "own" / "registry.db")))
    wiring = wired(tmp_path, environment)
    wiring.registry.put("runs", "one", {})
    wiring.audit_sink.head()
    assert all(file and file.exists() for file in embedded_files(environment, wiring.layout))


@pytest.mark.parametrize(
    "spoil",
    [lambda folder: (folder / "keys.json").write_text("{"), lambda folder: (folder / "keys.json").chmod(0o644)],
    ids=["damaged", "readable by others"],
)
def test_a_key_file_that_does_not_serve_is_missing(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    wiring = wired(tmp_path)
    wiring.prepare_key_file()
    assert isinstance(wiring.keys, SealedKeyFile)
    spoil(tmp_path / "restricted" / "keys")
    assert by_name(check_stores(EMBEDDED, wiring))["Token keys"].state is State.MISSING


def test_a_vault_that_is_sealed_says_so_and_what_to_do() -> None:
    sealed = Answers(KeysUnavailable("The vault is sealed.", next_step="Unseal it, then run again."))
    check = by_name(check_stores(SERVED, Told(keys=sealed)))["Token keys"]
    assert (check.state, check.detail, check.remedy) == (State.MISSING, "The vault is sealed.", "Unseal it, then run again.")


def test_the_doctor_is_no_remedy_of_the_doctor() -> None:
    silent = Answers(KeysUnavailable("The vault does not answer.", next_step="wardlake doctor"))
    assert "doctor" not in by_name(check_stores(SERVED, Told(keys=silent)))["Token keys"].remedy


def test_a_registry_and_an_audit_without_tables_name_the_command_that_makes_them() -> None:
    told = Told(registry=Answers(RegistryUnavailable("42P01")), audit_sink=Answers(SinkUnavailable("42P01")))
    checks = by_name(check_stores(SERVED, told))
    for name in ("Registry tables", "Audit table"):
        assert checks[name].state is State.MISSING
        assert "wardlake audit migrate --env served" in checks[name].remedy


def test_a_file_of_a_certificate_that_is_not_there_is_a_row_and_no_crash() -> None:
    check = by_name(check_stores(SERVED, Told(keys=Answers(OSError("/secret/place")))))["Token keys"]
    assert check.state is State.MISSING
    assert "/secret/place" not in check.detail


def test_the_audits_newest_record_is_counted() -> None:
    entry = AuditEntry(sequence=7, previous="", hash="", body="")
    assert "number 7" in by_name(check_stores(SERVED, Told(audit_sink=Answers(head=entry))))["Audit table"].detail


def test_a_service_that_does_not_answer_is_not_asked_again() -> None:
    assert check_stores(SERVED, Told(), silent={"Keys", "Registry"}) == []
