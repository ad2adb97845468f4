"""Where a source's credentials lie: in the vault, which the pipeline reads and an engineer does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.servers.openbao import OpenBaoServer

from wardlake.model.errors import ConfigurationError, KeysUnavailable, NotAllowed
from wardlake.settings.environment import Environment, OpenBao
from wardlake.wiring import Wiring

PLACE = "vault:secret/sources/records"
SECRET = {"user": "reader", "password": "a-password-of-a-source"}


def wiring_as(server: OpenBaoServer, role: str, tmp_path: Path) -> Wiring:
    approle = server.approles[role]
    for name, value in {"role": approle.role_id, "secret": approle.secret_id}.items():
        (tmp_path / name).write_text(value)
    keys = OpenBao(address=server.address, role_id=f"file:{tmp_path}/role", secret_id=f"file:{tmp_path}/secret")
    return Wiring(environment=Environment(name="vaulted", keys=keys), lake=str(tmp_path), root=tmp_path)


@pytest.fixture
def stored(openbao_server: OpenBaoServer) -> OpenBaoServer:
    openbao_server.root().secrets.kv.v2.create_or_update_secret("sources/records", secret=SECRET, mount_point="secret")
    return openbao_server


def test_the_pipeline_reads_a_sources_credentials_from_the_vault(stored: OpenBaoServer, tmp_path: Path) -> None:
    assert json.loads(wiring_as(stored, "pipeline", tmp_path).secret(PLACE)) == SECRET


def test_an_engineer_reads_none(stored: OpenBaoServer, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="policy") as refused:
        wiring_as(stored, "engineer", tmp_path).secret(PLACE)
    assert SECRET["password"] not in str(refused.value)


def test_a_secret_that_is_not_there_is_named(stored: OpenBaoServer, tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable, match="sources/nothing"):
        wiring_as(stored, "pipeline", tmp_path).secret("vault:secret/sources/nothing")


def test_an_environment_without_a_vault_says_so(tmp_path: Path) -> None:
    embedded = Wiring(environment=Environment(name="embedded"), lake=str(tmp_path), root=tmp_path)
    with pytest.raises(ConfigurationError, match="embedded has none"):
        embedded.secret(PLACE)
