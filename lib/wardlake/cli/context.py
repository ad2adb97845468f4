"""What a command works with: its settings and its ports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wardlake.cli.frame import Options
from wardlake.model.errors import WardlakeError
from wardlake.runs.storage_failures import storage_named
from wardlake.settings.check import check_settings
from wardlake.settings.load import Settings, load_environment, load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring

DOCTOR = re.compile(r"wardlake doctor( --env NAME)?(?! --env)")


@dataclass(frozen=True, kw_only=True)
class Context:
    settings: Settings
    wiring: Wiring


@contextmanager
def opened(options: Options) -> Iterator[Context]:
    """The settings, checked whole, and the ports of a command; failures of stores end with an exit code of ours."""
    settings = load_settings(options.conf, options.environment, today=today())
    check_settings(settings)
    with doctor_of(options.environment), storage_named():
        yield Context(settings=settings, wiring=Wiring(environment=settings.environment, lake=options.lake, root=settings.root))


@contextmanager
def opened_environment(options: Options) -> Iterator[Wiring]:
    """The ports alone, for what needs no source and no decision: it works also where those are broken."""
    environment, root = load_environment(options.conf, options.environment)
    with doctor_of(options.environment), storage_named():
        yield Wiring(environment=environment, lake=options.lake, root=root)


@contextmanager
def doctor_of(environment: str) -> Iterator[None]:
    """Have errors that send people to the doctor name the environment: without it, the doctor looks at another one."""
    try:
        yield
    except WardlakeError as problem:
        problem.next_step = DOCTOR.sub(f"wardlake doctor --env {environment}", problem.next_step)
        raise
