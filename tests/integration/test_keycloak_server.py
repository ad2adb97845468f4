"""The tests' Keycloak: people sign in, and what they get says who they are, for whom it is and until when."""

from __future__ import annotations

import json
import time

import jwt
import pytest
import requests
from tests.servers.keycloak import AUDIENCE, KeycloakServer
from tests.servers.processes import ServerFailed


def read(server: KeycloakServer, token: str) -> dict[str, object]:
    """What a token says, its signature checked by the keys that the realm publishes."""
    session = requests.Session()
    session.trust_env = False
    published = session.get(server.keys_url(), verify=str(server.certificate), timeout=10).json()["keys"]
    (key,) = (each for each in published if each["kid"] == jwt.get_unverified_header(token)["kid"])
    algorithm = jwt.algorithms.RSAAlgorithm.from_jwk(json.dumps(key))
    return dict(jwt.decode(token, algorithm, algorithms=["RS256"], audience=AUDIENCE, issuer=server.issuer()))


def test_a_person_s_token_names_them_and_expires(keycloak_server: KeycloakServer) -> None:
    keycloak_server.add_user("grace", "grace's password")
    said = read(keycloak_server, keycloak_server.token("grace", "grace's password"))
    assert said["preferred_username"] == "grace"
    assert 0 < int(str(said["exp"])) - time.time() <= 600


def test_a_wrong_password_gets_nothing(keycloak_server: KeycloakServer) -> None:
    keycloak_server.add_user("mary", "mary's password")
    with pytest.raises(ServerFailed, match="invalid_grant"):
        keycloak_server.token("mary", "another password")


def test_who_must_set_up_a_second_factor_gets_nothing_before(keycloak_server: KeycloakServer) -> None:
    keycloak_server.add_user("joan", "joan's password", actions=["CONFIGURE_TOTP"])
    with pytest.raises(ServerFailed, match="not fully set up"):
        keycloak_server.token("joan", "joan's password")


def test_plain_http_is_not_served(keycloak_server: KeycloakServer) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://localhost:{keycloak_server.port}/realms/wardlake", timeout=10, proxies={"http": ""})
