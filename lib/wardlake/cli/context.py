"""What a command works with: its settings and its ports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wardlake.cli.frame import Options
from wardlake.model.errors import AuditUnavailable, WardlakeError
from wardlake.ports.objects import StoreUnavailable
from wardlake.ports.registry import RegistryUnavailable
from wardlake.settings.check import check_settings
from wardlake.settings.load import Settings, load_settings
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
    try:
        yield Context(settings=settings, wiring=Wiring(environment=settings.environment, lake=options.lake, root=settings.root))
    except StoreUnavailable as problem:
        raise AuditUnavailable(f"The object store does not answer or refuses: {problem}.", next_step="wardlake doctor") from None
    except RegistryUnavailable:
        raise WardlakeError("The registry does not answer.", next_step="wardlake doctor") from None
