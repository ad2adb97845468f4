"""What a command works with: its settings and its ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wardlake.cli.frame import Options
from wardlake.runs.storage_failures import storage_named
from wardlake.settings.check import check_settings
from wardlake.settings.load import Settings, load_environment, load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring


@dataclass(frozen=True, kw_only=True)
class Context:
    settings: Settings
    wiring: Wiring


@contextmanager
def opened(options: Options) -> Iterator[Context]:
    """The settings, checked whole, and the ports of a command; failures of stores end with an exit code of ours."""
    settings = load_settings(options.conf, options.environment, today=today())
    check_settings(settings)
    with storage_named():
        yield Context(settings=settings, wiring=Wiring(environment=settings.environment, lake=options.lake, root=settings.root))


@contextmanager
def opened_environment(options: Options) -> Iterator[Wiring]:
    """The ports alone, for what needs no source and no decision: it works also where those are broken."""
    environment, root = load_environment(options.conf, options.environment)
    with storage_named():
        yield Wiring(environment=environment, lake=options.lake, root=root)
