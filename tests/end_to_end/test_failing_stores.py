"""A store that fails in the midst of a refresh: the code of its end, what is said, nothing published, and on it goes.

One run on a vault, an object store and a PostgreSQL of its own meets every failure in turn, each mended before the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from minio import MinioAdmin
from minio.credentials import StaticProvider
from tests.end_to_end.clinic import Clinic, Quiet, make_clinic
from tests.end_to_end.servers_in_use import policy
from tests.servers.minio import MinioServer, S3User, start_minio
from tests.servers.openbao import OpenBaoServer, start_openbao
from tests.servers.postgres import PostgresServer, start_postgres
from tests.servers.processes import running

from wardlake.adapters.postgres_database import migrate
from wardlake.audit.archive import query_records
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditKind
from wardlake.model.errors import (
    AuditUnavailable,
    BrokenReferences,
    KeysUnavailable,
    StorageUnavailable,
    WardlakeError,
)
from wardlake.model.zones import Zone
from wardlake.publish.pointer import read_pointer

STORE = 'kind: s3, endpoint: "{}", access_key: env:SERVED_ACCESS_KEY, secret_key: env:SERVED_SECRET_KEY'
PROGRAM = Path(sys.executable).parent / "wardlake"
ENVIRONMENT = """\
name: served
keys: {{kind: openbao, address: "{vault}", role_id: env:SERVED_ROLE_ID, secret_id: env:SERVED_SECRET_ID}}
objects: {{{store}, bucket: served-archive}}
audit_objects: {{{store}, bucket: served-audit}}
registry: {{kind: postgres, dsn: env:SERVED_DSN}}
identity: {{kind: operating-system, roles: {{"*": [pipeline]}}}}
"""


@dataclass
class Served:
    """The clinic on servers that a test may hurt."""

    clinic: Clinic
    vault: OpenBaoServer
    minio: MinioServer
    postgres: PostgresServer
    user: S3User
    said: dict[str, WardlakeError] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def store_lets_in(self, let_in: bool) -> None:
        admin = MinioAdmin(
            endpoint=self.minio.host_port,
            credentials=StaticProvider(self.minio.root.access_key, self.minio.root.secret_key),
            region=self.minio.region,
            secure=False,
        )
        (admin.user_enable if let_in else admin.user_disable)(self.user.access_key)

    def refresh(self, at: dict[str, Callable[[], None]]) -> dict[str, Any]:
        """Go on; `at` says what happens as a step begins."""
        self.begun = []
        known = ("snapshot", "classify", "deidentify", "references", "seal", "publish", "report")
        watched = {step: self._noted(step, at.get(step, lambda: None)) for step in known}
        return Clinic(
            folder=self.clinic.folder, spark=self.clinic.spark, environment="served", progress=Quiet(at=watched)
        ).refresh()

    def fail(self, name: str, step: str, hurt: Callable[[], None], mend: Callable[[], None]) -> None:
        with pytest.raises(WardlakeError) as stopped:
            self.refresh({step: hurt})
        mend()
        self.said[name] = stopped.value
        assert visible(self.clinic) is None

    def _noted(self, step: str, then: Callable[[], None]) -> Callable[[], None]:
        def note() -> None:
            self.begun.append(step)
            then()

        return note


def visible(clinic: Clinic) -> Any:
    wiring = clinic.wiring()
    return read_pointer(wiring.tables, wiring.layout, Zone.DEV, "clinic")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[OpenBaoServer, MinioServer, PostgresServer]]:
    with running(start_openbao) as vault, running(start_minio) as minio, running(start_postgres) as postgres:
        yield vault, minio, postgres


@pytest.fixture(scope="module")
def served(tmp_path_factory, spark, servers) -> Iterator[Served]:
    """The clinic refreshed through every failure; `answer` is what the last try gave."""
    vault, minio, postgres = servers
    for name in ("served-archive", "served-audit"):
        minio.client().make_bucket(name, object_lock=True)
    user = minio.new_user(policy("pipeline", "served-"))
    database = postgres.fresh_database()
    migrate(database.dsn)
    variables = {
        "SERVED_ROLE_ID": vault.approles["pipeline"].role_id,
        "SERVED_SECRET_ID": vault.approles["pipeline"].secret_id,
        "SERVED_ACCESS_KEY": user.access_key,
        "SERVED_SECRET_KEY": user.secret_key,
        "SERVED_DSN": database.dsn,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        text = ENVIRONMENT.format(vault=vault.address, store=STORE.format(minio.endpoint))
        clinic = make_clinic(tmp_path_factory.mktemp("served"), spark, environment="served", environments={"served": text})
        clinic.make_keys()
        yield Served(clinic=clinic, vault=vault, minio=minio, postgres=postgres, user=user)


@pytest.fixture(scope="module")
def survived(served: Served) -> tuple[Served, dict[str, Any]]:
    served.fail("vault sealed", "deidentify", served.vault.seal, served.vault.unseal)
    served.fail("registry gone", "references", served.postgres.stop, served.postgres.start)
    served.fail("store refuses", "seal", lambda: served.store_lets_in(False), lambda: served.store_lets_in(True))
    served.fail("store gone", "seal", served.minio.stop, served.minio.start)
    served.fail("audit refused", "publish", lambda: served.store_lets_in(False), lambda: served.store_lets_in(True))
    return served, served.refresh({})


@pytest.mark.parametrize(
    ("name", "kind", "code", "words"),
    [
        ("vault sealed", KeysUnavailable, 17, "sealed"),
        ("registry gone", StorageUnavailable, 24, "registry"),
        ("store refuses", StorageUnavailable, 24, "store refuses"),
        ("store gone", StorageUnavailable, 24, "store"),
        ("audit refused", AuditUnavailable, 16, "audit archive"),
    ],
)
def test_a_store_that_fails_ends_the_run_with_its_code(survived, name, kind, code, words) -> None:
    said = survived[0].said[name]
    assert (type(said), said.exit_code) == (kind, code)
    assert words in said.what
    assert said.next_step


def test_the_run_goes_on_where_it_failed_and_publishes_once(survived) -> None:
    served, answer = survived
    wiring = served.clinic.wiring()
    records = query_records(wiring.audit_objects)
    published = [record for record in records if record.event.kind is AuditKind.DATASET_PUBLISHED]
    assert served.begun == ["publish", "report"]
    assert [record.event.dataset_id for record in published] == [answer["dataset_id"]]
    assert visible(served.clinic).dataset_id == answer["dataset_id"]
    assert verify_archive(wiring.audit_objects, head=wiring.audit_sink.head()).ok


def test_every_failure_has_its_report_where_the_registry_answers(survived) -> None:
    served, answer = survived
    told = [name for name, said in served.said.items() if any(line.startswith("report: ") for line in said.which)]
    assert set(told) == set(served.said) - {"registry gone"}
    assert Path(answer["report"]).is_file()


def test_references_that_break_quarantine_the_dataset_and_the_next_run_begins_anew(tmp_path, spark) -> None:
    clinic = make_clinic(tmp_path, spark)
    broken = Clinic(folder=tmp_path, spark=spark, progress=Quiet(at={"references": lambda: give_a_visit_to_nobody(clinic)}))
    with pytest.raises(BrokenReferences, match="visits") as stopped:
        broken.refresh()
    kinds = [record.event.kind for record in query_records(clinic.wiring().audit_objects)]
    assert stopped.value.exit_code == 12
    assert visible(clinic) is None
    assert AuditKind.DATASET_QUARANTINED in kinds
    assert len(list((clinic.lake / "staging" / "quarantine").iterdir())) == 1
    assert "visits" in (clinic.lake / "restricted" / "pages.jsonl").read_text()
    assert clinic.refresh()["dataset_id"] == visible(clinic).dataset_id


def give_a_visit_to_nobody(clinic: Clinic) -> None:
    """Change one foreign key in the staged table's own file, and the log's word of the file's size."""
    (table,) = (clinic.lake / "staging").glob("*/dataset/visits")
    (file,) = table.glob("*.parquet")
    (commit,) = (table / "_delta_log").glob("*.json")
    size, rows = file.stat().st_size, pq.read_table(file)
    keys = rows["patient_id"].to_pylist()
    column = rows.column_names.index("patient_id")
    pq.write_table(rows.set_column(column, "patient_id", pa.array(["nobody", *keys[1:]])), file)
    text = commit.read_text()
    assert f'"size":{size}' in text
    commit.write_text(text.replace(f'"size":{size}', f'"size":{file.stat().st_size}'))
    for checksum in table.rglob("*.crc"):
        checksum.unlink()


FULL_DISK = """\
set -e
mount -t tmpfs -o size=16m none {lake}
cp -a {kept}/. {lake}
head -c $(( $(df --output=avail -k {lake} | tail -n 1) * 1024 - {free} )) /dev/zero > {lake}/ballast
set +e
{command} > first.json 2> first.txt
echo $? > first.code
find {lake}/dev > first.dev
rm {lake}/ballast
{command} > second.json 2> second.txt
echo $? > second.code
"""


def test_a_full_disk_is_called_full_and_the_run_goes_on_once_there_is_room(tmp_path) -> None:
    """On a small file system of its own, which the kernel gives whoever asks in a name space of their own."""
    clinic = make_clinic(tmp_path)
    kept = clinic.lake.rename(tmp_path / "kept")
    clinic.lake.mkdir()
    words = f"{PROGRAM} dev refresh --source clinic --json --conf conf --lake lake"
    script = FULL_DISK.format(lake=clinic.lake, kept=kept, free=200_000, command=words)
    own = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else []), "sh", "-c", script]
    ended = subprocess.run(own, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
    assert ended.returncode == 0, ended.stderr
    said = {
        name: (tmp_path / name).read_text() for name in ("first.code", "first.json", "first.dev", "second.code", "second.json")
    }
    problem = json.loads(said["first.json"])["error"]
    assert said["first.code"].strip() == "24", (tmp_path / "first.txt").read_text()
    assert "full" in problem["what"]
    assert "Free space" in problem["next"]
    assert said["first.dev"] == ""
    assert said["second.code"].strip() == "0", (tmp_path / "second.txt").read_text()
    assert [table["rows_out"] for table in json.loads(said["second.json"])["tables"]] == [40, 120]
