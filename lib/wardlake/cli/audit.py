"""`wardlake audit`: the questions a regulator asks, answered from the archive alone."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime

import click

from wardlake.audit.archive import published_as_of, query_records
from wardlake.audit.retention import set_hold
from wardlake.audit.verification import verify_archive
from wardlake.cli.context import opened_environment
from wardlake.cli.frame import Options, answer, command_flags, report_error
from wardlake.model.audit import AuditEvent, AuditKind, AuditRecord
from wardlake.model.errors import ConfigurationError, DoneInPart, VerificationFailed
from wardlake.model.identity import Role
from wardlake.model.zones import Zone
from wardlake.pipelines.refresh.begin import require_role
from wardlake.ports.audit_sink import AuditEntry, SinkUnavailable
from wardlake.wiring import Wiring


@click.group(help="Records that cannot be rewritten: query, verify, hold.")
def audit() -> None: ...


QUERY = """Records by zone and day, dataset or run; with --on also what readers saw at the end of that day.

Without --zone that is answered for every zone.

Reads the audit archive that --env names, and nothing else.

\b
  wardlake audit query --on 2026-01-31
  wardlake audit query --zone dev --on 2026-01-31
  wardlake audit query --dataset ds-0f3c... --json
"""


@audit.command(help=QUERY)
@click.option("--zone", type=click.Choice([each.value for each in Zone]), help="By default every zone.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="A day, in UTC.")
@click.option("--dataset", default="", help="A dataset's id.")
@click.option("--run-id", default="")
@command_flags
def query(options: Options, zone: str | None, on: datetime | None, dataset: str, run_id: str) -> None:
    with opened_environment(options) as wiring:
        objects, day = wiring.audit_objects, on.date() if on else None
        records = query_records(objects, zone=zone or "", on=day, dataset_id=dataset, run_id=run_id)
        seen = published_as_of(objects, zone=zone or "", on=day) if day else []
        document = {"records": [_plain(record) for record in records], "visible": [_plain(record) for record in seen]}
        lines = [_line(record) for record in records] or ["no record"]
        lines += [f"visible at the end of the day in {record.event.zone}: {record.event.dataset_id}" for record in seen]
        answer(options, document, "\n".join(lines))


VERIFY = """Recompute every hash of the chain, and hold its end against the audit table.

The archive is all it takes. Where the audit table does not answer, what was cut off at the chain's end cannot be told: the answer
says so, and a chain that is whole otherwise ends with exit 22.

\b
  wardlake audit verify
  wardlake audit verify --archive-only    # exit 0 without a look at the table
"""


@audit.command(help=VERIFY)
@click.option("--archive-only", is_flag=True, help="Read the object archive and nothing else.")
@command_flags
def verify(options: Options, archive_only: bool) -> None:
    with opened_environment(options) as wiring:
        head, why = (None, "as asked") if archive_only else _known_head(wiring)
        found = verify_archive(wiring.audit_objects, head=head)
        document = {"records": found.records, "ok": found.ok, "first_bad": found.first_bad or None, "end_compared": not why}
        said = "the chain holds" if found.ok else f"bad from {found.first_bad}"
        answer(options, document, f"{found.records} records, {said}" + (f"; its end was not compared: {why}" if why else ""))
        if not found.ok:  # the answer is printed: stdout holds one object
            broken = VerificationFailed("The audit chain is broken.", which=[f"record {found.first_bad}"])
            sys.exit(report_error(broken, as_json=False))
        if why and not archive_only:
            part = DoneInPart(f"The chain's end was not compared: {why}.", next_step="wardlake doctor, or --archive-only")
            sys.exit(report_error(part, as_json=False))


def _known_head(wiring: Wiring) -> tuple[AuditEntry | None, str]:
    """The newest record that the audit table has, or why the table cannot be asked."""
    try:
        return wiring.audit_sink.head(), ""
    except SinkUnavailable as problem:
        return None, f"the audit table cannot be used ({problem})"
    except ConfigurationError:  # the secret of the table's address
        return None, "the audit table's address is not known here"


@audit.command(help="Keep the records of a dataset or run past their time, or lift that again (--lift).")
@click.option("--dataset", default="")
@click.option("--run-id", default="")
@click.option("--lift", is_flag=True)
@command_flags
def hold(options: Options, dataset: str, run_id: str, lift: bool) -> None:
    if not dataset and not run_id:
        raise click.UsageError("give --dataset or --run-id")
    with opened_environment(options) as wiring:
        actor = wiring.identity.caller()
        require_role(actor, Role.COMPLIANCE, "A legal hold")
        records = query_records(wiring.audit_objects, dataset_id=dataset, run_id=run_id)
        if not records:
            raise VerificationFailed("The archive has no such records.", which=[dataset or run_id])
        event = AuditEvent(
            kind=AuditKind.HOLD_SET, actor=actor.subject, at=wiring.clock.now().isoformat(), run_id=run_id, dataset_id=dataset
        )
        set_hold(wiring.trail, wiring.audit_objects, records, held=not lift, event=event)
        sequences = [record.sequence for record in records]
        answer(options, {"records": sequences, "held": not lift}, f"{len(sequences)} records {'free' if lift else 'held'}")


MIGRATE = """Lay or renew the PostgreSQL schema that registry and audit table lie in (infra/postgres).

What is applied already is left alone. Done as the schema's owner, not by the pipeline's role: --owner refers to its DSN.
SQLite makes its own tables.

\b
  wardlake audit migrate --env production --owner env:OWNER_DSN --dry-run
  wardlake audit migrate --env production --owner file:/run/secrets/owner-dsn
"""


@audit.command(help=MIGRATE)
@click.option("--owner", default="", help="Reference to the owner's DSN: env:NAME or file:PATH; by default the registry's.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied; change nothing.")
@command_flags
def migrate(options: Options, owner: str, dry_run: bool) -> None:
    with opened_environment(options) as wiring:
        names = wiring.migrate(owner=owner, dry_run=dry_run)
        word = "would apply" if dry_run else "applied"
        answer(
            options, {"applied": not dry_run, "migrations": list(names)}, "\n".join(f"{word}  {n}" for n in names) or "up to date"
        )


def _plain(record: AuditRecord) -> dict[str, object]:
    return dict(json.loads(json.dumps(dataclasses.asdict(record), default=dict)))


def _line(record: AuditRecord) -> str:
    event = record.event
    return f"{record.sequence:>6}  {event.at[:19]}  {event.kind.value:<28} {event.dataset_id or event.run_id}  by {event.actor}"
