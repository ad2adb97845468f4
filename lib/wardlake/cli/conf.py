"""`wardlake conf`: the configuration checked, and its schemas for editors."""

from __future__ import annotations

import click

from wardlake.cli.frame import Options, answer, command_flags
from wardlake.settings.check import check_whole
from wardlake.settings.schema import write_schemas
from wardlake.settings.today import today


@click.group(help="The configuration: check it, publish its schemas.")
def conf() -> None: ...


@conf.command(help="Check every file; all mistakes are reported at once.")
@command_flags
def check(options: Options) -> None:
    settings = check_whole(options.conf, options.environment, today=today())
    found = {
        "sources": sorted(settings.sources),
        "classifications": sorted(settings.classifications),
        "agreements": sorted(settings.agreements),
        "environment": settings.environment.name,
        "expired": [str(mistake) for mistake in settings.expired.values()],
    }
    answer(options, found, "\n".join(f"{name:<16} {value}" for name, value in found.items()))


@conf.command(help="Write the JSON Schemas of the files under conf/schema/.")
@command_flags
def schema(options: Options) -> None:
    written = [str(path) for path in write_schemas(options.conf)]
    answer(options, {"written": written}, "\n".join(written))
