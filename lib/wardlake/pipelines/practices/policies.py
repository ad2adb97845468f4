"""`wardlake warehouse policies`: entitlements compiled into the files that the warehouse reads, and marts registered there.

Who loses something loses it even where tables and rules disagree; then nothing is opened, and people are told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.entitlements import Access, Entitlement
from wardlake.model.errors import ConfigurationError, NotAllowed, StorageUnavailable, VerificationFailed, WardlakeError
from wardlake.model.identity import Identity, Role
from wardlake.model.zones import Zone
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.practices.opening import Told
from wardlake.ports.pager import Page, PagerUnavailable
from wardlake.ports.policy_files import PolicyVersion
from wardlake.ports.registry import RegistryUnavailable
from wardlake.ports.warehouse import WarehouseRefused, WarehouseUnavailable
from wardlake.practices.marts.access import ACCESS, quarantine_access
from wardlake.practices.policies.agreement import find_disagreements, to_register
from wardlake.practices.policies.groups import write_groups
from wardlake.practices.policies.reach import REGISTRAR, Policy, compile_policy
from wardlake.practices.policies.replacement import Replacement, plan_replacement
from wardlake.practices.policies.rules import schema_of, write_rules
from wardlake.runs.storage_failures import AGAIN
from wardlake.settings.environment import Trino
from wardlake.settings.load import Settings

LOCK = "warehouse/policies"  # held while the files are written
REGISTER_LOCK = "warehouse/registration"
LOCK_SECONDS = 60.0
LOOK_PATIENCE_SECONDS = 120.0
CLOCK, CLOCK_KEY = "warehouse-policies", "clock"
MAY_GO_BACK = timedelta(minutes=1)
REMEMBER_EVERY = timedelta(seconds=20)
LET_IN_POLL_SECONDS = 0.2
LET_IN_PATIENCE_SECONDS = 20.0  # beyond two refreshes
RUNBOOK = "docs/runbooks/warehouse-policies.md"
_MAY = frozenset({Role.PIPELINE, Role.STEWARD})
Result = TypeVar("Result")
_Closed = tuple[tuple[Entitlement, ...], PolicyVersion]  # what was held, and the files that were left


@dataclass(frozen=True, kw_only=True)
class AtWarehouse:
    """What the command works with. `access`: who sees which mart, by source and mart."""

    ports: PortsInHand
    warehouse: Trino
    access: Mapping[str, Mapping[str, Access]]


@dataclass(slots=True)
class _Seen:
    """What lies in the zone of marts, by source; a watch looks at it now and then only, since it takes the engine.

    `done` is the last look that found nothing against opening, `applied` the entitlements and files that it ended with.
    """

    built: dict[str, list[str]] = field(default_factory=dict)
    looked_at: float | None = None  # on the machine's running clock
    look_every: float = 0.0
    clock_is_right: bool = False
    done: dict[str, Any] | None = None
    applied: _Closed | None = None

    def is_recent(self) -> bool:
        return self.looked_at is not None and time.monotonic() < self.looked_at + self.look_every


def open_warehouse(settings: Settings, ports: PortsInHand, access: Mapping[str, Access] = ACCESS) -> AtWarehouse:
    """Raises `ConfigurationError` for an environment without a warehouse, or sources whose schemas are one."""
    if settings.environment.warehouse is None:
        raise ConfigurationError(
            what=f"The environment {settings.environment.name} has no warehouse.", next_step="--env NAME; docs/guide/warehouse.md"
        )
    sources = sorted(settings.practices)
    if len({schema_of(source) for source in sources}) < len(sources):
        raise ConfigurationError(what="Two sources under conf/practices/ differ in capitals alone: the warehouse has one schema.")
    return AtWarehouse(ports=ports, warehouse=settings.environment.warehouse, access=_access_by_source(settings, access))


def _access_by_source(settings: Settings, access: Mapping[str, Access]) -> dict[str, Mapping[str, Access]]:
    return {source: {**access, **quarantine_access(settings.source(source).tables)} for source in sorted(settings.practices)}


def mart_locations(settings: Settings) -> dict[str, str]:
    """Where each mart that has a policy lies, as the warehouse's catalogue finds it, by the warehouse's `schema.table`."""
    own = settings.environment.warehouse
    if own is None:
        return {}
    return {
        f"{schema_of(source)}.{name.lower()}": _location(own, source, name)
        for source, access in _access_by_source(settings, ACCESS).items()
        for name in access
    }


def _location(warehouse: Trino, source: str, name: str) -> str:
    return f"{warehouse.marts.rstrip('/')}/{source}/{name}"


def apply_policies(at: AtWarehouse, *, dry_run: bool = False, clock_is_right: bool = False, told: Told) -> dict[str, Any]:
    """Bring the warehouse to what is granted now, and register marts; returns what was, or would be, done.

    Raises `VerificationFailed` where tables and rules disagree or the clock has gone back (`clock_is_right` says that it is right
    now), once what was revoked is closed.
    """
    return _look(at, _require_may(at), _Seen(clock_is_right=clock_is_right), dry_run=dry_run, told=told)


def watch_policies(at: AtWarehouse, *, every: float, marts_every: float, told: Told) -> None:
    """Close what was revoked every so many seconds, and bring the warehouse to what is granted beside that, until stopped.

    Closing waits for nobody: neither for the warehouse, which may be busy with others' queries, nor for the engine. Whoever began
    the watch is who acts, also when their sign-in has ended since. Where something cannot be done, people are paged once an hour.
    `marts_every`: seconds until it looks again for marts that were built, and for tables that nobody expects.
    """
    caller, seen, paged = _require_may(at), _Seen(look_every=marts_every), _Paged(at, told)
    closed = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="policies") as beside:
        look, begun = None, 0.0
        while True:
            with paged:
                closed = close_revoked(at, caller, closed, told)
            if look is not None and look.done():
                with paged:
                    done = look.result()
                    if done["changed"]:
                        told(line(done))
                look = None
            if look is None:
                look, begun = beside.submit(_look, at, caller, seen, dry_run=False, told=told), time.monotonic()
            elif time.monotonic() > begun + LOOK_PATIENCE_SECONDS:
                with paged:
                    raise StorageUnavailable("The warehouse keeps who registers marts waiting: nothing is opened meanwhile.")
            time.sleep(every)


def line(done: Mapping[str, Any]) -> str:
    """What was done, for people."""
    files = f"{done['users']} users in {done['groups']} groups; {len(done['closed'])} lose, {len(done['opened'])} gain"
    return f"{files}; registered: {', '.join(done['registered']) or 'nothing new'}"


def close_revoked(at: AtWarehouse, caller: Identity, closed: _Closed | None, told: Told) -> _Closed:
    """Take users out of groups that they are not entitled to any more. Asks only the registry and the folder.

    `closed`: what this returned last; nothing is worked out again where nothing has changed since.
    """
    with _files_held(at):
        now = at.ports.clock.now()
        held, before = _held(at, now), at.ports.policy_files.read()
        if closed != (held, before):
            _close(at, caller, now, _policy(at, held, now), before, told)
            before = at.ports.policy_files.read()
        return held, before


def _files_held(at: AtWarehouse) -> AbstractContextManager[None]:
    """Who reads the files holds this too: a file that is being written is for a moment not known to be ours."""
    return at.ports.registry.lock(LOCK, wait_seconds=LOCK_SECONDS)


def _look(at: AtWarehouse, caller: Identity, seen: _Seen, *, dry_run: bool, told: Told) -> dict[str, Any]:
    """Close, compare, open, register. The files are held while they are read and written, and never while others are asked."""
    with _files_held(at):
        now = at.ports.clock.now()
        held, before = _held(at, now), at.ports.policy_files.read()
        if seen.done is not None and seen.is_recent() and seen.applied == (held, before):
            _remember_clock(at, now)
            return {**seen.done, "changed": False, "opened": [], "closed": [], "registered": []}
        policy = _policy(at, held, now)
        plan = plan_replacement(before.groups, policy.groups)
        if not dry_run:
            seen.done = None
            _close(at, caller, now, policy, before, told)
    if dry_run:
        after = _version(at, policy)
        names = [f"{source}.{name}" for source, name in _check(at, seen, now, dry_run=True)]
        return _told_of(policy, plan, after, changed=before != after, registered=names)
    _let_the_registrar_in(at, caller, before, told)
    missing = _check(at, seen, now)
    with _files_held(at):
        now = at.ports.clock.now()
        held = _held(at, now)
        policy = _policy(at, held, now)
        after = _version(at, policy)
        _open(at, caller, now, policy, after)
        _remember_clock(at, now, always=seen.clock_is_right)
    registered = _register(at, caller, missing, told)
    changed = before != after or bool(registered)
    seen.done, seen.applied = _told_of(policy, plan, after, changed=changed, registered=registered), (held, after)
    return seen.done


def _held(at: AtWarehouse, now: datetime) -> tuple[Entitlement, ...]:
    return tuple(each for each in at.ports.entitlements.find() if each.holds(now))


def _policy(at: AtWarehouse, held: Iterable[Entitlement], now: datetime) -> Policy:
    return compile_policy(held, registrar=at.warehouse.user, at=now)


def _check(at: AtWarehouse, seen: _Seen, now: datetime, *, dry_run: bool = False) -> list[tuple[str, str]]:
    """The marts that are to be registered, by source and name; raises `VerificationFailed` for what stands against opening."""
    wrong = [] if seen.clock_is_right else _clock_problems(at, now)
    if not seen.is_recent():
        seen.built = {source: _built(at, source) for source in at.access}
        seen.looked_at = time.monotonic()
    missing: list[tuple[str, str]] = []
    for source, access in at.access.items():
        registered = _registered(at, source, dry_run=dry_run)
        wrong += find_disagreements(source, access, seen.built[source], registered)
        missing += [(source, name) for name in to_register(access, seen.built[source], registered)]
    if wrong:
        raise VerificationFailed(
            "Nothing was opened in the warehouse; what was revoked is closed.", which=wrong, next_step=RUNBOOK
        )
    return missing


def _built(at: AtWarehouse, source: str) -> list[str]:
    """What lies in the zone of marts of a source."""
    place = f"{at.ports.layout.zone(Zone.MARTS)}/{source}"
    return [name for name in at.ports.tables.list_folder(place) if at.ports.tables.exists(f"{place}/{name}")]


def _registered(at: AtWarehouse, source: str, *, dry_run: bool = False) -> Mapping[str, tuple[str, ...]]:
    """The warehouse's tables of a source; none where its rules do not let the registrar in yet and a dry run asks."""
    try:
        return _asked(lambda: at.ports.warehouse.tables(schema_of(source)))
    except WarehouseRefused:
        if dry_run:
            return {}
        raise _disobeyed(at) from None


def _let_the_registrar_in(at: AtWarehouse, caller: Identity, before: PolicyVersion, told: Told) -> None:
    """Files that somebody else wrote, or that do not let the registrar in, give way to such as let in nobody else."""

    def ask() -> None:
        for source in at.access:
            at.ports.warehouse.tables(schema_of(source))

    if before.ours:
        try:
            return _asked(ask)
        except WarehouseRefused:
            told("the warehouse's rules do not let in who registers marts: closed before they are written anew")
    empty = Policy(registrar=at.warehouse.user, groups={at.warehouse.user: (REGISTRAR,)})
    with _files_held(at):
        version, plan = _version(at, empty), plan_replacement(at.ports.policy_files.read().groups, empty.groups)
        _record(at, AuditKind.POLICIES_CLOSED, caller, at.ports.clock.now(), _counts(empty, plan, version))
        _replace(at, plan, version)
    return _once_let_in(at, ask, _patience(at))


def _patience(at: AtWarehouse) -> float:
    """Until when the warehouse must have read its files, on the machine's running clock."""
    return time.monotonic() + 2 * at.warehouse.refresh_seconds + LET_IN_PATIENCE_SECONDS


def _once_let_in(at: AtWarehouse, ask: Callable[[], Result], deadline: float) -> Result:
    """The answer once the warehouse has read the rules that let the registrar in; raises where it does not in time."""
    while True:
        try:
            return ask()
        except WarehouseRefused:
            if time.monotonic() >= deadline:
                raise _disobeyed(at) from None
        except WarehouseUnavailable as problem:  # so it answers until it has read files that were broken
            if time.monotonic() >= deadline:
                raise _unusable(problem) from None
        time.sleep(LET_IN_POLL_SECONDS)


def _asked(ask: Callable[[], Result]) -> Result:
    try:
        return ask()
    except WarehouseRefused:
        raise
    except WarehouseUnavailable as problem:
        raise _unusable(problem) from None


def _unusable(problem: WarehouseUnavailable) -> StorageUnavailable:
    return StorageUnavailable(f"The warehouse cannot be used: {problem}.", next_step=f"wardlake doctor, {AGAIN}")


def _disobeyed(at: AtWarehouse) -> VerificationFailed:
    return VerificationFailed(
        "The warehouse does not obey the files in its policy folder.", which=[at.warehouse.policies], next_step=RUNBOOK
    )


def _open(at: AtWarehouse, caller: Identity, now: datetime, policy: Policy, after: PolicyVersion) -> None:
    before = at.ports.policy_files.read()
    if before != after:
        plan = plan_replacement(before.groups, policy.groups)
        _record(at, AuditKind.POLICIES_APPLIED, caller, now, _counts(policy, plan, after))
        _replace(at, plan, after)


def _replace(at: AtWarehouse, plan: Replacement, after: PolicyVersion) -> None:
    """What closes goes first, what opens last."""
    if plan.closing is not None:
        at.ports.policy_files.write_groups(plan.closing)
    at.ports.policy_files.write_rules(after.rules)
    at.ports.policy_files.write_groups(after.groups)


def _close(at: AtWarehouse, caller: Identity, now: datetime, policy: Policy, before: PolicyVersion, told: Told) -> None:
    """Only what closes, under the rules that there are. Whatever lies there that somebody else wrote is told."""
    if not before.ours and (before.rules or before.groups):
        told("the warehouse's files are not what was written last: closed before they are written anew")
    plan = plan_replacement(before.groups, policy.groups)
    if plan.closing is not None:
        version = PolicyVersion(rules=before.rules, groups=plan.closing)
        details = {"rules_sha256": version.rules_sha256, "groups_sha256": version.groups_sha256, "closed": len(plan.closed)}
        _record(at, AuditKind.POLICIES_CLOSED, caller, now, details)
        at.ports.policy_files.write_groups(plan.closing)


def _register(at: AtWarehouse, caller: Identity, missing: Collection[tuple[str, str]], told: Told) -> list[str]:
    """Each mart once; raises `VerificationFailed` with those that the warehouse did not take, once all others are registered."""
    if not missing:
        return []
    done, failed = [], []
    with at.ports.registry.lock(REGISTER_LOCK, wait_seconds=LOCK_SECONDS):
        names = [f"{source}.{name}" for source, name in missing]
        _record(at, AuditKind.MARTS_REGISTERED, caller, at.ports.clock.now(), {"marts": names})
        deadline = _patience(at)
        for source, name in missing:
            location = _location(at.warehouse, source, name)
            try:
                _once_let_in(at, _registering(at, schema_of(source), name, location), deadline)
            except WardlakeError as problem:
                if name.lower() not in _registered(at, source):  # else another run was first
                    failed.append(f"{source}.{name}: {problem.what}")
                continue
            done.append(f"{source}.{name}")
            told(f"registered {source}.{name}")
    if failed:
        raise VerificationFailed("Marts could not be registered in the warehouse.", which=failed, next_step=RUNBOOK)
    return done


def _registering(at: AtWarehouse, schema: str, name: str, location: str) -> Callable[[], None]:
    return lambda: at.ports.warehouse.register(schema, name, location)


def _version(at: AtWarehouse, policy: Policy) -> PolicyVersion:
    rules = write_rules(policy, at.access, catalog=at.warehouse.catalog)
    return PolicyVersion(rules=rules, groups=write_groups(policy.groups))


def _counts(policy: Policy, plan: Replacement, version: PolicyVersion) -> dict[str, Any]:
    return {
        "rules_sha256": version.rules_sha256,
        "groups_sha256": version.groups_sha256,
        "users": len(policy.groups),
        "groups": len(policy.reaches),
        "closed": len(plan.closed),
        "opened": len(plan.opened),
    }


def _told_of(
    policy: Policy, plan: Replacement, version: PolicyVersion, *, changed: bool, registered: list[str]
) -> dict[str, Any]:
    return {
        **_counts(policy, plan, version),
        "closed": list(plan.closed),
        "opened": list(plan.opened),
        "changed": changed,
        "registered": registered,
    }


def _clock_problems(at: AtWarehouse, now: datetime) -> list[str]:
    """A clock that has gone back would open again what is over."""
    known = at.ports.registry.get(CLOCK, CLOCK_KEY)
    if known is None or now >= datetime.fromisoformat(str(known["at"])) - MAY_GO_BACK:
        return []
    return [f"the clock has gone back: it was {known['at']} already (wardlake warehouse policies --clock-is-right)"]


def _remember_clock(at: AtWarehouse, now: datetime, *, always: bool = False) -> None:
    known = at.ports.registry.get(CLOCK, CLOCK_KEY)
    if always or known is None or now >= datetime.fromisoformat(str(known["at"])) + REMEMBER_EVERY:
        at.ports.registry.put(CLOCK, CLOCK_KEY, {"at": now.astimezone(UTC).isoformat()})


def _require_may(at: AtWarehouse) -> Identity:
    caller = at.ports.identity.caller()
    if not caller.roles & _MAY:
        raise NotAllowed("The warehouse's policies are the pipeline's or a steward's to write.", next_step="ask one of them")
    return caller


def _record(at: AtWarehouse, kind: AuditKind, caller: Identity, now: datetime, details: Mapping[str, Any]) -> None:
    moment = now.astimezone(UTC).isoformat()
    at.ports.trail.append(AuditEvent(kind=kind, actor=caller.subject, at=moment, zone=Zone.MARTS.value, details=details))


class _Paged:
    """What fails within is paged, once an hour for the same problem; the next look tries again where nobody could be paged."""

    def __init__(self, at: AtWarehouse, told: Told) -> None:
        self._at = at
        self._told = told
        self._keys: set[str] = set()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, _: object) -> bool:
        if not isinstance(problem, (WardlakeError, RegistryUnavailable, WarehouseUnavailable)):
            return False
        title = f"The warehouse's policies are not what is granted: {str(problem).splitlines()[0]}"
        hour = f"{self._at.ports.clock.now():%Y-%m-%d-%H}"
        key = f"warehouse/policies/{title}/{hour}"
        if key not in self._keys:
            which = problem.which if isinstance(problem, WardlakeError) else ()
            try:
                self._at.ports.pager.page(Page(key=key, title=title, lines=which, runbook=RUNBOOK, run_id=""))
            except (PagerUnavailable, RegistryUnavailable) as silent:
                self._told(f"nobody could be paged ({silent}): {title}")
            else:
                self._keys = {each for each in self._keys if each.endswith(hour)} | {key}
                self._told(title)
        return True
