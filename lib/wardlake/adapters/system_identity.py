"""The operating system's user as caller. NOT FOR PRODUCTION: whoever is root here is anybody."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

from wardlake.adapters.system_clock import SystemClock
from wardlake.adapters.totp import matching_step
from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identity import Identity, Role, fingerprint
from wardlake.ports.clock import Clock

SOURCE = "operating-system"


class SystemIdentity:
    """The port `IdentityProvider` over the process's real user id, never an environment variable.

    `roles` says what each user may do; a user it does not name may do nothing. `second_factors` holds base32 secrets by
    user; `used_codes` is a folder that remembers the codes spent, since a code serves once.
    """

    def __init__(
        self,
        roles: Mapping[str, Collection[Role]],
        *,
        second_factors: Mapping[str, str] | None = None,
        used_codes: Path | None = None,
        clock: Clock | None = None,
        user_id: Callable[[], int] = os.getuid,
    ) -> None:
        self._roles = roles
        self._second_factors = second_factors or {}
        self._used_codes = used_codes
        self._clock = clock or SystemClock()
        self._user_id = user_id

    def caller(self) -> Identity:
        number = self._user_id()
        name = self._name(number)
        if not self._roles.get(name):
            raise NotAllowed("This user has no role.", which=[name], next_step="name the user under identity.roles in its file")
        return Identity(
            subject=f"os:{name}",
            roles=frozenset(self._roles[name]),
            source=SOURCE,
            credential=fingerprint(SOURCE, str(number)),
            production=False,
            names=frozenset({name}),
        )

    def second_factor(self, code: str) -> Identity:
        caller = self.caller()
        name = caller.subject.removeprefix("os:")
        secret = self._second_factors.get(name)
        if secret is None or self._used_codes is None:
            raise NotAllowed("This user has no second factor.", which=[name], next_step="Enrol one, then run again.")
        step = matching_step(secret, code, self._clock.now())
        if step is None:
            raise NotAllowed("The code is wrong.", which=[name])
        self._spend(self._used_codes, caller.credential, step)
        return replace(caller, second_factor=True)

    def _name(self, number: int) -> str:
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            raise NotAllowed("The operating system does not know this user.", which=[str(number)]) from None

    def _spend(self, folder: Path, credential: str, step: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{credential}-{step}").touch(exist_ok=False)
        except FileExistsError:
            raise NotAllowed("The code was used already.", next_step="Wait for the next one.") from None
        except OSError as error:
            raise ConfigurationError(
                what=f"Used codes cannot be remembered ({type(error).__name__}), so none is accepted: {folder}.",
                next_step="let a group that all of these users are in write there, or use the identities of a vault or OIDC",
            ) from None
