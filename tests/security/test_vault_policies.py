"""Who can reach what in the vault: a real OpenBao with the policies of `infra/openbao`, attacked with real credentials.

An engineer reaches no key, by any door. Compliance can unwrap a mapping's key and holds no token key. The pipeline can
neither delete a key nor take a wrapping key out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden
from tests.servers.openbao import OpenBaoServer
from tests.servers.processes import ROOT

from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.adapters.totp import code_at, time_step
from wardlake.model.errors import NotAllowed

TOKEN_KEY, WRAPPING_KEY = "dev.guarded", "mapping.guarded"
SOURCE_SECRET = "a-password-of-a-source"


def keys_as(server: OpenBaoServer, role: str) -> OpenBaoKeys:
    approle = server.approles[role]
    credentials = AppRoleCredentials(role_id=approle.role_id, secret_id=approle.secret_id)
    return OpenBaoKeys(OpenBaoSession(VaultAddress(url=server.address), credentials))


@dataclass(frozen=True)
class Guarded:
    """What is worth stealing."""

    server: OpenBaoServer
    material: bytes
    plain: bytes
    wrapped: str


@pytest.fixture(scope="module")
def guarded(openbao_server: OpenBaoServer) -> Guarded:
    pipeline, root = keys_as(openbao_server, "pipeline"), openbao_server.root()
    key = pipeline.create("dev/guarded")
    pipeline.create_wrapping_key("mapping/guarded")
    data_key = pipeline.new_data_key("mapping/guarded")
    for path in ("sources/synthea", "pipeline/webhook", "reidentification/case-1"):
        root.secrets.kv.v2.create_or_update_secret(path, secret={"password": SOURCE_SECRET}, mount_point="secret")
    return Guarded(openbao_server, key.material, data_key.plain, data_key.wrapped)


Attack = Callable[[hvac.Client, Guarded], Any]


def read(path: str) -> Attack:
    return lambda client, _: client.read(path)


def listing(path: str) -> Attack:
    return lambda client, _: client.list(path)


def write(path: str, **data: Any) -> Attack:
    return lambda client, _: client.write_data(path, data=data)


def delete(path: str) -> Attack:
    return lambda client, _: client.delete(path)


def unwrap(client: hvac.Client, guarded: Guarded) -> Any:
    return client.write_data(f"wrapping/decrypt/{WRAPPING_KEY}", data={"ciphertext": guarded.wrapped})


def rewrap(client: hvac.Client, guarded: Guarded) -> Any:
    return client.write_data(f"wrapping/rewrap/{WRAPPING_KEY}", data={"ciphertext": guarded.wrapped})


TOKEN_KEYS: dict[str, Attack] = {
    "export": read(f"tokens/export/hmac-key/{TOKEN_KEY}/latest"),
    "export a version": read(f"tokens/export/hmac-key/{TOKEN_KEY}/1"),
    "export all": read(f"tokens/export/hmac-key/{TOKEN_KEY}"),
    "describe": read(f"tokens/keys/{TOKEN_KEY}"),
    "rotate": write(f"tokens/keys/{TOKEN_KEY}/rotate"),
    "create": write("tokens/keys/dev.mine", type="hmac", key_size=32, exportable=True),
    "compute a token": write(f"tokens/hmac/{TOKEN_KEY}", input="MTIzNDU="),
}
TOKEN_KEYS_NEVER: dict[str, Attack] = {
    "list": listing("tokens/keys"),
    "back up": read(f"tokens/backup/{TOKEN_KEY}"),
    "allow deletion": write(f"tokens/keys/{TOKEN_KEY}/config", deletion_allowed=True),
    "forget old versions": write(f"tokens/keys/{TOKEN_KEY}/config", min_decryption_version=1),
    "trim": write(f"tokens/keys/{TOKEN_KEY}/trim", min_available_version=1),
    "delete": delete(f"tokens/keys/{TOKEN_KEY}"),
    "import": write("tokens/keys/dev.known/import", type="hmac", ciphertext="AAAA"),
    "restore": write("tokens/restore/dev.known", backup="AAAA"),
}
WRAPPING_KEYS_NEVER: dict[str, Attack] = {
    "export": read(f"wrapping/export/encryption-key/{WRAPPING_KEY}/latest"),
    "export for hmac": read(f"wrapping/export/hmac-key/{WRAPPING_KEY}/latest"),
    "make exportable": write(f"wrapping/keys/{WRAPPING_KEY}/config", exportable=True, allow_plaintext_backup=True),
    "back up": read(f"wrapping/backup/{WRAPPING_KEY}"),
    "list": listing("wrapping/keys"),
    "delete": delete(f"wrapping/keys/{WRAPPING_KEY}"),
    "rotate": write(f"wrapping/keys/{WRAPPING_KEY}/rotate"),
    "rewrap": rewrap,
    "create exportable": write("wrapping/keys/mine", type="aes256-gcm96", exportable=True),
    "create of another type": write("wrapping/keys/mine", type="rsa-2048", exportable=False),
    "create derived": write("wrapping/keys/mine", type="aes256-gcm96", derived=True),
}
DATA_KEYS: dict[str, Attack] = {
    "new": write(f"wrapping/datakey/plaintext/{WRAPPING_KEY}"),
    "unwrap": unwrap,
    "describe": read(f"wrapping/keys/{WRAPPING_KEY}"),
}
SECRETS: dict[str, Attack] = {
    "source": read("secret/data/sources/synthea"),
    "pipeline": read("secret/data/pipeline/webhook"),
}
CASES: dict[str, Attack] = {
    "read": read("secret/data/reidentification/case-1"),
    "write": write("secret/data/reidentification/case-1", data={"approved": True}),
}
SECRETS_NEVER: dict[str, Attack] = {
    "list sources": listing("secret/metadata/sources"),
    "list all": listing("secret/metadata/"),
    "metadata": read("secret/metadata/sources/synthea"),
    "overwrite": write("secret/data/sources/synthea", data={"password": "mine"}),
    "delete": delete("secret/data/sources/synthea"),
}
SYSTEM_NEVER: dict[str, Attack] = {
    "read a policy": read("sys/policies/acl/wardlake-pipeline"),
    "change a policy": write("sys/policies/acl/wardlake-engineer", policy='path "*" { capabilities = ["sudo"] }'),
    "mounts": read("sys/mounts"),
    "seal": write("sys/seal"),
    "turn the audit off": delete("sys/audit/main"),
    "audit devices": read("sys/audit"),
    "raw storage": read("sys/raw/core/keyring"),
    "snapshot": read("sys/storage/raft/snapshot"),
    "the pipeline's secret id": write("auth/approle/role/wardlake-pipeline/secret-id"),
    "the pipeline's role id": read("auth/approle/role/wardlake-pipeline/role-id"),
    "a token of another policy": write("auth/token/create", policies=["wardlake-pipeline"]),
    "an orphan token": write("auth/token/create-orphan"),
    "own entity's policies": write("identity/entity/name/me", policies=["wardlake-pipeline"]),
    "another's second factor": read("totp/code/somebody"),
    "enrol a second factor": write("totp/keys/mine", generate=True, issuer="x", account_name="x"),
    "list second factors": listing("totp/keys"),
}
NEVER = {"tokens": TOKEN_KEYS_NEVER, "wrapping": WRAPPING_KEYS_NEVER, "secrets": SECRETS_NEVER, "system": SYSTEM_NEVER}
EVERYTHING = {**NEVER, "token keys": TOKEN_KEYS, "data keys": DATA_KEYS, "kv": SECRETS, "cases": CASES}


def cases(groups: dict[str, dict[str, Attack]]) -> list[Any]:
    return [pytest.param(attack, id=f"{group}: {name}") for group, each in groups.items() for name, attack in each.items()]


def assert_refused(attack: Attack, client: hvac.Client, guarded: Guarded) -> None:
    with pytest.raises(Forbidden) as refused:
        attack(client, guarded)
    for secret in (guarded.material.hex(), guarded.plain.hex(), SOURCE_SECRET):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("attack", cases(EVERYTHING))
@pytest.mark.parametrize("role", ["engineer", "steward", "auditor"])
def test_roles_that_need_nothing_of_the_vault_get_nothing(guarded: Guarded, role: str, attack: Attack) -> None:
    assert_refused(attack, guarded.server.client(role), guarded)


@pytest.mark.parametrize("attack", cases({**NEVER, "token keys": TOKEN_KEYS, "kv": SECRETS}))
def test_compliance_holds_no_token_key_and_no_secret_of_the_pipeline(guarded: Guarded, attack: Attack) -> None:
    assert_refused(attack, guarded.server.client("compliance"), guarded)


@pytest.mark.parametrize("attack", cases({**NEVER, "cases": CASES}))
def test_the_pipeline_loses_no_key_takes_none_out_and_decides_no_case(guarded: Guarded, attack: Attack) -> None:
    assert_refused(attack, guarded.server.client("pipeline"), guarded)


def test_the_pipeline_can_do_its_work(guarded: Guarded) -> None:
    keys, client = keys_as(guarded.server, "pipeline"), guarded.server.client("pipeline")
    assert keys.latest("dev/guarded").material == guarded.material
    assert keys.unwrap("mapping/guarded", guarded.wrapped) == guarded.plain
    assert client.read("secret/data/sources/synthea")["data"]["data"] == {"password": SOURCE_SECRET}


def test_compliance_can_unwrap_and_keep_its_cases_but_makes_no_data_key(guarded: Guarded) -> None:
    keys, client = keys_as(guarded.server, "compliance"), guarded.server.client("compliance")
    assert keys.unwrap("mapping/guarded", guarded.wrapped) == guarded.plain
    assert client.read("secret/data/reidentification/case-1")["data"]["data"] == {"password": SOURCE_SECRET}
    with pytest.raises(NotAllowed):
        keys.new_data_key("mapping/guarded")


@pytest.mark.parametrize("mistake", ["pipeline", "compliance"])
def test_an_engineer_who_is_given_another_role_by_mistake_is_denied(guarded: Guarded, mistake: str) -> None:
    client = hvac.Client(url=guarded.server.address, token=guarded.server.person("engineer", mistake).token)
    for attack in (*TOKEN_KEYS.values(), *DATA_KEYS.values(), *SECRETS.values(), *CASES.values()):
        assert_refused(attack, client, guarded)


def test_every_path_that_another_role_opens_is_denied_to_engineers() -> None:
    def paths(role: str) -> set[str]:
        text = (ROOT / "infra" / "openbao" / f"{role}.hcl").read_text()
        return set(re.findall(r'^path "([^"]+)"', text, flags=re.MULTILINE))

    opened = paths("pipeline") | paths("compliance")
    assert opened
    assert opened - paths("engineer") == set()


def test_a_token_without_any_policy_of_ours_gets_nothing(guarded: Guarded) -> None:
    client = guarded.server.client_of(guarded.server.new_approle("default"))
    for attack in (*TOKEN_KEYS.values(), *DATA_KEYS.values(), *SECRETS.values(), *CASES.values()):
        assert_refused(attack, client, guarded)


def test_a_person_checks_their_own_second_factor_and_nobody_elses(guarded: Guarded) -> None:
    one, other = guarded.server.person("compliance"), guarded.server.person("compliance")
    client = hvac.Client(url=guarded.server.address, token=one.token)
    code = code_at(one.totp_secret, time_step(datetime.now(UTC)))
    assert client.write_data(f"totp/code/{one.entity_id}", data={"code": code})["data"]["valid"] is True
    with pytest.raises(Forbidden):
        client.write_data(f"totp/code/{other.entity_id}", data={"code": code})
    for path in (f"totp/code/{one.entity_id}", f"totp/keys/{one.entity_id}"):
        with pytest.raises(Forbidden):
            client.read(path)  # reading generates a code: whoever can is the second factor


def test_the_vaults_own_audit_saw_who_was_refused_and_holds_no_key(guarded: Guarded) -> None:
    client = guarded.server.client("engineer")
    with pytest.raises(Forbidden):
        TOKEN_KEYS["export"](client, guarded)
    entries = [json.loads(line) for line in guarded.server.audit_log.read_text().splitlines()]
    refused = [e for e in entries if e.get("error") and e["request"]["path"].startswith("tokens/export/")]
    assert any("wardlake-engineer" in (e["auth"].get("policies") or []) for e in refused)
    text = guarded.server.audit_log.read_text()
    for secret in (guarded.material, guarded.plain):
        for form in (secret.hex(), base64.b64encode(secret).decode()):
            assert form not in text
    assert SOURCE_SECRET not in text
