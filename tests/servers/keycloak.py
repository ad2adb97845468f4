"""A real Keycloak over TLS: a realm whose people sign in with passwords and get tokens that expire."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.processes import LOOPBACK, ROOT, ServerFailed, ServerProcess, data_folder, free_port, running

HOME = ROOT / ".tools" / "keycloak"
REALM = "wardlake"
AUDIENCE = "wardlake"  # of the realm's tokens, unless a client says otherwise
CLIENT = "people"  # signs people in by name and password
JAVA = (
    *("java", "-Xms64m", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxMetaspaceSize=256m"),
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    *("--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED"),
    "--add-opens=java.base/java.security=ALL-UNNAMED",
)


@dataclass
class KeycloakServer:
    """The server with its administrator. `url` is without the realm; `certificate` is what clients trust.

    `signing_key` is the private key (PEM) of the realm's tokens, for tests that forge some.
    """

    port: int
    folder: Path
    process: ServerProcess
    certificates: Certificate
    admin_password: str = field(repr=False)
    signing_key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.certificates.authority

    def issuer(self, realm: str = REALM) -> str:
        return f"{self.url}/realms/{realm}"

    def keys_url(self, realm: str = REALM) -> str:
        """Where the realm's public keys are (JWKS)."""
        return f"{self.issuer(realm)}/protocol/openid-connect/certs"

    def token(self, name: str, password: str, *, client: str = CLIENT, realm: str = REALM, second_factor: str = "") -> str:
        """An access token of a person who gives name, password and, where they have one, the second factor's code."""
        given = {"grant_type": "password", "client_id": client, "username": name, "password": password, "scope": "openid"}
        if second_factor:
            given["totp"] = second_factor
        answer = self._post(f"{self.issuer(realm)}/protocol/openid-connect/token", given)
        return str(answer["access_token"])

    def add_user(self, name: str, password: str, *, realm: str = REALM, actions: Sequence[str] = ()) -> None:
        """A person. `actions` are what Keycloak asks of them at their next sign-in, for instance CONFIGURE_TOTP."""
        person = {
            "username": name,
            "enabled": True,
            **{"email": f"{name}@example.org", "emailVerified": True, "firstName": name, "lastName": "of the tests"},
            "credentials": [{"type": "password", "value": password, "temporary": False}],
            "requiredActions": list(actions),
        }
        self.admin("POST", f"{realm}/users", person)

    def add_client(
        self,
        name: str,
        *,
        realm: str = REALM,
        audience: str = AUDIENCE,
        seconds: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """A client that signs people in; its tokens are for `audience` and last `seconds`. `settings` as Keycloak names them."""
        mapper = {
            "name": "audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": audience, "access.token.claim": "true"},
        }
        client = {
            "clientId": name,
            **{"publicClient": True, "directAccessGrantsEnabled": True, "standardFlowEnabled": False},
            "attributes": {"access.token.lifespan": str(seconds)} if seconds else {},
            "protocolMappers": [mapper],
            **(settings or {}),
        }
        self.admin("POST", f"{realm}/clients", client)

    def add_realm(self, name: str, *, private_key: str = "") -> None:
        """A realm with the client `CLIENT`; signs with `private_key` (PEM) where one is given."""
        self.admin("POST", "", {"realm": name, "enabled": True, "sslRequired": "all", "accessTokenLifespan": 600})
        self.add_client(CLIENT, realm=name)
        if private_key:
            self.add_key(private_key, realm=name)

    def add_key(self, private_key: str, *, realm: str = REALM) -> None:
        """A signing key of the realm's, preferred to those that it has."""
        config = {"priority": ["1000"], "active": ["true"], "enabled": ["true"], "privateKey": [private_key]}
        provider = {"providerId": "rsa", "providerType": "org.keycloak.keys.KeyProvider", "name": secrets.token_hex(4)}
        self.admin("POST", f"{realm}/components", {**provider, "config": config})

    def admin(self, method: str, path: str, body: object = None) -> requests.Response:
        """A request of the administrator's, under `/admin/realms/`; raises `ServerFailed` where it is refused."""
        given = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": self.admin_password}
        token = self._post(f"{self.issuer('master')}/protocol/openid-connect/token", given)["access_token"]
        answer = self._session().request(
            method, f"{self.url}/admin/realms/{path}".rstrip("/"), json=body, headers={"Authorization": f"Bearer {token}"}
        )
        if not answer.ok:
            raise ServerFailed(f"Keycloak: {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        answer = self._session().post(url, data=form)
        if not answer.ok:
            raise ServerFailed(f"Keycloak: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # the environment's bundle would be preferred to `verify`
        session.verify = str(self.certificate)
        return session

    def stop(self) -> None:
        self.process.stop()


def start_keycloak() -> KeycloakServer:
    """Start a server of our own with the realm `REALM`; the caller stops it and removes its folder."""
    if not HOME.is_dir():
        raise ServerFailed("Keycloak is not installed: make setup-tests")
    folder, port = data_folder("keycloak"), free_port()
    certificates, password = make_certificate(folder / "tls"), secrets.token_hex(16)
    shutil.copytree(HOME / "conf", folder / "conf")
    flags = {
        **{"https-port": port, "http-host": LOOPBACK, "hostname": f"https://localhost:{port}"},
        **{"https-certificate-file": certificates.chain, "https-certificate-key-file": certificates.key},
        **{"http-management-port": free_port(), "cache": "local", "log-level": "warn"},
    }
    home = (f"-Dkc.home.dir={HOME}", f"-Djboss.server.config.dir={folder}/conf", f"-Djava.io.tmpdir={folder}")
    program = (
        "-cp",
        str(HOME / "lib" / "quarkus-run.jar"),
        "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
        "start",
        "--optimized",
    )
    process = ServerProcess(
        command=[*JAVA, *home, *program, *(f"--{name}={value}" for name, value in flags.items())],
        log=folder / "server.log",
        ready=lambda: _answers(f"https://localhost:{port}", certificates.authority),
        environment={"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": password},
    )
    process.start()
    server = KeycloakServer(port, folder, process, certificates, password)
    server.signing_key = _private_key()
    server.add_realm(REALM, private_key=server.signing_key)
    return server


def _private_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _answers(url: str, authority: Path) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        return session.get(f"{url}/realms/master", verify=str(authority), timeout=5).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="session")
def keycloak_server() -> Iterator[KeycloakServer]:
    """One Keycloak for the run; tests make realms, clients and people of their own names."""
    with running(start_keycloak) as server:
        yield server
