"""Every port has an embedded and a real implementation, and one contract test that runs both."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import wardlake.ports

CONTRACTS = Path(__file__).parent

# Protocol: its contract test, its embedded implementation and its real ones, as `module.Class` below wardlake.adapters.
# The clock of the machine is both: there is nothing to embed. Tables are Delta on local disk and on S3A, one adapter.
PORTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "audit_sink.AuditSink": (
        "test_audit_sink_port.py",
        "sqlite_audit_sink.SqliteAuditSink",
        ("postgres_audit_sink.PostgresAuditSink",),
    ),
    "change_stream.ChangeStream": (
        "test_change_stream_port.py",
        "change_files.ChangeFiles",
        ("postgres_changes.PostgresChanges",),
    ),
    "clock.Clock": ("test_clock_port.py", "system_clock.SystemClock", ("system_clock.SystemClock",)),
    "identity.IdentityProvider": (
        "test_identity_port.py",
        "system_identity.SystemIdentity",
        ("openbao_identity.OpenBaoIdentity", "oidc_identity.OidcIdentity"),
    ),
    "keys.Keys": ("test_keys_port.py", "sealed_key_file.SealedKeyFile", ("openbao_keys.OpenBaoKeys",)),
    "objects.Objects": ("test_objects_port.py", "directory_objects.DirectoryObjects", ("s3_objects.S3Objects",)),
    "pager.Pager": (
        "test_pager_port.py",
        "log_pager.LogPager",
        ("webhook_pager.WebhookPager", "email_pager.EmailPager"),
    ),
    "registry.Registry": (
        "test_registry_port.py",
        "sqlite_registry.SqliteRegistry",
        ("postgres_registry.PostgresRegistry",),
    ),
}
# Ports with one implementation: one engine reads, writes and judges tables, on local disk and on S3A, here and in production;
# and practices wait in PostgreSQL, as do entitlements to them.
ONE_ENGINE: dict[str, str] = {
    "tables.Tables": "delta_tables.DeltaTables",
    "contracts.Contracts": "great_expectations_contracts.GreatExpectationsContracts",
    "sources.Sources": "sources.SparkSources",
    "sources.OpenSource": "sources.SparkSources",  # what it opens
    "change_stream.SourceRows": "postgres_changes.PostgresRows",  # change files bring their rows themselves
    "change_stream.Captures": "captures.Captures",
    "work_queue.WorkQueue": "postgres_work_queue.PostgresWorkQueue",
    "policy_files.PolicyFiles": "trino_policy_files.TrinoPolicyFiles",
    "warehouse.Warehouse": "trino_warehouse.TrinoWarehouse",
    "warehouse_door.WarehouseDoor": "trino_door.TrinoDoor",
    "warehouse_door.Standing": "trino_door.TrinoDoor",  # what it begins
    "entitlements.Entitlements": "postgres_entitlements.PostgresEntitlements",
}


def protocols() -> dict[str, type]:
    """Every Protocol of `wardlake.ports`, as `module.Class`."""
    found = {}
    for info in pkgutil.iter_modules(wardlake.ports.__path__):
        module = importlib.import_module(f"wardlake.ports.{info.name}")
        for name, value in inspect.getmembers(module, inspect.isclass):
            if value.__module__ == module.__name__ and getattr(value, "_is_protocol", False):
                found[f"{info.name}.{name}"] = value
    return found


def adapter(path: str) -> type:
    module, name = path.split(".")
    found = getattr(importlib.import_module(f"wardlake.adapters.{module}"), name)
    assert inspect.isclass(found)
    return found


def test_every_port_is_named_here() -> None:
    assert set(protocols()) == {*PORTS, *ONE_ENGINE}


@pytest.mark.parametrize("port", PORTS)
def test_both_implementations_have_every_method_with_the_ports_arguments(port: str) -> None:
    _, embedded, real = PORTS[port]
    protocol = protocols()[port]
    methods = {n: m for n, m in inspect.getmembers(protocol, inspect.isfunction) if not n.startswith("_")}
    assert methods
    for implementation in (embedded, *real):
        for name, method in methods.items():
            theirs = inspect.signature(getattr(adapter(implementation), name))
            ours = inspect.signature(method)
            assert [(p.name, p.kind, p.default) for p in theirs.parameters.values()] == [
                (p.name, p.kind, p.default) for p in ours.parameters.values()
            ], f"{implementation}.{name}"


@pytest.mark.parametrize("port", PORTS)
def test_one_contract_test_runs_every_implementation(port: str) -> None:
    file, embedded, real = PORTS[port]
    text = (CONTRACTS / file).read_text()
    for implementation in (embedded, *real):
        assert f"{implementation.split('.')[1]}(" in text


@pytest.mark.parametrize("port", ONE_ENGINE)
def test_the_one_engine_behind_a_port_is_run_by_some_test(port: str) -> None:
    name = adapter(ONE_ENGINE[port]).__name__
    tests = [path for path in CONTRACTS.parent.rglob("*.py") if path != Path(__file__)]
    assert [path.name for path in tests if f"{name}(" in path.read_text()]
