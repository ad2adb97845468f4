"""A session with OpenBao or HashiCorp Vault: AppRole login, short-lived tokens renewed, failures in our own words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized, VaultDown, VaultError

from wardlake.model.errors import KeysUnavailable, NotAllowed

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAddress:
    """Where the vault is. `authority` is the file with its certificate's authority; empty: the system's own."""

    url: str
    authority: str = ""
    namespace: str = ""
    timeout_seconds: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleCredentials:
    role_id: str
    secret_id: str = field(repr=False)


def connect(address: VaultAddress, token: str = "") -> hvac.Client:
    """A client; nothing is sent yet."""
    return hvac.Client(
        url=address.url,
        token=token or None,
        verify=address.authority or True,
        timeout=address.timeout_seconds,
        namespace=address.namespace or None,
    )


def ask(operation: Callable[[], Answer], which: str) -> Answer:
    """The answer, or `KeysUnavailable` or `NotAllowed` about `which`; the library's own message is dropped."""
    try:
        return operation()
    except (Forbidden, Unauthorized):
        raise NotAllowed("The vault's policy forbids this.", which=[which]) from None
    except (InvalidPath, InvalidRequest):
        raise KeysUnavailable(
            "The vault does not hold this.",
            which=[which],
            next_step="Make it, once: reading does not (keys: wardlake keys create)",
        ) from None
    except VaultDown:
        raise KeysUnavailable("The vault is sealed.", next_step="Unseal it, then run again.") from None
    except (VaultError, requests.RequestException):
        raise KeysUnavailable("The vault does not answer.", next_step="wardlake doctor") from None


class OpenBaoSession:
    """Logs in when needed, renews the token past half its life, logs in again when it cannot be renewed."""

    def __init__(
        self,
        address: VaultAddress,
        credentials: AppRoleCredentials,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = connect(address)
        self._credentials = credentials
        self._monotonic = monotonic
        self._renew_at = 0.0

    def call(self, operation: Callable[[hvac.Client], Answer], which: str) -> Answer:
        """Run `operation` with a valid token. A token that was revoked early costs one new login."""
        self._ensure_token()
        try:
            return ask(lambda: operation(self._client), which)
        except NotAllowed:
            if self._token_lives():
                raise
        self._login()
        return ask(lambda: operation(self._client), which)

    def _ensure_token(self) -> None:
        if self._client.token and self._monotonic() < self._renew_at:
            return
        if self._client.token and self._renewed():
            return
        self._login()

    def _renewed(self) -> bool:
        try:
            self._remember(self._client.auth.token.renew_self()["auth"])
        except (Forbidden, InvalidRequest):
            return False
        except (VaultError, requests.RequestException):
            raise KeysUnavailable("The vault is sealed or does not answer.", next_step="wardlake doctor") from None
        return True

    def _token_lives(self) -> bool:
        try:
            ask(self._client.auth.token.lookup_self, "token")
        except NotAllowed:
            return False
        return True

    def _login(self) -> None:
        self._client.token = None
        role, secret = self._credentials.role_id, self._credentials.secret_id
        try:
            answer = ask(lambda: self._client.auth.approle.login(role_id=role, secret_id=secret), "login")
        except KeysUnavailable as error:
            if error.which == ("login",):  # the vault answers 400 to a wrong secret
                raise NotAllowed("The vault refuses these credentials.", next_step="Issue a new secret id.") from None
            raise
        self._remember(answer["auth"])

    def _remember(self, auth: dict[str, object]) -> None:
        self._client.token = str(auth["client_token"])
        self._renew_at = self._monotonic() + float(str(auth["lease_duration"])) / 2
