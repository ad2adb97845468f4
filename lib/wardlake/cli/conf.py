"""`wardlake conf`: the configuration checked, and its schemas for editors."""

from __future__ import annotations

import click

from wardlake.cli.context import opened
from wardlake.cli.frame import Options, answer, command_flags
from wardlake.settings.knowledge import load_knowledge
from wardlake.settings.schema import write_schemas


@click.group(help="The configuration: check it, publish its schemas.")
def conf() -> None: ...


@conf.command(help="Check every file; all mistakes are reported at once.")
@command_flags
def check(options: Options) -> None:
    with opened(options) as context:
        load_knowledge(options.conf)
        found = {
            "sources": sorted(context.settings.sources),
            "classifications": sorted(context.settings.classifications),
            "agreements": sorted(context.settings.agreements),
            "environment": context.settings.environment.name,
            "expired": [str(mistake) for mistake in context.settings.expired.values()],
        }
        answer(options, found, "\n".join(f"{name:<16} {value}" for name, value in found.items()))


@conf.command(help="Write the JSON Schemas of the files under conf/schema/.")
@command_flags
def schema(options: Options) -> None:
    written = [str(path) for path in write_schemas(options.conf)]
    answer(options, {"written": written}, "\n".join(written))
