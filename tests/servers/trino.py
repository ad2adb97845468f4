"""A real Trino over TLS: passwords and Keycloak's tokens, rules and groups in files, one Delta catalogue on local files."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest
import requests
import trino
from tests.servers.certificates import make_certificate
from tests.servers.keycloak import AUDIENCE, KeycloakServer
from tests.servers.processes import LOOPBACK, ROOT, ServerFailed, ServerProcess, data_folder, free_port, running

HOME = ROOT / ".tools" / "trino"
JAVA = ROOT / ".tools" / "java" / "bin" / "java"
CATALOG = "lake"
PLUGINS = ("delta-lake", "password-authenticators")  # of those that set-up keeps, what a server loads unless it is told more
ADMINISTRATOR = "administrator"  # of the warehouse: registers tables, reads none
REFRESH_SECONDS = 1.0  # how long rules and groups are kept
MEMORY = ("-Xms256M", "-Xmx1200M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
AS_IN_PRODUCTION = ("-Xms2G", "-Xmx3G", "-XX:+UseG1GC", "-XX:G1HeapRegionSize=32M")  # for benchmarks: both compilers
# As Trino's own jvm.config has them.
JAVA_FLAGS = (
    *("-XX:+ExitOnOutOfMemoryError", "-XX:-OmitStackTraceInFastThrow", "-XX:ReservedCodeCacheSize=256M"),
    *("-Djdk.attach.allowAttachSelf=true", "-Djdk.nio.maxCachedBufferSize=2000000", "-Dfile.encoding=UTF-8"),
    *("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"),
)
# Every section stands there: Trino allows everything in one that is left out.
DENIED = {
    "catalogs": [{"user": ADMINISTRATOR, "catalog": CATALOG, "allow": "all"}],
    "schemas": [{"user": ADMINISTRATOR, "catalog": CATALOG, "owner": True}],
    "tables": [{"user": ADMINISTRATOR, "catalog": CATALOG, "privileges": ["OWNERSHIP"]}],
    "procedures": [
        {"user": ADMINISTRATOR, "catalog": CATALOG, "schema": "system", "procedure": name, "privileges": ["EXECUTE"]}
        for name in ("register_table", "unregister_table")
    ],
    "functions": [],
    "queries": [{"user": ADMINISTRATOR, "allow": ["execute"]}],
    "impersonation": [],
    "authorization": [],
    "system_information": [],
    "system_session_properties": [],
    "catalog_session_properties": [],
}


@dataclass
class TrinoServer:
    """The server. `certificate` is what clients trust; `policies` holds the rules.json and groups.txt that it reads.

    `lake` is the folder that the catalogue knows as `local:///`.
    """

    port: int
    folder: Path
    process: ServerProcess
    certificate: Path
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def policies(self) -> Path:
        return self.folder / "policies"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def key_store(self) -> Path:
        """The server's key and certificate."""
        return self.folder / "tls" / "both.pem"

    def setting(self, name: str) -> str:
        """What the server is told of it in config.properties."""
        lines = (self.folder / "etc" / "config.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[name]

    def add_user(self, name: str, password: str) -> None:
        """Somebody who signs in by password, from when this returns."""
        self.add_users({name: password})

    def add_users(self, passwords: Mapping[str, str]) -> None:
        """The same for many at once."""
        self.passwords |= passwords
        hashed = (
            f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(8)).decode().replace('$2b$', '$2y$')}\n"
            for name, password in passwords.items()
        )
        file = self.folder / "passwords"
        replace_file(file, file.read_text() + "".join(hashed))
        name, password = next(reversed(passwords.items()))
        deadline = time.monotonic() + 30
        while self.get("/v1/query", auth=(name, password)).status_code == HTTPStatus.UNAUTHORIZED:
            if time.monotonic() > deadline:
                raise ServerFailed(f"Trino did not read its passwords: {self.process.tail()}")
            time.sleep(0.05)

    def connect(self, user: str = "", password: str = "", *, token: str = "") -> trino.dbapi.Connection:
        """A connection of somebody's, by password (known where they were added here) or by token."""
        auth = trino.auth.JWTAuthentication(token) if token else self._basic(user, password)
        given = {"user": user} if user else {}
        return trino.dbapi.connect(
            host="localhost",
            port=self.port,
            http_scheme="https",
            auth=auth,
            catalog=CATALOG,
            http_session=self._session(),
            **given,
        )

    def _basic(self, user: str, password: str) -> trino.auth.BasicAuthentication:
        return trino.auth.BasicAuthentication(user, password or self.passwords[user])

    def rows(self, user: str, statement: str) -> list[list[object]]:
        """What a statement gives somebody who was added here."""
        with self.connect(user) as connection:
            return list(connection.cursor().execute(statement).fetchall())

    def get(
        self, path: str, *, auth: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """A page of the server's."""
        url = f"{self.url}{path}"
        return self._session().get(url, auth=auth, headers=dict(headers or {}), timeout=30, allow_redirects=False)

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # the environment's bundle would be preferred to `verify`
        session.verify = str(self.certificate)
        return session

    def register(self, schema: str, table: str, path: str, *, catalog: str = CATALOG, by: str = ADMINISTRATOR) -> None:
        """Make the Delta table in the folder `path` of the lake known.

        By somebody whom the rules let own schema and table and execute `register_table`; reading takes SELECT besides.
        """
        with self.connect(by) as connection:
            cursor = connection.cursor()
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {catalog}.{schema}").fetchall()
            cursor.execute(f"CALL {catalog}.system.register_table('{schema}', '{table}', 'local:///{path}')").fetchall()

    def write_policies(self, rules: object, groups: Mapping[str, list[str]]) -> None:
        """Rules and groups in place of those that there are; obeyed once `wait_until_policies_are_read` returns."""
        replace_file(self.policies / "rules.json", json.dumps(rules))
        replace_file(self.policies / "groups.txt", "".join(f"{name}:{','.join(users)}\n" for name, users in groups.items()))

    def wait_until_policies_are_read(self) -> None:
        """Until what lies in `policies` now decides. Trino reads a file again at the first question after the refresh period."""
        written = max(file.stat().st_mtime for file in self.policies.iterdir())
        while time.time() < written + REFRESH_SECONDS + 0.2:
            time.sleep(0.05)

    def pause(self) -> None:
        """Let it answer nobody, as one that has too much to do; `go_on` ends that."""
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.stop()

    def start(self) -> None:
        self.process.start()


def replace_file(file: Path, text: str) -> None:
    """By rename: who reads finds the old text or the new one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def start_trino(
    keycloak: KeycloakServer,
    *,
    settings: Mapping[str, str] | None = None,
    catalogs: Mapping[str, Mapping[str, str]] | None = None,
    plugins: Sequence[str] = (),
    rules: object = DENIED,
    java: Sequence[str] = MEMORY,
) -> TrinoServer:
    """Start a server of our own; the caller stops it and removes its folder.

    `settings` are added to config.properties, an empty one is left out of it; `catalogs` are added to the catalogue `lake`,
    `plugins` to those that it needs. Without authentication nobody is added.
    """
    if not (HOME.is_dir() and JAVA.exists()):
        raise ServerFailed("Trino or its Java is not installed: make setup-tests")
    folder, port = data_folder("trino"), free_port()
    certificates = make_certificate(folder / "tls")
    (folder / "policies").mkdir()
    (folder / "lake").mkdir()
    (folder / "plugin").mkdir()
    for plugin in (*PLUGINS, *plugins):
        (folder / "plugin" / plugin).symlink_to(HOME / "plugin" / plugin)
    (folder / "passwords").write_text("")
    (folder / "policies" / "groups.txt").write_text("")
    replace_file(folder / "policies" / "rules.json", json.dumps(rules))
    config = _config(folder, port, certificates.both, certificates.authority, keycloak) | dict(settings or {})
    _properties(folder / "etc" / "config.properties", {name: value for name, value in config.items() if value})
    for name, properties in {CATALOG: delta_catalog(folder / "lake"), **(catalogs or {})}.items():
        _properties(folder / "etc" / "catalog" / f"{name}.properties", properties)
    for name, properties in _security(folder).items():
        _properties(folder / "etc" / f"{name}.properties", properties)
    (folder / "etc" / "log.properties").write_text("io.trino=WARN\nio.airlift=WARN\n")
    # Trino finds its group provider under `etc` of the folder that it runs in, and nowhere else.
    program = (
        *(f"-Dconfig={folder}/etc/config.properties", f"-Dlog.levels-file={folder}/etc/log.properties"),
        *(f"-Dnode.data-dir={folder}/data", f"-Djava.io.tmpdir={folder}", "-cp", f"{HOME}/lib/*", "io.trino.server.TrinoServer"),
    )
    process = ServerProcess(
        command=["env", "-C", str(folder), str(JAVA), *java, *JAVA_FLAGS, *program],
        log=folder / "server.log",
        ready=lambda: _is_started(f"https://localhost:{port}", certificates.authority),
    )
    process.start()
    server = TrinoServer(port, folder, process, certificates.authority)
    if config["http-server.authentication.type"]:
        server.add_user(ADMINISTRATOR, secrets.token_hex(16))
    return server


def _config(folder: Path, port: int, key_store: Path, authority: Path, keycloak: KeycloakServer) -> dict[str, str]:
    return {
        **{"node.environment": "tests", "node.bind-ip": LOOPBACK, "node.internal-address": "localhost"},
        **{"coordinator": "true", "node-scheduler.include-coordinator": "true", "catalog.config-dir": f"{folder}/etc/catalog"},
        "plugin.dir": f"{folder}/plugin",
        **{"http-server.http.enabled": "false", "discovery.uri": f"https://localhost:{port}"},
        **{"internal-communication.https.required": "true", "internal-communication.https.truststore.path": str(authority)},
        **{"http-server.https.enabled": "true", "http-server.https.port": str(port)},
        **{"http-server.https.keystore.path": str(key_store)},
        "internal-communication.shared-secret": secrets.token_hex(32),
        "http-server.authentication.type": "PASSWORD,JWT",
        "password-authenticator.config-files": f"{folder}/etc/password-authenticator.properties",
        "access-control.config-files": f"{folder}/etc/access-control.properties",
        # An address, not a file of keys: such a file would be taken for a shared secret, and everybody knows public keys.
        "http-server.authentication.jwt.key-file": keycloak.keys_url(),
        "http-server.authentication.jwt.required-issuer": keycloak.issuer(),
        "http-server.authentication.jwt.required-audience": AUDIENCE,
        "http-server.authentication.jwt.principal-field": "preferred_username",
        "jwk.http-client.trust-store-path": str(keycloak.certificate),
        "hide-inaccessible-columns": "true",
        **{"query.max-memory": "400MB", "query.max-memory-per-node": "400MB", "memory.heap-headroom-per-node": "200MB"},
    }


def _security(folder: Path) -> dict[str, dict[str, str]]:
    return {
        "password-authenticator": {
            "password-authenticator.name": "file",
            "file.password-file": f"{folder}/passwords",
            "file.refresh-period": "200ms",
        },
        "access-control": {
            "access-control.name": "file",
            "security.config-file": f"{folder}/policies/rules.json",
            "security.refresh-period": f"{REFRESH_SECONDS}s",
        },
        "group-provider": {
            "group-provider.name": "file",
            "file.group-file": f"{folder}/policies/groups.txt",
            "file.refresh-period": f"{REFRESH_SECONDS}s",
        },
    }


def delta_catalog(lake: Path) -> dict[str, str]:
    """A catalogue of the Delta tables under a folder, with the server's rules over it."""
    return {
        "connector.name": "delta_lake",
        **{"fs.native-local.enabled": "true", "local.location": str(lake)},
        **{"hive.metastore": "file", "hive.metastore.catalog.dir": "local:///_metastore"},
        **{"delta.register-table-procedure.enabled": "true", "delta.security": "system"},
    }


def _properties(file: Path, properties: Mapping[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def _is_started(url: str, authority: Path) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        answer = session.get(f"{url}/v1/info", verify=str(authority), timeout=5)
    except requests.RequestException:
        return False
    return answer.ok and answer.json()["starting"] is False


@pytest.fixture(scope="session")
def trino_server(keycloak_server: KeycloakServer) -> Iterator[TrinoServer]:
    """One Trino for the run. Tests that write policies say all of them, and take names of tables of their own."""
    with running(lambda: start_trino(keycloak_server)) as server:
        yield server
