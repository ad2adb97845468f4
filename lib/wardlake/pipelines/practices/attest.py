"""Attacks a deployment of the warehouse: every probe on every table, and says of each whether the policies held."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from wardlake.model.errors import VerificationFailed
from wardlake.pipelines.practices.policies import mart_locations
from wardlake.ports.warehouse_door import Answer, Caller, DoorUnavailable, PageRequest, Standing, Statement, WarehouseDoor
from wardlake.practices.attest.every import PROBES
from wardlake.practices.attest.probe import Outcome, Probe, Scope, Verdict, not_applicable, unknown
from wardlake.practices.attest.target import Target, quoted, texts
from wardlake.settings.deployment import Deployment
from wardlake.settings.load import Settings

CONTROL = "control"  # what must be so for the probes to mean anything
# Its rows are not taken, so that it stands still at work without any load.
AT_WORK = "SELECT sequential_number FROM TABLE(system.builtin.sequence(1, 100000000))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one probe; `table` is empty for the deployment itself."""

    probe: str
    table: str
    outcome: Outcome

    @property
    def stands(self) -> bool:
        return self.outcome.verdict in {Verdict.HELD, Verdict.NOT_APPLICABLE}


def attest(
    deployment: Deployment,
    door: WarehouseDoor,
    *,
    probes: Mapping[str, Probe] = PROBES,
    told: Callable[[Finding], object] = lambda _: None,
) -> list[Finding]:
    """Findings in the order in which they are told. Raises `VerificationFailed` where the warehouse cannot be asked at all."""
    findings: list[Finding] = []

    def tell(probe: str, table: str, outcome: Outcome) -> None:
        findings.append(Finding(probe=probe, table=table, outcome=outcome))
        told(findings[-1])

    with _asking():
        targets = list(_targets(deployment, door, tell))
    for target in targets:
        for probe in probes.values():
            if probe.scope is Scope.TABLE:
                tell(probe.name, f"{target.schema}.{target.table}", run_probe(probe, target, door))
    if not targets:
        tell(CONTROL, "", unknown("the other user sees no row of any table: there is nothing to take"))
    elif not any(target.own_rows for target in targets):
        tell(CONTROL, "", unknown("the attacker sees no row of their own in any table: what is kept from them proves nothing"))
    _attack_deployment(_target(deployment), door, probes, tell)
    return findings


def know_locations(deployment: Deployment, settings: Settings) -> Deployment:
    """A deployment that is the environment's own warehouse, with where its marts lie; what its file says of that stands."""
    own = settings.environment.warehouse
    if own is None or (own.url.rstrip("/"), own.catalog) != (deployment.url.rstrip("/"), deployment.catalog):
        return deployment
    return replace(deployment, locations={**mart_locations(settings), **deployment.locations})


def run_probe(probe: Probe, target: Target, door: WarehouseDoor) -> Outcome:
    """Carry a probe's questions to the door. What cannot be asked, or is not understood, is not held."""
    attempt = probe.run(target)
    try:
        question = next(attempt)
        while True:
            question = attempt.send(_answer(door, question))
    except StopIteration as ended:
        outcome: Outcome = ended.value
        return outcome
    except DoorUnavailable as problem:
        return unknown(str(problem))
    except (LookupError, ValueError) as problem:
        return unknown(f"the answer is not understood: {type(problem).__name__}")


def _answer(door: WarehouseDoor, question: Statement | PageRequest) -> Answer:
    return door.ask(question) if isinstance(question, Statement) else door.get(question)


def _attack_deployment(
    target: Target, door: WarehouseDoor, probes: Mapping[str, Probe], tell: Callable[[str, str, Outcome], None]
) -> None:
    """Probes of the deployment itself, each while a query of the other user's is at work: one, unless a probe ends it."""
    standing: Standing | None = None
    try:
        for probe in probes.values():
            if probe.scope is Scope.DEPLOYMENT:
                try:
                    standing = standing if standing and standing.runs() else _begin(door)
                    outcome = run_probe(probe, replace(target, their_query=standing.query), door)
                except DoorUnavailable as problem:
                    outcome = unknown(str(problem))
                tell(probe.name, "", outcome)
    finally:
        if standing:
            standing.end()


def _begin(door: WarehouseDoor) -> Standing:
    """A query of the other user's; raises `DoorUnavailable` where it does not run."""
    standing = door.begin(Statement(sql=AT_WORK, caller=Caller.OTHER))
    if not standing.runs():
        raise DoorUnavailable("no query of the other user's runs, so nobody can look for it")
    return standing


def _target(deployment: Deployment) -> Target:
    return Target(
        catalog=deployment.catalog,
        schemas=deployment.schemas,
        attacker=deployment.attacker.user,
        other=deployment.other.user,
        own=deployment.attacker.practices,
        others=deployment.other.practices,
        mark=f"wardlake_attest_{secrets.token_hex(4)}",
        hidden=deployment.hidden,
    )


def _targets(deployment: Deployment, door: WarehouseDoor, tell: Callable[[str, str, Outcome], None]) -> Iterator[Target]:
    """Tables that either user sees and that hold rows of the other's; of the rest it is told why they are left out."""
    base = _target(deployment)
    for (schema, table), columns in sorted(_tables(deployment, door).items()):
        practice = deployment.practice_of(schema, table)
        name = f"{schema}.{table}"
        if practice not in dict(columns):
            tell(CONTROL, name, unknown(f"it has no column {practice}: whose its rows are cannot be told"))
            continue
        location = deployment.location_of(schema, table)
        target = replace(base, schema=schema, table=table, practice=practice, columns=columns, location=location)
        if theirs := _count(door, target, Caller.OTHER, target.is_theirs):
            tell(CONTROL, name, Outcome(Verdict.HELD, "the other user sees rows of their own"))
            yield replace(target, own_rows=_count(door, target, Caller.ATTACKER, target.is_own) or 0)
        elif theirs is None:
            tell(CONTROL, name, unknown("the other user cannot read it"))
        else:
            tell(CONTROL, name, not_applicable("the other user has no rows there"))


def _tables(deployment: Deployment, door: WarehouseDoor) -> dict[tuple[str, str], tuple[tuple[str, str], ...]]:
    """Names and types of the columns of every table that either user is shown."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    sql = (
        f"SELECT table_schema, table_name, column_name, data_type FROM {quoted(deployment.catalog)}.information_schema.columns "  # noqa: S608 - names are quoted
        f"WHERE table_schema IN ({texts(deployment.schemas)}) ORDER BY ordinal_position"
    )
    for caller in (Caller.OTHER, Caller.ATTACKER):
        answer = door.ask(Statement(sql=sql, caller=caller))
        if not answer.done:
            raise DoorUnavailable(f"{caller.value}: tables cannot be listed: {answer.error or f'HTTP {answer.status}'}")
        for schema, table, column, kind in answer.rows:
            found.setdefault((str(schema), str(table)), {})[str(column)] = str(kind)
    return {name: tuple(columns.items()) for name, columns in found.items()}


def _count(door: WarehouseDoor, target: Target, caller: Caller, condition: str) -> int | None:
    """Rows that a user sees and that fulfil the condition; None where they are not let."""
    answer = door.ask(Statement(sql=f"SELECT count(*) FROM {target.name} WHERE {condition}", caller=caller))  # noqa: S608 - names are quoted
    return int(answer.rows[0][0]) if answer.done else None


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except DoorUnavailable as problem:
        raise VerificationFailed(
            "The warehouse cannot be asked, so nothing is attested.",
            which=[str(problem)],
            next_step="mend address, certificate, users or credentials in the deployment's file",
        ) from None


def document(deployment: Deployment, findings: list[Finding]) -> dict[str, Any]:
    """The answer: counts by verdict, and every finding with what was tried and which hole would let it succeed."""
    counts = Counter(finding.outcome.verdict for finding in findings)
    return {
        "deployment": deployment.name,
        "verdicts": {verdict.value: counts[verdict] for verdict in Verdict},
        "findings": [
            {
                "probe": each.probe,
                "table": each.table,
                "verdict": each.outcome.verdict.value,
                "why": each.outcome.why,
                "tries": PROBES[each.probe].tries if each.probe in PROBES else "",
                "hole": PROBES[each.probe].hole if each.probe in PROBES else "",
            }
            for each in findings
        ],
    }


def line(finding: Finding) -> str:
    """One finding for people."""
    return f"{finding.outcome.verdict.value:<17} {finding.table or '-':<36} {finding.probe:<26} {finding.outcome.why}"


def failure(findings: list[Finding]) -> VerificationFailed | None:
    """What does not stand, if anything; a probe that could not be run does not."""
    fallen = [finding for finding in findings if not finding.stands]
    if not fallen:
        return None
    broken = sum(finding.outcome.verdict is Verdict.BROKEN for finding in fallen)
    return VerificationFailed(
        f"The warehouse is not attested: {broken} probes succeeded, {len(fallen) - broken} could not be run.",
        which=[line(finding) for finding in fallen],
        next_step="close the holes (docs/guide/warehouse.md), and attest again",
    )
