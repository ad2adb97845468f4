"""The doctor looks at real folders, programs and ports."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from wardlake.doctor import State, check_installation
from wardlake.doctor.gather import gather_facts
from wardlake.doctor.services import Service, find_services, judge_services, reach
from wardlake.settings import environment as env

ROOT = Path(__file__).resolve().parents[3]


def test_this_checkout_has_what_a_refresh_needs() -> None:
    missing = [check for check in check_installation(ROOT) if check.state is State.MISSING]
    assert missing == []


def test_an_empty_folder_has_no_jars(tmp_path: Path) -> None:
    states = {check.name: check.state for check in check_installation(tmp_path)}
    assert states["Jars"] is State.MISSING


def test_a_changed_jar_is_found_by_its_sum(tmp_path: Path) -> None:
    (tmp_path / "infra" / "jars").mkdir(parents=True)
    (tmp_path / ".tools" / "jars").mkdir(parents=True)
    (tmp_path / ".tools" / "jars" / "delta.jar").write_bytes(b"changed")
    (tmp_path / "infra" / "jars" / "SHA256SUMS").write_text(f"{hashlib.sha256(b'pinned').hexdigest()}  delta.jar\n")
    jars = next(check for check in check_installation(tmp_path) if check.name == "Jars")
    assert jars.state is State.MISSING
    assert "delta.jar" in jars.detail


def test_a_java_that_says_nothing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("wardlake.doctor.gather.JAVA_SECONDS", 1.0)
    java = next(check for check in check_installation(ROOT) if check.name == "Java")
    assert java.state is State.MISSING


def test_a_lake_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not gather_facts(tmp_path, lake="/proc/lake").lake_writable
    assert gather_facts(tmp_path, lake="lake").lake_writable


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    gather_facts(tmp_path, lake="lake")
    assert list(tmp_path.iterdir()) == []


def test_embedded_defaults_name_no_service() -> None:
    assert find_services(env.Environment(name="embedded")) == []


def test_every_service_of_an_environment_is_found_without_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY", "postgresql://ward:open-sesame@registry.example:5433/ward")
    found = find_services(
        env.Environment(
            name="production",
            keys=env.OpenBao(address="https://bao.example:8200", role_id="env:A", secret_id="env:B"),
            objects=env.S3(bucket="lake", endpoint="http://minio.example:9000"),
            audit_objects=env.S3(bucket="audit", region="eu-west-1"),
            registry=env.Postgres(dsn="env:REGISTRY"),
            pagers=(env.LogPager(), env.WebhookPager(url="https://pager.example/hook")),
            identity=env.OidcIdentity(
                issuer="https://id.example/realm", audience="w", token="env:T", keys="https://id.example/k"
            ),
            spark=env.Spark(master="spark://master.example:7077"),
        )
    )
    assert set(found) == {
        Service("Keys", "bao.example", 8200),
        Service("Registry", "registry.example", 5433),
        Service("Objects", "minio.example", 9000),
        Service("Audit objects", "s3.eu-west-1.amazonaws.com", 443),
        Service("Pager", "pager.example", 443),
        Service("Sign-in", "id.example", 443),
        Service("Spark master", "master.example", 7077),
    }
    assert "open-sesame" not in repr(found)


@pytest.mark.parametrize("dsn", ["host=registry.example port=5433 password=x", "port=5433 host='registry.example'"])
def test_a_registry_given_by_keywords_is_found(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("REGISTRY", dsn)
    found = find_services(env.Environment(name="p", registry=env.Postgres(dsn="env:REGISTRY")))
    assert found == [Service("Registry", "registry.example", 5433)]


def test_a_service_that_listens_is_ok_and_one_that_does_not_is_missing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        services = [Service("Up", *listening.getsockname()), Service("Down", *silent.getsockname())]
        checks = judge_services(services, {service: reach(service) for service in services})
    assert [check.state for check in checks] == [State.OK, State.MISSING]


@pytest.mark.parametrize("address", ["http://host:port", "http://host:99999", "http://[host"])
def test_an_address_that_is_none_does_not_answer_and_stops_no_other_check(address: str) -> None:
    services = find_services(env.Environment(name="p", pagers=(env.WebhookPager(url=address),)))
    [check] = judge_services(services, {service: reach(service) for service in services})
    assert check.state is State.MISSING


@pytest.mark.parametrize("dsn", ["dbname=ward", "host=/run/postgresql dbname=ward"])
def test_a_registry_on_a_socket_of_this_machine_has_no_address(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("REGISTRY", dsn)
    assert find_services(env.Environment(name="p", registry=env.Postgres(dsn="env:REGISTRY"))) == []


def test_a_registry_whose_reference_leads_nowhere_hides_no_other_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY", raising=False)
    environment = env.Environment(
        name="p", registry=env.Postgres(dsn="env:REGISTRY"), objects=env.S3(bucket="b", endpoint="http://minio.example:9000")
    )
    assert find_services(environment) == [Service("Objects", "minio.example", 9000)]
