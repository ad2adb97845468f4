"""`wardlake snapshot`: raw copies of a source, with a manifest that commits to them."""

from __future__ import annotations

from typing import Any

import click

from wardlake.cli.context import opened, opened_environment
from wardlake.cli.frame import Options, answer, command_flags


@click.group(help="Raw tables of a source at one moment, hashed and committed to.")
def snapshot() -> None: ...


@snapshot.command(help="Copy a source into raw tables.")
@click.option("--source", required=True, help="A name under conf/sources/, or NAME=FOLDER.")
@click.option("--run-id", default="", help="Name of the run; repeating it completes it.")
@command_flags
def create(options: Options, source: str, run_id: str) -> None:
    from wardlake.pipelines.classification import new_check_id
    from wardlake.pipelines.refresh.begin import require_name
    from wardlake.pipelines.refresh.run import job_outside_a_run
    from wardlake.pipelines.refresh.snapshot import snapshot as take
    from wardlake.snapshot.retention import taking_lock

    with opened(options) as context:
        require_name(run_id)
        name = run_id or new_check_id(context.wiring, "snapshot")
        job = job_outside_a_run(context.settings, context.wiring, source=source, classification="", run_id=name)
        with job.registry.lock(taking_lock(job.source.name, name)):
            made: dict[str, Any] = dict(take(job, {}))
        lines = [f"snapshot  {made['snapshot_id']}", *(f"{t['name']:<22} {t['rows']:>12,}" for t in made["tables"])]
        answer(options, made, "\n".join(lines))


@snapshot.command(help="Recompute a snapshot's hashes and commitments, from the lake or a study's archive.")
@click.argument("snapshot_id")
@command_flags
def verify(options: Options, snapshot_id: str) -> None:
    from wardlake.pipelines.verification import verify_one_snapshot

    with opened_environment(options) as wiring:
        found = verify_one_snapshot(wiring, snapshot_id)
        said = f"ok: {found['tables']} tables of {found['source']} are as the manifest says, read from the {found['read_from']}"
        answer(options, found, said)
