"""`wardlake keys`: token keys, made and rotated on purpose."""

from __future__ import annotations

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import Options, answer, command_flags
from wardlake.pipelines.key_making import create_keys, domains_of_file, rotate_keys


@click.group(help="Token keys: made and rotated on purpose, never by reading.")
def keys() -> None: ...


@keys.command(help="Make the keys that a source's decisions need, or the one of a domain, where they do not exist yet.")
@click.option("--source", default="", help="A name under conf/classification/.")
@click.option("--domain", "domains", multiple=True, help="A token domain; may be given several times.")
@click.option("--purpose", default="dev", show_default=True)
@command_flags
def create(options: Options, source: str, domains: tuple[str, ...], purpose: str) -> None:
    if not source and not domains:
        raise click.UsageError("give --source or --domain")
    with opened(options) as context:
        wanted = (*domains, *(domains_of_file(context.settings, source) if source else ()))
        made = create_keys(context.wiring, wanted, purpose=purpose)
        words = [f"created   {', '.join(made['created']) or 'none'}", f"existing  {', '.join(made['existing']) or 'none'}"]
        answer(options, made, "\n".join(words))


@keys.command(help="A new version of a domain's key: the next run re-tokenises, old tokens still map.")
@click.option("--purpose", default="dev", show_default=True)
@click.option("--domain", "domains", multiple=True, required=True)
@command_flags
def rotate(options: Options, purpose: str, domains: tuple[str, ...]) -> None:
    with opened(options) as context:
        done = rotate_keys(context.wiring, domains, purpose=purpose)
        answer(options, done, "\n".join(f"{domain}  version {version}" for domain, version in done["versions"].items()))
