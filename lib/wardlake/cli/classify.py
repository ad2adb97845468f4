"""`wardlake classify`: what each column is, decided by people on evidence."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from wardlake.cli.context import opened, opened_environment
from wardlake.cli.frame import Options, answer, command_flags, report_error
from wardlake.model.errors import ConfigurationError, UnclassifiedColumns


@click.group(help="What each column is: evidence, decisions, review.")
def classify() -> None: ...


@classify.command(help="Scan a source and list the columns that need a decision.")
@click.option("--source", required=True, help="A name under conf/sources/, or NAME=FOLDER.")
@click.option("--classification", default="", help="A file under conf/classification/; by default the source's own.")
@command_flags
def check(options: Options, source: str, classification: str) -> None:
    from wardlake.pipelines.classification import check_source, new_check_id
    from wardlake.pipelines.refresh.run import job_outside_a_run

    with opened(options) as context:
        name = new_check_id(context.wiring, "check")
        job = job_outside_a_run(context.settings, context.wiring, source=source, classification=classification, run_id=name)
        found = check_source(job)
        lines = found.pop("lines")
        answer(options, found, "\n".join(lines) or f"all {found['columns']} columns are decided")
        if lines:
            halted = UnclassifiedColumns(
                f"{len(lines)} columns of {found['source']} need a decision.",
                next_step="wardlake classify review --source S --column T.C --as safe|sensitive|blocked --reason TEXT",
            )
            sys.exit(report_error(halted, as_json=False))  # the answer is printed: stdout holds one object


@classify.command(help="Decide what a column is; recorded under your own credentials.")
@click.option("--source", required=True, help="A file under conf/classification/.")
@click.option("--column", required=True, help="TABLE.COLUMN, TABLE.struct.field, TABLE.column$.json.path")
@click.option("--as", "verdict", required=True, type=click.Choice(["safe", "sensitive", "blocked"]))
@click.option("--rule", default="", help="For sensitive: RULE, RULE:NAME=VALUE,NAME=VALUE, or JSON, e.g. token:domain=patient")
@click.option("--kind", default="", help="What the column holds, e.g. ssn.")
@click.option("--reason", required=True)
@command_flags
def review(options: Options, source: str, column: str, verdict: str, rule: str, kind: str, reason: str) -> None:
    from wardlake.pipelines.classification import parse_column, parse_decision, review_column

    if bool(rule) != (verdict == "sensitive"):
        raise ConfigurationError(what="--rule goes with --as sensitive, and only with it.")
    with opened(options) as context:
        decision = parse_decision(verdict, parse_rule(rule), kind, reason)
        done = review_column(context.settings, context.wiring, source, parse_column(column), decision)
        answer(options, done, _words(done))


@classify.command(help="Confirm, as a second person, that a column is safe although evidence speaks against it.")
@click.option("--source", required=True)
@click.option("--column", required=True)
@click.option("--code", default="", help="Second factor; asked for in production.")
@command_flags
def approve(options: Options, source: str, column: str, code: str) -> None:
    from wardlake.pipelines.classification import approve_column, parse_column

    with opened(options) as context:
        done = approve_column(context.settings, context.wiring, source, parse_column(column), code)
        answer(options, done, _words(done))


REQUESTS = """Which columns wait for a person: evidence in rates and masked shapes, who decided, what to do next.

\b
  wardlake classify requests                     # of every source
  wardlake classify requests --source synthea --json
"""


@classify.command(help=REQUESTS)
@click.option("--source", default="", help="A file under conf/classification/; by default all.")
@command_flags
def requests(options: Options, source: str) -> None:
    from wardlake.pipelines.review_requests import describe_requests, list_requests

    with opened_environment(options) as wiring:
        found = list_requests(wiring, source)
        answer(options, found, describe_requests(found))


KEYS = """Propose foreign keys that nobody declared, from the values of the newest snapshot; never assumed.

Prints YAML to review and add to conf/sources/SOURCE.yaml.

\b
  wardlake snapshot create --source synthea && wardlake classify keys --source synthea
"""


@classify.command(help=KEYS)
@click.option("--source", required=True, help="A name under conf/sources/.")
@command_flags
def keys(options: Options, source: str) -> None:
    from wardlake.pipelines.classification import new_check_id
    from wardlake.pipelines.key_proposals import describe_keys, propose_keys
    from wardlake.pipelines.refresh.run import job_outside_a_run

    with opened(options) as context:
        name = new_check_id(context.wiring, "keys")
        job = job_outside_a_run(context.settings, context.wiring, source=source, classification="", run_id=name)
        found = propose_keys(job)
        answer(options, found, describe_keys(found))


def parse_rule(text: str) -> dict[str, Any]:
    """`token:domain=patient`, or the rule as the file has it, as JSON: `{"rule": "bucket", "edges": [1, 2]}`."""
    if text.lstrip().startswith("{"):
        return _json_rule(text)
    name, _, parameters = text.partition(":")
    pairs = [pair.partition("=") for pair in parameters.split(",") if pair]
    return {"rule": name, **{key: value for key, _, value in pairs}}


def _json_rule(text: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        raise ConfigurationError(
            what="--rule is no JSON object.", next_step='e.g. --rule \'{"rule": "bucket", "edges": [1, 2]}\''
        ) from None
    return document


def _words(done: dict[str, object]) -> str:
    if done["state"] == "waiting":
        return f"{done['column']}: waits for a second person (wardlake classify approve), since there is evidence against it"
    return f"{done['column']}: {done['state']}, written to {done['file']}"
