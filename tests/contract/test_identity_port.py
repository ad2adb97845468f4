"""What every identity provider promises: the operating system's user, a vault token, an OpenID Connect token."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from tests.servers.openbao import OpenBaoServer

from wardlake.adapters.oidc_identity import OidcIdentity, OidcIssuer
from wardlake.adapters.openbao_identity import OpenBaoIdentity
from wardlake.adapters.openbao_session import VaultAddress
from wardlake.adapters.system_identity import SystemIdentity
from wardlake.adapters.totp import code_at, time_step
from wardlake.model.errors import ConfigurationError, KeysUnavailable, NotAllowed
from wardlake.model.identity import Role
from wardlake.ports.identity import IdentityProvider

IMPLEMENTATIONS = ("system_identity", "openbao_identity", "oidc_identity")
SECRET = "JBSWY3DPEHPK3PXP"
ME = pwd.getpwuid(os.getuid()).pw_name

SIGNING = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def jwks(key: ec.EllipticCurvePrivateKey, kid: str = "k1") -> dict[str, Any]:
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"keys": [{**public, "kid": kid, "alg": "ES256", "use": "sig"}]}


ISSUER = OidcIssuer(
    issuer="https://login.example.org",
    audience="wardlake",
    keys=jwks(SIGNING),
    role_claim="wardlake_roles",
    roles={"ward-compliance": Role.COMPLIANCE, "ward-steward": Role.STEWARD},
)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER.issuer,
        "aud": ISSUER.audience,
        "sub": "alice@example.org",
        "iat": now,
        "exp": now + 300,
        "wardlake_roles": ["ward-compliance", "payroll"],
    } | changes


def token(payload: Mapping[str, Any], key: Any = SIGNING, *, kid: str | None = "k1", algorithm: str = "ES256") -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(dict(payload), key, algorithm=algorithm, headers=headers)


def stepped_up(**changes: Any) -> str:
    return token(claims(amr=["pwd", "otp"], auth_time=int(time.time())) | changes)


@dataclass
class Caller:
    """A provider for one person of the compliance role, the right code for now, and a second person's provider."""

    provider: IdentityProvider
    right_code: Callable[[], str]
    other: IdentityProvider


@pytest.fixture(params=IMPLEMENTATIONS)
def caller(request: pytest.FixtureRequest, tmp_path: Path) -> Caller:
    match request.param:
        case "system_identity":
            return system_caller(tmp_path)
        case "openbao_identity":
            return vault_caller(request.getfixturevalue("openbao_server"))
        case "oidc_identity":
            other = OidcIdentity(ISSUER, token(claims(sub="bob")))
            return Caller(OidcIdentity(ISSUER, token(claims())), stepped_up, other)
        case other:
            raise ValueError(other)


def system_caller(folder: Path, user_id: Callable[[], int] = os.getuid) -> Caller:
    roles = {ME: [Role.COMPLIANCE], "nobody": [Role.COMPLIANCE]}
    provider = SystemIdentity(roles, second_factors={ME: SECRET}, used_codes=folder / "codes")
    other = SystemIdentity(roles, user_id=lambda: pwd.getpwnam("nobody").pw_uid)
    return Caller(provider, lambda: code_at(SECRET, time_step(datetime.now(UTC))), other)


def vault_caller(server: OpenBaoServer) -> Caller:
    person, other = server.person("compliance"), server.person("compliance")
    address = VaultAddress(url=server.address)
    return Caller(
        OpenBaoIdentity(address, person.token),
        lambda: code_at(person.totp_secret, time_step(datetime.now(UTC))),
        OpenBaoIdentity(address, other.token),
    )


def test_the_caller_has_a_subject_and_the_roles_of_their_credential(caller: Caller) -> None:
    identity = caller.provider.caller()
    assert identity.subject.startswith({"operating-system": "os:"}.get(identity.source, f"{identity.source}:"))
    assert identity.roles == {Role.COMPLIANCE}
    assert not identity.second_factor


def test_the_same_person_is_the_same_and_two_people_are_two(caller: Caller) -> None:
    one, again, other = caller.provider.caller(), caller.provider.caller(), caller.other.caller()
    assert one == again
    assert one.credential != other.credential
    assert one.subject != other.subject


def test_only_the_embedded_identity_is_not_for_production(caller: Caller) -> None:
    identity = caller.provider.caller()
    assert identity.production is (identity.source != "operating-system")


def test_the_right_second_factor_is_the_same_person_with_it(caller: Caller) -> None:
    identity = caller.provider.second_factor(caller.right_code())
    assert identity == replace(caller.provider.caller(), second_factor=True)


@pytest.mark.parametrize("code", ["", "000000", "12345", "abcdef", "1234567890", "ü"])
def test_a_wrong_second_factor_is_not_allowed(caller: Caller, code: str) -> None:
    if code == caller.right_code():
        code = "999999"
    with pytest.raises(NotAllowed):
        caller.provider.second_factor(code)


def test_another_persons_second_factor_is_not_allowed(caller: Caller) -> None:
    with pytest.raises(NotAllowed):
        caller.other.second_factor(caller.right_code())


# --- the operating system ----------------------------------------------------------------------------------------------


def test_a_user_without_a_role_is_not_allowed() -> None:
    for roles in ({}, {"someone-else": [Role.COMPLIANCE]}, {ME: []}):
        with pytest.raises(NotAllowed, match="no role"):
            SystemIdentity(roles).caller()


def test_the_environment_does_not_say_who_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(variable, "nobody")
    with pytest.raises(NotAllowed):
        SystemIdentity({"nobody": [Role.COMPLIANCE]}).caller()


def test_a_user_whom_the_system_does_not_know_is_not_allowed() -> None:
    with pytest.raises(NotAllowed, match="does not know"):
        SystemIdentity({ME: [Role.COMPLIANCE]}, user_id=lambda: 4_000_000).caller()


def test_a_code_serves_once(tmp_path: Path) -> None:
    caller = system_caller(tmp_path)
    code = caller.right_code()
    caller.provider.second_factor(code)
    with pytest.raises(NotAllowed, match="used already"):
        system_caller(tmp_path).provider.second_factor(code)


def test_a_user_without_a_second_factor_cannot_show_one(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="no second factor"):
        SystemIdentity({ME: [Role.COMPLIANCE]}, used_codes=tmp_path).second_factor("000000")


def test_codes_are_those_of_the_standard() -> None:
    # RFC 6238, appendix B, SHA-1, last six digits
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    seconds = (59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000)
    codes = [code_at(secret, time_step(datetime.fromtimestamp(each, UTC))) for each in seconds]
    assert codes == ["287082", "081804", "050471", "005924", "279037", "353130"]


# --- the vault ---------------------------------------------------------------------------------------------------------


def vault(server: OpenBaoServer, credential: str) -> OpenBaoIdentity:
    return OpenBaoIdentity(VaultAddress(url=server.address), credential)


def test_a_root_token_is_nobody(openbao_server: OpenBaoServer) -> None:
    with pytest.raises(NotAllowed, match="nobody"):
        vault(openbao_server, openbao_server.root_token).caller()


@pytest.mark.parametrize("credential", ["", "s.nonsense"])
def test_no_token_and_a_wrong_token_are_not_allowed(openbao_server: OpenBaoServer, credential: str) -> None:
    with pytest.raises(NotAllowed):
        vault(openbao_server, credential).caller()


def test_a_revoked_token_is_not_allowed(openbao_server: OpenBaoServer) -> None:
    person = openbao_server.person("compliance")
    openbao_server.root().auth.token.revoke(person.token)
    with pytest.raises(NotAllowed):
        vault(openbao_server, person.token).caller()


def test_a_policy_of_another_name_gives_no_role(openbao_server: OpenBaoServer) -> None:
    root = openbao_server.root()
    root.sys.create_or_update_policy("wardlake-complianceX", 'path "secret/*" { capabilities = ["read"] }')
    approle = openbao_server.new_approle("wardlake-compliancex", "compliance", "xwardlake-compliance")
    client = openbao_server.client_of(approle)
    with pytest.raises(NotAllowed, match="no role"):
        vault(openbao_server, client.token).caller()


def test_one_person_with_two_roles_has_both(openbao_server: OpenBaoServer) -> None:
    person = openbao_server.person("compliance", "steward")
    assert vault(openbao_server, person.token).caller().roles == {Role.COMPLIANCE, Role.STEWARD}


def test_a_vault_code_serves_once(openbao_server: OpenBaoServer) -> None:
    person = openbao_server.person("compliance")
    code = code_at(person.totp_secret, time_step(datetime.now(UTC)))
    vault(openbao_server, person.token).second_factor(code)
    with pytest.raises(NotAllowed):
        vault(openbao_server, person.token).second_factor(code)


def test_a_job_without_a_second_factor_cannot_show_one(openbao_server: OpenBaoServer) -> None:
    client = openbao_server.client("pipeline")
    with pytest.raises(NotAllowed):
        vault(openbao_server, client.token).second_factor("000000")


def test_a_sealed_vault_says_so(own_openbao: OpenBaoServer) -> None:
    person = own_openbao.person("compliance")
    own_openbao.seal()
    with pytest.raises(KeysUnavailable, match="sealed"):
        vault(own_openbao, person.token).caller()


# --- OpenID Connect ----------------------------------------------------------------------------------------------------

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM_AS_SECRET = str(jwks(SIGNING)["keys"][0]["x"])

FORGERIES: dict[str, Callable[[], str]] = {  # made when they are used: each is refused for what it is, and not for its age
    "another key": lambda: token(claims(), OTHER),
    "another key id": lambda: token(claims(), OTHER, kid="k2"),
    "no key id": lambda: token(claims(), kid=None),
    "no signature": lambda: jwt.encode(claims(), None, algorithm="none", headers={"kid": "k1"}),
    "the public key as a shared secret": lambda: token(claims(), PEM_AS_SECRET, algorithm="HS256"),
    "another algorithm": lambda: token(claims(), RSA_KEY, algorithm="RS256"),
    "expired": lambda: token(claims(exp=int(time.time()) - 3600)),
    "not yet valid": lambda: token(claims(nbf=int(time.time()) + 3600)),
    "another audience": lambda: token(claims(aud="other")),
    "another issuer": lambda: token(claims(iss="https://evil.example.org")),
    "never expires": lambda: token({name: value for name, value in claims().items() if name != "exp"}),
    "no audience": lambda: token({name: value for name, value in claims().items() if name != "aud"}),
    "no subject": lambda: token({name: value for name, value in claims().items() if name != "sub"}),
    "role in another claim": lambda: token({**claims(wardlake_roles=[]), "roles": ["ward-compliance"]}),
    "role by its inner name": lambda: token(claims(wardlake_roles=["compliance"])),
    "roles as an object": lambda: token(claims(wardlake_roles={"ward-compliance": True})),
    "not a token": lambda: "a.b.c",
    "empty": lambda: "",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_token_that_is_not_the_issuers_for_us_and_for_now_is_not_allowed(forge: Callable[[], str]) -> None:
    with pytest.raises(NotAllowed):
        OidcIdentity(ISSUER, forge()).caller()


def test_a_shared_secret_among_the_issuers_keys_signs_nothing() -> None:
    secret = {"kty": "oct", "kid": "k1", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}
    forged = token(claims(), b"secret-secret-secret-secret-secret", algorithm="HS256")
    with pytest.raises(NotAllowed):
        OidcIdentity(replace(ISSUER, keys={"keys": [secret]}), forged).caller()


def test_an_rsa_issuer_works_too() -> None:
    public = {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "k1", "alg": "RS256"}
    issuer = replace(ISSUER, keys={"keys": [public]})
    assert OidcIdentity(issuer, token(claims(), RSA_KEY, algorithm="RS256")).caller().roles == {Role.COMPLIANCE}


def test_a_caller_answers_to_the_names_that_the_credential_says() -> None:
    caller = OidcIdentity(ISSUER, token(claims(preferred_username="Ann", email="ann@example.org"))).caller()
    assert caller.is_called("ann") and caller.is_called("ANN@example.org") and caller.is_called(caller.subject)
    assert not caller.is_called("bob")
    assert "ann@" not in f"{caller}"
    assert SystemIdentity({ME: [Role.COMPLIANCE]}).caller().is_called(ME)


def test_the_subject_shows_no_mail_address() -> None:
    identity = OidcIdentity(ISSUER, token(claims())).caller()
    assert "alice" not in f"{identity}"


@pytest.mark.parametrize(
    "weaken",
    [
        lambda: stepped_up(amr=["pwd"]),
        lambda: stepped_up(amr="otp"),
        lambda: stepped_up(amr=None),
        lambda: stepped_up(auth_time=int(time.time()) - 3600),
        lambda: stepped_up(auth_time=int(time.time()) + 3600),
        lambda: stepped_up(auth_time=None),
        lambda: stepped_up(sub="bob"),
    ],
    ids=["password only", "not a list", "no factors", "long ago", "in the future", "no time", "another person"],
)
def test_a_token_without_a_recent_second_factor_is_not_one(weaken: Callable[[], str]) -> None:
    with pytest.raises(NotAllowed):
        OidcIdentity(ISSUER, token(claims())).second_factor(weaken())


def test_no_code_is_accepted_that_cannot_be_remembered(tmp_path: Path) -> None:
    (tmp_path / "restricted").write_text("not a folder", "utf-8")
    caller = system_caller(tmp_path / "restricted")
    with pytest.raises(ConfigurationError, match="none is accepted"):
        caller.provider.second_factor(caller.right_code())
