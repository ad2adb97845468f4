"""What holds keys, decisions and records, asked through its own adapter: a port that is open is no vault that is unsealed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from wardlake.adapters.sealed_key_file import SealedKeyFile
from wardlake.doctor.checks import Check, State
from wardlake.model.errors import WardlakeError
from wardlake.model.zones import LakeLayout, Zone
from wardlake.ports.audit_sink import AuditSink, SinkUnavailable
from wardlake.ports.keys import Keys
from wardlake.ports.registry import Registry, RegistryUnavailable
from wardlake.settings import environment as env

NOT_YET = "not there yet: made when it is first used"


class Stores(Protocol):
    """The ports that are asked, each made when it is first asked for."""

    @property
    def layout(self) -> LakeLayout: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def audit_sink(self) -> AuditSink: ...


def check_stores(environment: env.Environment, stores: Stores, *, silent: Collection[str] = ()) -> list[Check]:
    """A check for each store. `silent` names services that do not answer: asking those again would only take longer."""
    checks = []
    if "Keys" not in silent:
        checks.append(_check_keys(environment.name, stores))
    if "Registry" not in silent:
        mend = f"mend it, or make its tables as their owner: wardlake audit migrate --env {environment.name}"
        registry, audit = embedded_files(environment, stores.layout)
        checks.append(_asked("Registry tables", lambda: _ask_registry(stores, registry), "locks, reviews and requests", mend))
        checks.append(_asked("Audit table", lambda: _ask_audit(stores, audit), "every command that writes", mend))
    return checks


def embedded_files(environment: env.Environment, layout: LakeLayout) -> tuple[Path | None, Path | None]:
    """The files of an embedded registry and its audit, which asking would make; none where a server or a store holds them."""
    match environment.registry:
        case env.Sqlite(file=file) if file:
            return Path(file), Path(file).with_name("audit.db")
        case env.Sqlite():
            return _local(layout, Zone.RESTRICTED, "registry.db"), _local(layout, Zone.AUDIT, "records.db")
        case env.Postgres():
            return None, None
    raise AssertionError


def _local(layout: LakeLayout, zone: Zone, name: str) -> Path | None:
    place = layout.zone(zone)
    return None if "://" in place else Path(place) / name


def _check_keys(environment: str, stores: Stores) -> Check:
    create = f"wardlake keys create --source S --env {environment} --lake {stores.layout.root}"
    made = True

    def ask() -> str:
        nonlocal made
        keys = stores.keys
        made = not isinstance(keys, SealedKeyFile) or keys.is_made()
        if made:
            keys.reachable()
        return "can be reached" if made else "there is no key file yet"

    check = _asked("Token keys", ask, "every refresh", "start the vault, or mend the environment's `keys`")
    if made:
        return check
    return Check(name=check.name, state=State.OPTIONAL_MISSING, detail=check.detail, serves=check.serves, remedy=create)


def _ask_registry(stores: Stores, file: Path | None) -> str:
    if file and not file.exists():
        return NOT_YET
    stores.registry.reachable()
    return "answers"


def _ask_audit(stores: Stores, file: Path | None) -> str:
    if file and not file.exists():
        return NOT_YET
    head = stores.audit_sink.head()
    return f"answers; its newest record is number {head.sequence}" if head else "answers; there is no record yet"


def _asked(name: str, ask: Callable[[], str], serves: str, remedy: str) -> Check:
    """What the store says; a refusal in its own words, which hold no value."""
    try:
        return Check(name=name, state=State.OK, detail=ask(), serves=serves, remedy=remedy)
    except WardlakeError as problem:
        which = f" ({', '.join(problem.which)})" if problem.which else ""
        own = "" if "wardlake doctor" in problem.next_step else problem.next_step
        detail, remedy = f"{problem.what}{which}", own or remedy
    except (RegistryUnavailable, SinkUnavailable) as problem:
        detail = str(problem)
    except OSError as problem:
        detail = f"cannot be used: {type(problem).__name__}"
    return Check(name=name, state=State.MISSING, detail=detail, serves=serves, remedy=remedy)
