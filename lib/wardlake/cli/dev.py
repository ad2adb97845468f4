"""`wardlake dev`: datasets that engineers may have."""

from __future__ import annotations

from typing import cast

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import ERRORS, Options, answer, command_flags
from wardlake.cli.progress import TerminalProgress
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.runs.states import Run


@click.group(help="De-identified datasets for development.")
def dev() -> None: ...


@dev.command(help="Snapshot a source, de-identify it, scan the output, and publish it to dev.")
@click.option("--source", required=True, help="A name under conf/sources/, or NAME=FOLDER.")
@click.option("--classification", default="", help="A file under conf/classification/; by default the source's own.")
@click.option("--sample", default="100%", show_default=True, help="Share of the patients, with all that belongs to them.")
@click.option("--run-id", default="", help="Name of the run; goes on with it where there is one.")
@click.option("--only", type=click.Choice([s.name for s in PLAN.steps]), help="One step, for schedulers.")
@click.option("--fresh", is_flag=True, help="Begin a new run, of a new name, even where a halted one could go on.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; touch nothing.")
@command_flags
def refresh(
    options: Options, source: str, classification: str, sample: str, run_id: str, only: str | None, fresh: bool, dry_run: bool
) -> None:
    from wardlake.pipelines.refresh.run import describe_refresh, run_refresh

    with opened(options) as context:
        if dry_run:
            plan = describe_refresh(context.settings, source, classification, sample=sample, run_id=run_id)
            answer(options, plan, "\n".join(plan["lines"]))
            return
        if not context.wiring.identity.caller().production:
            ERRORS.print("[yellow]Not for production: who runs this is taken at the operating system's word.[/yellow]")
        result = run_refresh(
            context.settings,
            context.wiring,
            source=source,
            classification=classification,
            sample=sample,
            run_id=run_id,
            only=only or "",
            fresh=fresh,
            progress=TerminalProgress(ERRORS),
            told=_going_on,
        )
        answer(options, result, _words(result))


@dev.command(help="Scan a published dataset again, from its zone or from the archive.")
@click.argument("dataset_id")
@command_flags
def verify(options: Options, dataset_id: str) -> None:
    from wardlake.pipelines.classification import new_check_id
    from wardlake.pipelines.refresh.run import job_outside_a_run
    from wardlake.pipelines.verification import describe_verification, publication_of, verify_published

    with opened(options) as context:
        record = publication_of(context.wiring, dataset_id)
        said = record.event.details
        name = new_check_id(context.wiring, "verify")
        job = job_outside_a_run(
            context.settings,
            context.wiring,
            source=str(said["source"]),
            classification=str(said["dataset"]),
            run_id=name,
        )
        found = verify_published(job, record, name)
        answer(options, found, describe_verification(found))


def _going_on(run: Run) -> None:
    done = ", ".join(run.steps) or "nothing yet"
    ERRORS.print(f"Going on with run {run.run_id} of {run.started_at[:16]} (done: {done}). --fresh begins a new one.")


def _words(result: dict[str, object]) -> str:
    if "dataset_id" not in result:
        return f"run       {result['run_id']}\nstep      {result['step']} done"
    lines = [f"{name:<9} {result[name]}" for name in ("run_id", "dataset_id", "path", "report")]
    undeclared = cast(list[str], result.get("undeclared_tables", []))
    return "\n".join(
        [*lines, *(f"not read  {name}: a table at the source that conf/sources does not declare" for name in undeclared)]
    )
