"""A real PostgreSQL on a free loopback port, with a fresh database for each test that asks."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.servers.processes import (
    LOOPBACK,
    ROOT,
    ServerFailed,
    ServerProcess,
    data_folder,
    free_port,
    running,
)

from wardlake.adapters.postgres_database import migrate

NOBODY = 65534
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))


@dataclass(frozen=True)
class Database:
    """One database and its owner's credentials."""

    host: str
    port: int
    name: str
    user: str
    password: str

    @property
    def dsn(self) -> str:
        """For psycopg."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.name}"

    @property
    def jdbc(self) -> str:
        """For Spark, without credentials."""
        return f"jdbc:postgresql://{self.host}:{self.port}/{self.name}"

    def as_user(self, user: str, password: str) -> Database:
        return Database(self.host, self.port, self.name, user, password)


@dataclass
class PostgresServer:
    """The server with its superuser. `admin` is its maintenance database."""

    admin: Database
    folder: Path
    process: ServerProcess
    pgaudit: bool

    def fresh_database(self, prefix: str = "wardlake") -> Database:
        """An empty database owned by a new role that is no superuser."""
        name, password = f"{prefix}_{secrets.token_hex(4)}", secrets.token_hex(16)
        with psycopg.connect(self.admin.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        return Database(LOOPBACK, self.admin.port, name, name, password)

    def as_admin(self, database: Database) -> Database:
        """The same database as the superuser."""
        return database.as_user(self.admin.user, self.admin.password)

    def new_role(self, *, member_of: str = "") -> tuple[str, str]:
        """A login role, named and with its password."""
        name, password = f"role_{secrets.token_hex(4)}", secrets.token_hex(16)
        with psycopg.connect(self.admin.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
            if member_of:
                connection.execute(f"GRANT {member_of} TO {name}")
        return name, password

    def stop(self) -> None:
        self.process.stop()

    def start(self) -> None:
        self.process.start()


def start_postgres() -> PostgresServer:
    """Initialise and start a server of our own; the caller stops it and removes its folder."""
    if not INSTALLED:
        raise ServerFailed("PostgreSQL is not installed: apt-get install postgresql")
    programs = INSTALLED[-1]
    folder, port, password = data_folder("postgres"), free_port(), secrets.token_hex(16)
    admin = Database(LOOPBACK, port, "postgres", "postgres", password)
    _initialise(programs, folder, password)
    pgaudit = (programs.parent / "lib" / "pgaudit.so").exists()
    process = ServerProcess(
        command=[*_as_unprivileged(), str(programs / "postgres"), "-D", str(folder / "data"), *_settings(folder, port, pgaudit)],
        log=folder / "server.log",
        ready=lambda: _answers(admin),
        ended_by=signal.SIGINT,  # by SIGTERM it would wait for whoever is still connected
    )
    process.start()
    with psycopg.connect(admin.dsn, autocommit=True) as connection:
        connection.execute((ROOT / "infra" / "postgres" / "roles.sql").read_bytes())
    return PostgresServer(admin, folder, process, pgaudit)


def _as_unprivileged() -> Sequence[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return ()
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig", "TERM")


def _initialise(programs: Path, folder: Path, password: str) -> None:
    password_file = folder / "password"
    password_file.write_text(password)
    if os.getuid() == 0:
        for path in (folder, password_file):
            shutil.chown(path, NOBODY, NOBODY)
    subprocess.run(
        [
            *_as_unprivileged(),
            str(programs / "initdb"),
            *("-D", str(folder / "data"), "-U", "postgres", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--pwfile={password_file}"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        cwd=folder,
    )


def _settings(folder: Path, port: int, pgaudit: bool) -> list[str]:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "shared_buffers": "64MB",
        "max_connections": "60",
        "wal_level": "logical",
        "wal_sender_timeout": "0",  # a machine that stands still for a minute ends no capture
    }
    if pgaudit:
        settings |= {"shared_preload_libraries": "pgaudit", "pgaudit.log": "ddl, role, write"}
    return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]


def _answers(database: Database) -> bool:
    try:
        psycopg.connect(database.dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the run. Do not stop it: take `own_postgres` for that."""
    with running(start_postgres) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Database:
    """A fresh database for one test."""
    return postgres_server.fresh_database()


@pytest.fixture
def migrated_database(postgres_server: PostgresServer) -> Database:
    """A fresh database with Wardlake's schema, as the schema's owner."""
    database = postgres_server.fresh_database()
    migrate(database.dsn)
    return database


@pytest.fixture
def pipeline_database(migrated_database: Database, postgres_server: PostgresServer) -> Database:
    """A migrated database as the pipeline's role, which owns nothing."""
    return migrated_database.as_user(*postgres_server.new_role(member_of="wardlake_pipeline"))


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that one test may stop."""
    with running(start_postgres) as server:
        yield server
