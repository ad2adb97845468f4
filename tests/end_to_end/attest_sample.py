"""`make attest`: the sample's practices in a real Trino, from change files to marts and policies, under the attack suite."""

from __future__ import annotations

import csv
import gzip
import os
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.end_to_end.practices_office import PROGRAM, ROOT, practices_environment, write
from tests.end_to_end.warehouse_office import bad_conditions
from tests.servers.keycloak import start_keycloak
from tests.servers.postgres import start_postgres
from tests.servers.processes import data_folder, remove_folder, running
from tests.servers.trino import ADMINISTRATOR, CATALOG, TrinoServer, start_trino

from wardlake.adapters.postgres_database import migrate

SAMPLE = ROOT / "tests" / "data" / "synthea"
DAY = "2024-06-30"  # the sample's records end in that year
USERS = ("manager_a", "manager_b")
SET_ASIDE = 22  # the exit code


def main() -> int:
    """The exit code of `warehouse attest`: 0 where nothing got through."""
    folder = data_folder("attest")
    try:
        with (
            running(start_postgres) as postgres,
            running(start_keycloak) as keycloak,
            running(lambda: start_trino(keycloak)) as trino,
        ):
            registry = postgres.fresh_database()
            migrate(registry.dsn)
            passwords = {name: secrets.token_hex(16) for name in USERS}
            trino.add_users(passwords)
            known = {**passwords, ADMINISTRATOR: trino.passwords[ADMINISTRATOR]}
            dsn = registry.as_user(*postgres.new_role(member_of="wardlake_pipeline")).dsn
            given = {"REGISTRY_DSN": dsn, **{f"PASSWORD_{name.upper()}": value for name, value in known.items()}}
            write_configuration(folder, trino)
            return Attack(folder, trino, given).run(*largest_practices())
    finally:
        remove_folder(folder)


def largest_practices() -> tuple[str, str]:
    """The two with the most encounters: they have rows in every mart."""
    with gzip.open(SAMPLE / "encounters.csv.gz", "rt", newline="") as file:
        (one, _), (other, _) = Counter(row["ORGANIZATION"] for row in csv.DictReader(file)).most_common(2)
    return one, other


def write_configuration(folder: Path, trino: TrinoServer) -> None:
    """The project's own, with a registry in PostgreSQL, this Trino, and a backfill that takes everybody at once."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    text = (folder / "conf" / "practices" / "clinics.yaml").read_text()
    backfill = "backfill: {slots: 1, practices: 100, rows: 50000, niceness: 10}"
    if backfill not in text:
        raise SystemExit(f"conf/practices/clinics.yaml no longer says {backfill}")
    write(folder, "practices", "clinics", text.replace(backfill, "backfill: {practices: 1000, rows: 1000000}"))
    warehouse = f"""\
warehouse:
  kind: trino
  url: {trino.url}
  ca_file: {trino.certificate}
  user: {ADMINISTRATOR}
  password: env:PASSWORD_{ADMINISTRATOR.upper()}
  catalog: {CATALOG}
  policies: {trino.policies}
  marts: local:///marts
  refresh_seconds: 1
"""
    write(folder, "environments", "practices", practices_environment() + warehouse)


class Attack:
    """The commands that a steward gives, and the last one."""

    def __init__(self, folder: Path, trino: TrinoServer, given: dict[str, str]) -> None:
        self._folder, self._trino, self._given = folder, trino, given

    def run(self, mine: str, theirs: str) -> int:
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        self._done("practices", "sample", "--source", f"synthea={SAMPLE}")
        self._done("practices", "capture", "--until-idle")
        self._done("practices", "onboard", "--all", "--no-snapshot")
        self._done("practices", "work", "--lane", "backfill", "--until-idle")
        self._done("practices", "marts", "--day", DAY, "--practice", mine, "--practice", theirs)
        self._set_aside(mine, theirs)
        # Whoever sees marts may not know of it. Until there are policies, the administrator registers what they like.
        self._trino.register("apart", "change_log", "raw/clinics/practices/change_log")
        for user, practice in zip(USERS, (mine, theirs), strict=True):
            words = ("--user", user, "--practice", practice, "--role", "manager", "--until", until, "--reason", "make attest")
            self._done("warehouse", "grant", *words)
        self._done("warehouse", "policies")
        self._trino.wait_until_policies_are_read()
        deployment = self._folder / "sample.yaml"
        deployment.write_text(
            f"name: sample\nurl: {self._trino.url}\nca_file: {self._trino.certificate}\ncatalog: {CATALOG}\nschemas: [clinics]\n"
            f"hidden: [{CATALOG}.apart.change_log]\n"
            f"attacker: {{user: {USERS[0]}, practices: ['{mine}'], password: 'env:PASSWORD_{USERS[0].upper()}'}}\n"
            f"other: {{user: {USERS[1]}, practices: ['{theirs}'], password: 'env:PASSWORD_{USERS[1].upper()}'}}\n"
        )
        return self._run("warehouse", "attest", "--deployment", str(deployment))

    def _set_aside(self, *practices: str) -> None:
        """A change of each that cannot be merged: their patients' rows as they came wait in a table under the row policy."""
        folder = self._folder / ".lake" / "clinics" / "changes" / "conditions"
        (folder / "load-00000002.csv").write_text(bad_conditions(*practices, after=10**9), "utf-8")
        self._done("practices", "capture", "--until-idle")
        if self._run("practices", "work", "--lane", "steady", "--until-idle") != SET_ASIDE:
            raise SystemExit("no practice was set aside")

    def _done(self, *words: str) -> None:
        if code := self._run(*words):
            raise SystemExit(code)

    def _run(self, *words: str) -> int:
        print(f"$ wardlake {' '.join(words[:2])}", flush=True)
        flags = ("--conf", str(self._folder / "conf"), "--lake", str(self._trino.lake), "--env", "practices")
        command: Sequence[str] = (str(PROGRAM), *words, *flags)
        return subprocess.run(command, env={**os.environ, **self._given}, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
