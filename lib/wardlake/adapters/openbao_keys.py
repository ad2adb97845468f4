"""Keys in OpenBao or HashiCorp Vault: token keys that the pipeline may hold, wrapping keys that never leave.

Two transit mounts, so that a policy can tell them apart (`infra/openbao`): `tokens` holds exportable HMAC keys, `wrapping`
AES-256-GCM keys that cannot be exported. A name's `/` is written `.` there.
"""

from __future__ import annotations

import base64
from typing import Any

import hvac

from wardlake.adapters.key_names import check_key_name
from wardlake.adapters.openbao_session import OpenBaoSession
from wardlake.model.errors import KeysUnavailable, NotAllowed
from wardlake.ports.keys import DataKey, Key

KEY_BYTES = 32


def _path(name: str) -> str:
    return check_key_name(name).replace("/", ".")


class OpenBaoKeys:
    """The port `Keys` over a vault's transit engine."""

    def __init__(self, session: OpenBaoSession, *, tokens: str = "tokens", wrapping: str = "wrapping") -> None:
        self._session = session
        self._tokens = tokens
        self._wrapping = wrapping

    def latest(self, name: str) -> Key:
        return self._export(name, "latest")

    def version(self, name: str, version: int) -> Key:
        return self._export(name, str(version))

    def versions(self, name: str) -> tuple[int, ...]:
        return self._versions(f"{self._tokens}/keys/{_path(name)}", name)

    def create(self, name: str) -> Key:
        if self.versions(name):
            raise _exists(name)
        # Not hvac's own create_key: it refuses the type `hmac`.
        self._write(f"{self._tokens}/keys/{_path(name)}", name, type="hmac", key_size=KEY_BYTES, exportable=True)
        return self.latest(name)

    def rotate(self, name: str) -> Key:
        if not self.versions(name):
            raise _no_key(name)
        self._write(f"{self._tokens}/keys/{_path(name)}/rotate", name)
        return self.latest(name)

    def create_wrapping_key(self, name: str) -> None:
        path = f"{self._wrapping}/keys/{_path(name)}"
        if self._versions(path, name):
            raise _exists(name)
        self._write(path, name, type="aes256-gcm96", exportable=False)

    def new_data_key(self, wrapping_key: str) -> DataKey:
        answer = self._write(f"{self._wrapping}/datakey/plaintext/{_path(wrapping_key)}", wrapping_key)
        return DataKey(base64.b64decode(answer["plaintext"]), str(answer["ciphertext"]))

    def unwrap(self, wrapping_key: str, wrapped: str) -> bytes:
        answer = self._write(f"{self._wrapping}/decrypt/{_path(wrapping_key)}", wrapping_key, ciphertext=wrapped)
        return base64.b64decode(answer["plaintext"])

    def reachable(self) -> None:
        self._session.call(lambda client: client.auth.token.lookup_self(), "token")

    def _export(self, name: str, version: str) -> Key:
        keys = self._read(f"{self._tokens}/export/hmac-key/{_path(name)}/{version}", name).get("keys", {})
        if len(keys) != 1:
            raise _no_key(name)
        ((number, material),) = keys.items()
        return Key(name, int(number), base64.b64decode(material))

    def _versions(self, path: str, name: str) -> tuple[int, ...]:
        """From the bounds: the engine lists no versions for a key of type `hmac`."""
        key = self._read(path, name)
        oldest = max(1, int(key.get("min_decryption_version", 1)), int(key.get("min_available_version", 1)))
        return tuple(range(oldest, int(key.get("latest_version", 0)) + 1))

    def _read(self, path: str, name: str) -> dict[str, Any]:
        """What lies there; empty where nothing does."""
        answer = self._session.call(lambda client: client.read(path), name)
        return dict(answer["data"]) if answer else {}

    def _write(self, path: str, name: str, **data: object) -> dict[str, Any]:
        def write(client: hvac.Client) -> Any:
            return client.write_data(path, data=data)

        answer = self._session.call(write, name)
        return dict(answer["data"]) if isinstance(answer, dict) and answer.get("data") else {}


def _no_key(name: str) -> KeysUnavailable:
    return KeysUnavailable(
        "There is no such key, or no such version.",
        which=[name],
        next_step="Make it, once: reading does not (wardlake keys create)",
    )


def _exists(name: str) -> NotAllowed:
    return NotAllowed("The key exists already.", which=[name], next_step="wardlake keys rotate makes a new version.")
