"""`wardlake doctor`: what is there, what is missing, and the command that gets it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from wardlake.cli.frame import Options, answer, command_flags
from wardlake.doctor import check_configuration, check_environment, check_installation, render_checks
from wardlake.doctor.checks import State
from wardlake.settings.today import today
from wardlake.wiring import Wiring


@click.command(help="What is installed, reachable and configured; what is missing and how to get it.")
@command_flags
def doctor(options: Options) -> None:
    root = options.conf.resolve().parent if options.conf.is_dir() else Path.cwd()
    environment, configuration = check_configuration(options.conf, options.environment, today=today())
    checks = check_installation(root, lake=options.lake) + configuration
    if environment is not None:
        checks += check_environment(environment, Wiring(environment=environment, lake=options.lake, root=root))
    missing = [check for check in checks if check.state is State.MISSING]
    document = {"ok": not missing, "checks": [{**dataclasses.asdict(check), "state": check.state.value} for check in checks]}
    answer(options, document, render_checks(checks))
    if missing:
        sys.exit(2)
