"""`wardlake warehouse attest`: attack a deployment of the warehouse."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from wardlake.cli.context import opened_environment
from wardlake.cli.frame import ERRORS, Options, answer, command_flags, report_error

ATTEST = """Attack a deployment of the warehouse: as a user of one practice, try to see another's.

Every probe runs on every table that either user sees. Nothing is changed, and no value is printed: what a probe sees is said as a
count. Ends with 23 where a probe succeeds, or could not be run.

\b
  wardlake warehouse attest --deployment clinics.yaml
  wardlake warehouse attest --deployment clinics.yaml --probe error-cast --json
"""


@click.command(help=ATTEST)
@click.option(
    "--deployment",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file that describes it (docs/guide/warehouse.md).",
)
@click.option("--probe", "names", multiple=True, help="A probe; may be given many times. By default all.")
@command_flags
def attest(options: Options, file: Path, names: tuple[str, ...]) -> None:
    from wardlake.pipelines.practices import attest as attacks
    from wardlake.practices.attest.every import PROBES
    from wardlake.settings.deployment import read_deployment
    from wardlake.settings.load import read_settings
    from wardlake.settings.today import today

    if absent := sorted(set(names) - PROBES.keys()):
        raise click.UsageError(f"no such probe: {', '.join(absent)}. Known: {', '.join(PROBES)}")
    deployment = read_deployment(file)
    with opened_environment(options) as wiring:
        settings, mistakes = read_settings(options.conf, options.environment, today=today())
        if not mistakes:  # of sources: whoever describes the deployment can say where its tables lie
            deployment = attacks.know_locations(deployment, settings)
        door = wiring.warehouse_door(deployment)
        chosen = {name: PROBES[name] for name in names} if names else PROBES
        findings = attacks.attest(
            deployment, door, probes=chosen, told=lambda each: ERRORS.print(attacks.line(each), markup=False)
        )
        said = attacks.document(deployment, findings)
        answer(options, said, ", ".join(f"{count} {verdict}" for verdict, count in said["verdicts"].items()))
        if problem := attacks.failure(findings):  # the answer is printed: stdout holds one object
            sys.exit(report_error(problem, as_json=False))
