"""`wardlake warehouse`: who may see which practice, and the rules that the warehouse is given for it."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import ERRORS, Options, answer, command_flags
from wardlake.cli.warehouse_attest import attest
from wardlake.model.entitlements import WarehouseRole

_ROLES = click.Choice([role.value for role in WarehouseRole])
_SOURCE = click.option("--source", default="", help="A file under conf/practices/; may be left out where there is one.")
_PRACTICES = click.option("--practice", "practices", multiple=True, help="A practice; may be given many times.")
_REASON = click.option("--reason", required=True, help="Why; kept with the entitlement.")


class _Moment(click.ParamType[datetime]):
    """An ISO 8601 day or time; UTC where it names no zone."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            given = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("a day or time such as 2027-01-31 or 2027-01-31T17:00+01:00", param, ctx)
        return given if given.tzinfo else given.replace(tzinfo=UTC)


@click.group(help="The warehouse that analysts ask for marts: who may see what there.")
def warehouse() -> None: ...


warehouse.add_command(attest)


GRANT = """Let a user of the warehouse see practices, in a role, until a time; needs the role steward or compliance.

manager sees all marts of the practices, clinician those of care (without what drugs cost), billing those of money (without which
drugs they were). administrator sees no practice: it keeps the warehouse going. Granted again, the newer one holds.

\b
  wardlake warehouse grant --user ann --practice P1 --practice P2 --role manager --until 2027-01-31 --reason "runs both"
  wardlake warehouse grant --user ada --role administrator --until 2027-01-31 --reason "on call"
"""


@warehouse.command(help=GRANT)
@_SOURCE
@click.option("--user", required=True, help="The name that the user signs in with.")
@_PRACTICES
@click.option("--role", type=_ROLES, required=True)
@click.option("--from", "begins", type=_Moment(), help="By default now.")
@click.option("--until", type=_Moment(), required=True, help="The first moment at which it does not hold.")
@_REASON
@command_flags
def grant(
    options: Options,
    source: str,
    user: str,
    practices: tuple[str, ...],
    role: str,
    begins: datetime | None,
    until: datetime,
    reason: str,
) -> None:
    from wardlake.pipelines.practices.entitlements import Wanted, line
    from wardlake.pipelines.practices.entitlements import grant as give

    wanted = Wanted(user=user, practices=practices, role=WarehouseRole(role), begins=begins, until=until, reason=reason)
    with opened(options) as context:
        done = give(context.settings, context.wiring, source, wanted)
        answer(options, done, "\n".join([*map(line, done["granted"]), done["next"]]))


REVOKE = """End a user's entitlements at once: to these practices or all, in this role or any; needs steward or compliance.

\b
  wardlake warehouse revoke --user ann --reason "left"
  wardlake warehouse revoke --user ann --practice P1 --reason "handed over"
"""


@warehouse.command(help=REVOKE)
@_SOURCE
@click.option("--user", required=True)
@_PRACTICES
@click.option("--role", type=_ROLES)
@_REASON
@command_flags
def revoke(options: Options, source: str, user: str, practices: tuple[str, ...], role: str | None, reason: str) -> None:
    from wardlake.pipelines.practices.entitlements import revoke as take

    with opened(options) as context:
        one = WarehouseRole(role) if role else None
        done = take(context.settings, context.wiring, source, user=user, practices=practices, role=one, reason=reason)
        answer(options, done, f"{done['revoked']} entitlements of {user} ended; {done['next']}")


@warehouse.command(help="Who may see which practice, in which role, until when, granted by whom.")
@_SOURCE
@click.option("--user", default="", help="Of one user.")
@click.option("--practice", default="", help="To one practice.")
@click.option("--ended", is_flag=True, help="Also those that were revoked or replaced.")
@command_flags
def entitlements(options: Options, source: str, user: str, practice: str, ended: bool) -> None:
    from wardlake.pipelines.practices.entitlements import line, list_entitlements

    with opened(options) as context:
        found = list_entitlements(context.settings, context.wiring, source, user=user, practice=practice, ended=ended)
        answer(options, found, "\n".join(map(line, found["entitlements"])) or "nobody is entitled to anything")


POLICIES = """Give the warehouse the rules that follow from what is granted now, and register marts there.

What was revoked or is over is closed first. Where the warehouse's tables and the rules disagree, nothing is opened, and the
command ends with 23. --watch does the same again and again: it is what closes entitlements when their time is over.

\b
  wardlake warehouse policies --dry-run
  wardlake warehouse policies
  wardlake warehouse policies --watch
"""


@warehouse.command(help=POLICIES)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--watch", is_flag=True, help="Look again and again, until stopped.")
@click.option("--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between looks.")
@click.option(
    "--marts-every", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Seconds between looks for new marts."
)
@click.option("--clock-is-right", is_flag=True, help="This machine's clock was ahead before, and is right now.")
@command_flags
def policies(options: Options, dry_run: bool, watch: bool, every: float, marts_every: float, clock_is_right: bool) -> None:
    from wardlake.pipelines.practices import policies as rules

    if watch and (dry_run or clock_is_right):
        raise click.UsageError("--watch goes with neither --dry-run nor --clock-is-right")
    with opened(options) as context:
        at = rules.open_warehouse(context.settings, context.wiring)
        if watch:
            rules.watch_policies(at, every=every, marts_every=marts_every, told=_say)
        done = rules.apply_policies(at, dry_run=dry_run, clock_is_right=clock_is_right, told=_say)
        answer(options, {**done, "dry_run": dry_run}, rules.line(done))


def _say(text: str) -> None:
    ERRORS.print(text, markup=False)
