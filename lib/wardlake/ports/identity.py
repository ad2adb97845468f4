"""Identity: who calls, from their own credentials."""

from __future__ import annotations

from typing import Protocol

from wardlake.model.identity import Identity


class IdentityProvider(Protocol):
    def caller(self) -> Identity:
        """The caller as their credential says; raises `NotAllowed` without a valid one."""
        ...

    def second_factor(self, code: str) -> Identity:
        """The caller after a second factor was checked; raises `NotAllowed` if the code is wrong."""
        ...
