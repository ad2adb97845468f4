"""The secrets that an environment refers to: whether each reference leads to something. No secret is ever shown."""

from __future__ import annotations

from collections.abc import Iterator

from wardlake.doctor.checks import Check, State
from wardlake.model.errors import ConfigurationError
from wardlake.settings import environment as env
from wardlake.settings.secrets import resolve

WORDS = ("env", "file")


def check_references(environment: env.Environment) -> list[Check]:
    """One failed check for each reference that leads nowhere, with every place that names it; else one for all.

    What is no reference may be a secret written out: of that, only the places are named.
    """
    places: dict[str, list[str]] = {}
    for place, reference in named_references(environment):
        places.setdefault(reference, []).append(place)
    lost = [_lost(reference, named) for reference, named in places.items() if not _leads_somewhere(reference)]
    if lost or not places:
        return lost
    detail = f"{len(places)} references lead to something"
    return [Check(name="Secrets", state=State.OK, detail=detail, serves="this environment", remedy="none is needed")]


def named_references(environment: env.Environment) -> Iterator[tuple[str, str]]:
    """Every reference that this process resolves, after the key that holds it.

    Left out: second factors, each readable by its own user alone, and `storage_credentials`, which executors resolve.
    """
    found = [
        *_of_keys(environment.keys),
        *_of_objects("objects", environment.objects),
        *_of_objects("audit_objects", environment.audit_objects),
        *_of_registry(environment.registry),
        *(pair for place, pager in enumerate(environment.pagers) for pair in _of_pager(f"pagers.{place}", pager)),
        *_of_identity(environment.identity),
        *([("warehouse.password", environment.warehouse.password)] if environment.warehouse else []),
        *((f"spark.secrets.{key}", reference) for key, reference in environment.spark.secrets.items()),
    ]
    yield from ((place, reference) for place, reference in found if reference)


def _leads_somewhere(reference: str) -> bool:
    try:
        resolve(reference)
    except ConfigurationError:
        return False
    return True


def _lost(reference: str, places: list[str]) -> Check:
    named = ", ".join(places)
    if reference.partition(":")[0] in WORDS:
        detail, remedy = f"{reference} is not there; named by {named}", f"provide {reference}"
    else:
        detail, remedy = f"no reference stands in {named}", "write env:NAME or file:PATH there, never the secret"
    return Check(name="Secret", state=State.MISSING, detail=detail, serves="this environment", remedy=remedy)


def _of_keys(keys: env.SealedKeyFile | env.OpenBao) -> list[tuple[str, str]]:
    match keys:
        case env.SealedKeyFile():
            return []
        case env.OpenBao():
            return [("keys.role_id", keys.role_id), ("keys.secret_id", keys.secret_id)]
    raise AssertionError


def _of_objects(name: str, objects: env.Directory | env.S3 | None) -> list[tuple[str, str]]:
    match objects:
        case None | env.Directory():
            return []
        case env.S3():
            return [(f"{name}.access_key", objects.access_key), (f"{name}.secret_key", objects.secret_key)]
    raise AssertionError


def _of_registry(registry: env.Sqlite | env.Postgres) -> list[tuple[str, str]]:
    match registry:
        case env.Sqlite():
            return []
        case env.Postgres():
            return [("registry.dsn", registry.dsn)]
    raise AssertionError


def _of_pager(name: str, pager: env.LogPager | env.WebhookPager | env.EmailPager) -> list[tuple[str, str]]:
    match pager:
        case env.LogPager():
            return []
        case env.WebhookPager():
            return [(f"{name}.secret", pager.secret)]
        case env.EmailPager():
            return [(f"{name}.password", pager.password)]
    raise AssertionError


def _of_identity(identity: env.SystemIdentity | env.OpenBaoIdentity | env.OidcIdentity) -> list[tuple[str, str]]:
    match identity:
        case env.SystemIdentity():
            return []
        case env.OpenBaoIdentity() | env.OidcIdentity():
            return [("identity.token", identity.token)]
    raise AssertionError
