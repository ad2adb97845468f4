"""The tests' Trino: who is let in, and what rules and groups in files do to it while it runs."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from pyspark.sql import SparkSession
from tests.servers.keycloak import AUDIENCE, KeycloakServer
from tests.servers.trino import CATALOG, DENIED, TrinoServer
from trino.exceptions import TrinoUserError

PASSWORD = "a password of the tests"
RULES: dict[str, Any] = DENIED | {
    "catalogs": [{"allow": "all", "user": "administrator"}, {"catalog": CATALOG, "allow": "read-only", "group": "analysts"}],
    "queries": [{"allow": ["execute"]}],
    "tables": [
        *DENIED["tables"],
        {
            **{"group": "practice-a", "catalog": CATALOG, "schema": "door", "table": "visits", "privileges": ["SELECT"]},
            "filter": "practice_id IN ('a')",
        },
    ],
}


@dataclass(frozen=True)
class People:
    """Two people of practice A: one signs in at Trino, the other at Keycloak."""

    by_password: str = "anna"
    by_token: str = "ada"


@pytest.fixture(scope="module")
def door(trino_server: TrinoServer, keycloak_server: KeycloakServer, spark: SparkSession) -> Iterator[TrinoServer]:
    """A table of two practices, and people who may see one."""
    spark.createDataFrame([("a", 1), ("a", 2), ("b", 3)], "practice_id string, visits int").write.format("delta").partitionBy(
        "practice_id"
    ).save(str(trino_server.lake / "door" / "visits"))
    trino_server.add_user(People.by_password, PASSWORD)
    keycloak_server.add_user(People.by_token, PASSWORD)
    open_door(trino_server)
    trino_server.register("door", "visits", "door/visits")
    yield trino_server
    trino_server.write_policies(DENIED, {})
    trino_server.wait_until_policies_are_read()


def open_door(server: TrinoServer) -> None:
    people = [People.by_password, People.by_token]
    server.write_policies(RULES, {"analysts": people, "practice-a": people})
    server.wait_until_policies_are_read()


VISITS = f"SELECT practice_id, visits FROM {CATALOG}.door.visits ORDER BY visits"


def statement_with(server: TrinoServer, token: str) -> int:
    """The HTTP status that a bearer gets for a statement."""
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": f"Bearer {token}", "X-Trino-User": People.by_token}
    return session.post(
        f"{server.url}/v1/statement", data="SELECT 1", headers=headers, verify=str(server.certificate)
    ).status_code


def test_by_password_a_person_sees_the_practice_of_their_group(door: TrinoServer) -> None:
    assert door.rows(People.by_password, VISITS) == [["a", 1], ["a", 2]]


def test_by_keycloak_s_token_too(door: TrinoServer, keycloak_server: KeycloakServer) -> None:
    token = keycloak_server.token(People.by_token, PASSWORD)
    with door.connect(token=token) as connection:
        assert connection.cursor().execute(VISITS).fetchall() == [["a", 1], ["a", 2]]


def test_a_wrong_password_and_none_are_refused(door: TrinoServer) -> None:
    assert door.get("/v1/query", auth=(People.by_password, "another")).status_code == 401
    assert door.get("/v1/query", headers={"X-Trino-User": People.by_password}).status_code == 401


def signed(server: KeycloakServer, key: Any, **claims: object) -> str:
    """A token of our own making that names the realm's key."""
    known = jwt.get_unverified_header(server.token(People.by_token, PASSWORD))["kid"]
    said = {"iss": server.issuer(), "aud": AUDIENCE, "preferred_username": People.by_token, "exp": int(time.time()) + 600}
    return jwt.encode(said | claims, key, algorithm="RS256" if key else "none", headers={"kid": known})


def by_an_own_key(server: KeycloakServer) -> str:
    return signed(server, rsa.generate_private_key(65537, 2048))


def by_the_public_key_as_a_secret(server: KeycloakServer) -> str:
    """What passes where Trino is given a file of public keys: it takes the file for a shared secret."""
    session = requests.Session()
    session.trust_env = False
    secret = session.get(server.keys_url(), verify=str(server.certificate), timeout=10).content
    _, claims, _ = signed(server, server.signing_key).split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).rstrip(b"=")
    said = head + b"." + claims.encode()
    return (said + b"." + base64.urlsafe_b64encode(hmac.digest(secret, said, "sha256")).rstrip(b"=")).decode()


def unsigned(server: KeycloakServer) -> str:
    return signed(server, None)


def for_another_audience(server: KeycloakServer) -> str:
    server.add_client("elsewhere", audience="elsewhere")
    return server.token(People.by_token, PASSWORD, client="elsewhere")


def by_another_issuer(server: KeycloakServer) -> str:
    """By the same key, so that nothing but the issuer tells them apart."""
    server.add_realm("other", private_key=server.signing_key)
    server.add_user(People.by_token, PASSWORD, realm="other")
    return server.token(People.by_token, PASSWORD, realm="other")


def expired(server: KeycloakServer) -> str:
    return signed(server, server.signing_key, exp=int(time.time()) - 60)


@pytest.mark.parametrize(
    "forged",
    [by_an_own_key, by_the_public_key_as_a_secret, unsigned, for_another_audience, expired, by_another_issuer],
    ids=lambda make: make.__name__,
)
def test_no_other_token_opens(
    forged: Callable[[KeycloakServer], str], door: TrinoServer, keycloak_server: KeycloakServer
) -> None:
    assert statement_with(door, forged(keycloak_server)) == 401


def test_the_realm_s_own_opens(door: TrinoServer, keycloak_server: KeycloakServer) -> None:
    """The control of the test before: of theirs, made in the same way, nothing else is wrong."""
    assert statement_with(door, keycloak_server.token(People.by_token, PASSWORD)) == 200
    assert statement_with(door, signed(keycloak_server, keycloak_server.signing_key)) == 200


def test_a_new_server_denies(door: TrinoServer) -> None:
    door.write_policies(DENIED, {})
    door.wait_until_policies_are_read()
    try:
        with pytest.raises(TrinoUserError, match="Access Denied"):
            door.rows(People.by_password, "SELECT 1")
    finally:
        open_door(door)


def test_who_is_taken_out_of_the_group_sees_nothing(door: TrinoServer) -> None:
    door.write_policies(RULES, {"analysts": [People.by_password], "practice-a": []})
    door.wait_until_policies_are_read()
    try:
        with pytest.raises(TrinoUserError, match=r"Access Denied|does not exist"):
            door.rows(People.by_password, VISITS)
    finally:
        open_door(door)


@pytest.mark.parametrize("rules", ["", "{", json.dumps({"tables": "broken"}), None], ids=["empty", "cut", "misshapen", "missing"])
def test_without_rules_nobody_sees_anything(rules: str | None, door: TrinoServer) -> None:
    file = door.policies / "rules.json"
    file.unlink() if rules is None else file.write_text(rules)
    door.wait_until_policies_are_read()
    try:
        with pytest.raises(Exception, match=r"(?i)access control|rules|json|Access Denied|invalid"):
            door.rows(People.by_password, VISITS)
    finally:
        open_door(door)


def test_it_listens_on_loopback_and_over_tls_alone(door: TrinoServer) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://localhost:{door.port}/v1/info", timeout=10, proxies={"http": ""})
    assert door.get("/v1/info").json()["nodeVersion"] == {"version": "476"}
