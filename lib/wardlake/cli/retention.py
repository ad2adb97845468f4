"""`wardlake retention`: what is past its time, removed by zone and class."""

from __future__ import annotations

import click

from wardlake.cli.context import opened_environment
from wardlake.cli.frame import Options, answer, command_flags

APPLY = """Remove what is past its time: operational snapshots, what dead runs left, refused datasets, versions beyond those that
the environment keeps, archived datasets, known values, audit records whose lock has ended.

How long each is kept stands under `retention` in conf/environments/NAME.yaml. Recorded first; without the record nothing is
removed. A study's snapshot, what a legal hold keeps, and the dataset that readers see are never touched.

\b
  wardlake retention apply --dry-run      # what would go, and why
  wardlake retention apply --json         # nightly; exit 21 while a refresh runs: try again
"""


@click.group(help="What is past its time.")
def retention() -> None: ...


@retention.command(help=APPLY)
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove and record nothing.")
@command_flags
def apply(options: Options, dry_run: bool) -> None:
    from wardlake.pipelines.retention import apply_retention, describe

    with opened_environment(options) as wiring:
        done = apply_retention(wiring, wiring.environment.retention, dry_run=dry_run)
        answer(options, done, describe(done))
