"""The program `wardlake`."""

from __future__ import annotations

from importlib.metadata import version
from typing import NoReturn

import click

from wardlake.cli.audit import audit
from wardlake.cli.classify import classify
from wardlake.cli.conf import conf
from wardlake.cli.dev import dev
from wardlake.cli.doctor import doctor
from wardlake.cli.frame import run
from wardlake.cli.keys import keys
from wardlake.cli.practices import practices
from wardlake.cli.practices_night import night
from wardlake.cli.reidentify import reidentify
from wardlake.cli.retention import retention
from wardlake.cli.snapshot import snapshot
from wardlake.cli.warehouse import warehouse


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("wardlake"), prog_name="wardlake")
def wardlake() -> None:
    """Health data that must not leak: snapshots, de-identified datasets, and the proof beside them."""


for command in (doctor, snapshot, classify, dev, practices, warehouse, reidentify, keys, retention, audit, conf):
    wardlake.add_command(command)
practices.add_command(night)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command line; leaves with the exit code that docs/guide/exit-codes.md lists."""
    run(wardlake, arguments)
