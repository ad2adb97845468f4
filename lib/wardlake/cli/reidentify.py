"""`wardlake reidentify`: the audited way back from a token to a person."""

from __future__ import annotations

from collections.abc import Mapping

import click

from wardlake.cli.context import opened, opened_environment
from wardlake.cli.frame import Options, answer, command_flags


@click.group(help="Which person a token stands for: asked, approved by a second person, told once.")
def reidentify() -> None: ...


@reidentify.command(help="Ask; needs the role steward or compliance.")
@click.option("--token", required=True)
@click.option("--purpose", default="dev", show_default=True)
@click.option("--domain", default="patient", show_default=True)
@click.option("--reason", required=True)
@command_flags
def request(options: Options, token: str, purpose: str, domain: str, reason: str) -> None:
    from wardlake.pipelines.reidentification import ask

    with opened(options) as context:
        key = ask(context.wiring, token=token, purpose=purpose, domain=domain, reason=reason)
        answer(options, {"request": key}, f"request {key} waits for a second person (wardlake reidentify approve {key})")


REQUESTS = """List open requests: who asked, for which domain and purpose, why, since when; needs the role compliance.

\b
  wardlake reidentify requests          # before wardlake reidentify approve
  wardlake reidentify requests --json
"""


@reidentify.command(help=REQUESTS)
@command_flags
def requests(options: Options) -> None:
    from wardlake.pipelines.reidentification import describe_asked, list_asked

    with opened_environment(options) as wiring:
        found = list_asked(wiring)
        answer(options, found, describe_asked(found))


APPROVE = """Approve another person's request; needs the role compliance and a second factor.

`wardlake reidentify requests` shows what is asked and why; the answer says what was approved.
"""


@reidentify.command(help=APPROVE)
@click.argument("request_id")
@click.option("--code", default="", help="Second factor.")
@command_flags
def approve(options: Options, request_id: str, code: str) -> None:
    from wardlake.pipelines.reidentification import confirm

    with opened(options) as context:
        done = confirm(context.wiring, request_id, code)
        answer(options, done, _words(done))


@reidentify.command(help="Print the identifier, once, to the person who asked.")
@click.argument("request_id")
@click.option("--code", default="", help="Second factor.")
@click.option("--key-version", type=click.IntRange(min=1), help="Where a number stands for several: of the dataset's key.")
@click.option("--kind", default="", help="Where a number stands for several: the column's type, or `format`.")
@click.option(
    "--mode", type=click.Choice(["keyed", "random"]), help="Where a number stands for several: of the dataset's tokens."
)
@command_flags
def reveal(options: Options, request_id: str, code: str, key_version: int | None, kind: str, mode: str | None) -> None:
    from wardlake.model.treatments import TokenMode
    from wardlake.pipelines.reidentification import tell
    from wardlake.tokens.reveal import Origin

    known = Origin(key_version=key_version, kind=kind, mode=TokenMode(mode) if mode else None)
    with opened(options) as context:
        identifier = tell(context.wiring, request_id, code, known)
        answer(options, {"request": request_id, "identifier": identifier}, identifier)


def _words(done: Mapping[str, str]) -> str:
    asked = f"{done['asked_by']} asked on {done['since'][:16]} for a token of {done['purpose']}/{done['domain']}"
    return f"request {done['request']} approved: {asked}: {done['reason']}"
