"""The services an environment names: whether something listens where it says."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlparse

from wardlake.doctor.checks import Check, State
from wardlake.model.errors import ConfigurationError
from wardlake.settings import environment as env
from wardlake.settings.secrets import resolve

SECONDS = 3.0
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "spark": 7077}
KEYWORD = re.compile(r"\b(host|port)\s*=\s*'?([^\s']+)")


@dataclass(frozen=True, slots=True)
class Service:
    """A host and port, and what for. Never a credential."""

    name: str
    host: str
    port: int


def find_services(environment: env.Environment) -> list[Service]:
    """Every address that the environment names; none for embedded defaults."""
    found = [_keys(environment), _registry(environment), _identity(environment), _spark(environment)]
    found += [_at("Warehouse", environment.warehouse.url) if environment.warehouse else None]
    found += [_store("Objects", environment.objects), _store("Audit objects", environment.audit_objects)]
    found += [_pager(pager) for pager in environment.pagers]
    return [service for service in found if service is not None]


def reach(service: Service) -> bool:
    """Whether a connection opens within a few seconds. Nothing is sent."""
    try:
        with socket.create_connection((service.host, service.port), timeout=SECONDS):
            return True
    except (OSError, UnicodeError):  # a name that no host can have
        return False


def judge_services(services: list[Service], reached: Mapping[Service, bool]) -> list[Check]:
    return [
        Check(
            name=service.name,
            state=State.OK if reached[service] else State.MISSING,
            detail=f"{service.host}:{service.port} {'answers' if reached[service] else 'does not answer'}",
            serves="this environment",
            remedy="start the service, or mend its address under conf/environments/",
        )
        for service in services
    ]


def _at(name: str, address: str) -> Service | None:
    try:
        parsed = urlparse(address)
        port = parsed.port or PORTS.get(parsed.scheme, 443)
    except ValueError:
        return Service(name, "what is written as its address", 0)
    return Service(name, parsed.hostname, port) if parsed.hostname else None


def _keys(environment: env.Environment) -> Service | None:
    return _at("Keys", environment.keys.address) if isinstance(environment.keys, env.OpenBao) else None


def _registry(environment: env.Environment) -> Service | None:
    if not isinstance(environment.registry, env.Postgres):
        return None
    try:
        dsn = resolve(environment.registry.dsn)
    except ConfigurationError:
        return None  # said where references are followed
    if "://" in dsn:
        return _at("Registry", dsn)
    words = dict(KEYWORD.findall(dsn))
    if words.get("host", "/").startswith("/"):
        return None  # a socket of this machine: the registry itself is asked
    port = words.get("port", "")
    return Service("Registry", words["host"], int(port) if port.isdigit() else PORTS["postgresql"])


def _identity(environment: env.Environment) -> Service | None:
    match environment.identity:
        case env.SystemIdentity():
            return None
        case env.OpenBaoIdentity(address=address):
            return _at("Sign-in", address)
        case env.OidcIdentity(issuer=issuer):
            return _at("Sign-in", issuer)
    raise AssertionError


def _spark(environment: env.Environment) -> Service | None:
    master = environment.spark.master
    return _at("Spark master", master.split(",")[0]) if master.startswith("spark://") else None


def _store(name: str, objects: env.Directory | env.S3 | None) -> Service | None:
    if not isinstance(objects, env.S3):
        return None
    return _at(name, objects.endpoint or f"https://s3.{objects.region}.amazonaws.com")


def _pager(pager: env.LogPager | env.WebhookPager | env.EmailPager) -> Service | None:
    match pager:
        case env.LogPager():
            return None
        case env.WebhookPager(url=url):
            return _at("Pager", url)
        case env.EmailPager(host=host, port=port):
            return Service("Pager", host, port)
    raise AssertionError
