"""What both vaults promise: the sealed key file and OpenBao."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.servers.openbao import OpenBaoServer

from wardlake.adapters.openbao_keys import OpenBaoKeys
from wardlake.adapters.openbao_session import AppRoleCredentials, OpenBaoSession, VaultAddress
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.model.errors import KeysUnavailable, NotAllowed
from wardlake.ports.keys import Keys

IMPLEMENTATIONS = ("sealed_key_file", "openbao_keys")


def openbao_keys(server: OpenBaoServer, role: str = "pipeline") -> OpenBaoKeys:
    approle = server.approles[role]
    credentials = AppRoleCredentials(role_id=approle.role_id, secret_id=approle.secret_id)
    return OpenBaoKeys(OpenBaoSession(VaultAddress(url=server.address), credentials))


def sealed_key_file(folder: Path) -> SealedKeyFile:
    create_key_file(folder / "keys.json", folder / "master.key")
    return SealedKeyFile(folder / "keys.json", folder / "master.key")


@pytest.fixture(params=IMPLEMENTATIONS)
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Keys:
    match request.param:
        case "sealed_key_file":
            return sealed_key_file(tmp_path)
        case "openbao_keys":
            return openbao_keys(request.getfixturevalue("openbao_server"))
        case other:
            raise ValueError(other)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A key of the test's own: one vault serves them all."""
    return f"dev/{abs(hash(request.node.nodeid))}"


def test_a_created_key_has_256_bits_and_is_read_again(keys: Keys, name: str) -> None:
    created = keys.create(name)
    assert (created.version, len(created.material)) == (1, 32)
    assert keys.latest(name) == created


def test_two_keys_differ(keys: Keys, name: str) -> None:
    assert keys.create(name).material != keys.create(f"{name}-other").material


def test_a_rotated_key_has_a_new_version_and_the_old_one_stays(keys: Keys, name: str) -> None:
    old = keys.create(name)
    new = keys.rotate(name)
    assert (new.version, keys.versions(name)) == (2, (1, 2))
    assert new.material != old.material
    assert keys.latest(name) == new
    assert keys.version(name, 1) == old


@pytest.mark.parametrize(
    "read",
    [
        lambda keys, name: keys.latest(name),
        lambda keys, name: keys.version(name, 1),
        lambda keys, name: keys.rotate(name),
        lambda keys, name: keys.new_data_key(name),
        lambda keys, name: keys.unwrap(name, "vault:v1:AAAA"),
    ],
)
def test_a_key_that_does_not_exist_is_refused_and_not_created(keys: Keys, name: str, read: Callable[[Keys, str], object]) -> None:
    with pytest.raises(KeysUnavailable):
        read(keys, name)
    assert keys.versions(name) == ()
    with pytest.raises(KeysUnavailable):
        keys.new_data_key(name)


def test_a_version_that_does_not_exist_is_refused(keys: Keys, name: str) -> None:
    keys.create(name)
    with pytest.raises(KeysUnavailable):
        keys.version(name, 7)


def test_a_key_is_not_created_twice(keys: Keys, name: str) -> None:
    first = keys.create(name)
    with pytest.raises(NotAllowed):
        keys.create(name)
    assert keys.latest(name) == first


def test_a_wrapping_key_is_not_created_twice(keys: Keys, name: str) -> None:
    keys.create_wrapping_key(name)
    with pytest.raises(NotAllowed):
        keys.create_wrapping_key(name)


def test_a_wrapping_key_is_no_token_key(keys: Keys, name: str) -> None:
    keys.create_wrapping_key(name)
    with pytest.raises(KeysUnavailable):
        keys.latest(name)


def test_a_data_key_unwraps_to_itself_and_each_is_fresh(keys: Keys, name: str) -> None:
    keys.create_wrapping_key(name)
    one, two = keys.new_data_key(name), keys.new_data_key(name)
    assert len(one.plain) == 32
    assert one.plain != two.plain
    assert keys.unwrap(name, one.wrapped) == one.plain
    assert one.plain.hex() not in one.wrapped


def test_a_data_key_does_not_unwrap_under_another_key_or_when_changed(keys: Keys, name: str) -> None:
    keys.create_wrapping_key(name)
    keys.create_wrapping_key(f"{name}-other")
    wrapped = keys.new_data_key(name).wrapped
    changed = wrapped[:-6] + ("AAAAAA" if wrapped[-6:] != "AAAAAA" else "BBBBBB")
    for key, text in ((f"{name}-other", wrapped), (name, changed), (name, "nonsense")):
        with pytest.raises(KeysUnavailable):
            keys.unwrap(key, text)


@pytest.mark.parametrize("bad", ["", "/dev", "dev//x", "../sys", "dev/patient?x", "dev/päti", "dev.patient", "-a", "a/"])
def test_a_name_that_is_no_name_reaches_no_vault(keys: Keys, bad: str) -> None:
    for call in (keys.latest, keys.versions, keys.create, keys.rotate, keys.create_wrapping_key, keys.new_data_key):
        with pytest.raises(KeysUnavailable, match="not a key's name"):
            call(bad)


def test_material_stays_out_of_repr(keys: Keys, name: str) -> None:
    key = keys.create(name)
    keys.create_wrapping_key(name)
    data_key = keys.new_data_key(name)
    assert repr(key.material) not in repr(key)
    assert repr(data_key.plain) not in repr(data_key)


def test_a_reachable_vault_says_so(keys: Keys) -> None:
    keys.reachable()


# --- the vault away or sealed ------------------------------------------------------------------------------------------


@pytest.fixture(params=[*IMPLEMENTATIONS, "openbao_stopped"])
def sealed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keys]:
    """A vault that held a key and is now sealed or gone."""
    if request.param == "sealed_key_file":
        keys: Keys = sealed_key_file(tmp_path)
        keys.create("dev/patient")
        (tmp_path / "master.key").unlink()
        yield keys
        return
    server: OpenBaoServer = request.getfixturevalue("own_openbao")
    keys = openbao_keys(server)
    keys.create("dev/patient")
    if request.param == "openbao_stopped":
        server.stop()
    else:
        server.seal()
    yield keys


def test_a_sealed_or_absent_vault_gives_no_key_and_says_so(sealed: Keys) -> None:
    for call in (sealed.latest, sealed.rotate, sealed.create_wrapping_key):
        with pytest.raises(KeysUnavailable):
            call("dev/patient")
    with pytest.raises(KeysUnavailable):
        sealed.create("dev/new")
    with pytest.raises(KeysUnavailable):
        sealed.reachable()


# --- the sealed file alone ---------------------------------------------------------------------------------------------


def test_the_key_file_holds_no_key_in_clear_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = sealed_key_file(tmp_path).create("dev/patient")
    text = (tmp_path / "keys.json").read_bytes()
    assert key.material not in text
    assert key.material.hex().encode() not in text
    assert b"ot for production" in text
    for file in ("keys.json", "master.key"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys = sealed_key_file(tmp_path)
    keys.create("dev/patient")
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(KeysUnavailable, match="Others may read"):
        keys.latest("dev/patient")


def test_reading_an_absent_key_file_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeysUnavailable):
        SealedKeyFile(tmp_path / "none.json", tmp_path / "master.key").versions("dev/patient")
    assert not (tmp_path / "none.json").exists()


def test_a_key_moved_to_another_name_does_not_open(tmp_path: Path) -> None:
    keys = sealed_key_file(tmp_path)
    keys.create("dev/patient")
    keys.create("study/patient")
    text = (tmp_path / "keys.json").read_text()
    (tmp_path / "keys.json").write_text(text.replace("dev/patient", "x").replace("study/patient", "dev/patient"))
    with pytest.raises(KeysUnavailable, match="does not open"):
        keys.latest("dev/patient")


def test_a_key_file_is_not_made_over_another(tmp_path: Path) -> None:
    sealed_key_file(tmp_path)
    with pytest.raises(NotAllowed):
        create_key_file(tmp_path / "keys.json", tmp_path / "master.key")


def _create_ten(folder: Path, worker: int) -> None:
    keys = SealedKeyFile(folder / "keys.json", folder / "master.key")
    for number in range(10):
        keys.create(f"dev/w{worker}n{number}")


def test_two_processes_lose_no_key(tmp_path: Path) -> None:
    keys = sealed_key_file(tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_create_ten, args=(tmp_path, worker)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [keys.versions(f"dev/w{worker}n{number}") for worker in range(2) for number in range(10)] == [(1,)] * 20


# --- the vault alone ---------------------------------------------------------------------------------------------------


def test_a_role_without_the_policy_is_not_allowed(openbao_server: OpenBaoServer, name: str) -> None:
    pipeline, engineer = openbao_keys(openbao_server), openbao_keys(openbao_server, "engineer")
    pipeline.create(name)
    for call in (engineer.latest, engineer.versions, engineer.rotate, engineer.create, engineer.new_data_key):
        with pytest.raises(NotAllowed):
            call(name)


def test_wrong_credentials_are_not_allowed(openbao_server: OpenBaoServer) -> None:
    credentials = AppRoleCredentials(role_id=openbao_server.approles["pipeline"].role_id, secret_id="wrong")
    keys = OpenBaoKeys(OpenBaoSession(VaultAddress(url=openbao_server.address), credentials))
    with pytest.raises(NotAllowed, match="refuses these credentials"):
        keys.reachable()


def test_a_token_past_half_its_life_is_renewed_and_a_revoked_one_replaced(openbao_server: OpenBaoServer, name: str) -> None:
    now = [0.0]
    approle = openbao_server.approles["pipeline"]
    credentials = AppRoleCredentials(role_id=approle.role_id, secret_id=approle.secret_id)
    session = OpenBaoSession(VaultAddress(url=openbao_server.address), credentials, monotonic=lambda: now[0])
    keys = OpenBaoKeys(session)
    key = keys.create(name)
    first = session.call(lambda client: str(client.token), "token")
    now[0] += 700.0
    assert keys.latest(name) == key
    assert session.call(lambda client: str(client.token), "token") == first
    openbao_server.root().auth.token.revoke(first)
    assert keys.latest(name) == key
    assert session.call(lambda client: str(client.token), "token") != first


def test_a_wrapping_key_cannot_be_made_exportable_by_the_pipeline(openbao_server: OpenBaoServer, name: str) -> None:
    keys = openbao_keys(openbao_server)
    keys.create_wrapping_key(name)
    path = name.replace("/", ".")
    root = openbao_server.root().read(f"wrapping/keys/{path}")["data"]
    assert (root["exportable"], root["allow_plaintext_backup"], root["deletion_allowed"]) == (False, False, False)
