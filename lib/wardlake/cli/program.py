"""The program `wardlake`."""

from __future__ import annotations

from importlib.metadata import version
from typing import NoReturn

import click

from wardlake.cli.conf import conf
from wardlake.cli.dev import dev
from wardlake.cli.frame import run
from wardlake.cli.keys import keys


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("wardlake"), prog_name="wardlake")
def wardlake() -> None:
    """Health data that must not leak: snapshots, de-identified datasets, and the proof beside them."""


for group in (conf, dev, keys):
    wardlake.add_command(group)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command line; leaves with the exit code that docs/guide/exit-codes.md lists."""
    run(wardlake, arguments)
