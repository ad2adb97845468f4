"""Keys in one sealed file. NOT FOR PRODUCTION: whoever reads both files has every key, and nothing records who did.

For one machine without a vault. Each key is encrypted by AES-256-GCM under a master key in a second file; both files must
be readable by their owner alone. The wrapping keys lie in the same file, so here, unlike in a vault, they can leave.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock

from wardlake.adapters.key_names import check_key_name
from wardlake.model.errors import KeysUnavailable, NotAllowed
from wardlake.ports.keys import DataKey, Key

KEY_BYTES = 32
NONCE_BYTES = 12
CREATE = "wardlake keys create --source S"
PRIVATE = 0o600
NOTICE = "Not for production: use a vault. Keys are sealed under the master key file."
_WRAPPED = "file:v1:"


def create_key_file(path: Path, master: Path) -> None:
    """Make an empty key file and its master key; raises `NotAllowed` where either exists."""
    _write_new(master, base64.b64encode(secrets.token_bytes(KEY_BYTES)))
    _write_new(path, json.dumps({"notice": NOTICE, "tokens": {}, "wrapping": {}}).encode())


def _write_new(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        raise NotAllowed("The key file or its master key exists already.", which=[path.name]) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)
        os.fsync(file.fileno())


class SealedKeyFile:
    """The port `Keys` over a sealed file made by `create_key_file`. Two processes may use it at once."""

    def __init__(self, path: Path, master: Path) -> None:
        self._path = path
        self._master = master
        self._lock = FileLock(f"{path}.lock", mode=PRIVATE)

    def latest(self, name: str) -> Key:
        versions = self.versions(name)
        if not versions:
            raise _no_key(name)
        return self.version(name, versions[-1])

    def version(self, name: str, version: int) -> Key:
        sealed = self._read()["tokens"].get(check_key_name(name), {}).get(str(version))
        if sealed is None:
            raise _no_key(name)
        return Key(name, version, self._open(sealed, f"tokens:{name}:{version}"))

    def versions(self, name: str) -> tuple[int, ...]:
        return tuple(sorted(int(version) for version in self._read()["tokens"].get(check_key_name(name), {})))

    def create(self, name: str) -> Key:
        with self._lock:
            document = self._read()
            if check_key_name(name) in document["tokens"]:
                raise _exists(name)
            return self._add(document, name, 1)

    def rotate(self, name: str) -> Key:
        with self._lock:
            versions = self.versions(name)
            if not versions:
                raise _no_key(name)
            return self._add(self._read(), name, versions[-1] + 1)

    def create_wrapping_key(self, name: str) -> None:
        with self._lock:
            document = self._read()
            if check_key_name(name) in document["wrapping"]:
                raise _exists(name)
            document["wrapping"][name] = self._seal(secrets.token_bytes(KEY_BYTES), f"wrapping:{name}")
            self._write(document)

    def new_data_key(self, wrapping_key: str) -> DataKey:
        plain, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._wrapping(wrapping_key).encrypt(nonce, plain, wrapping_key.encode())
        return DataKey(plain, _WRAPPED + base64.b64encode(sealed).decode())

    def unwrap(self, wrapping_key: str, wrapped: str) -> bytes:
        cipher = self._wrapping(wrapping_key)
        try:
            sealed = base64.b64decode(wrapped.removeprefix(_WRAPPED), validate=True)
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], wrapping_key.encode())
        except (InvalidTag, ValueError):
            raise KeysUnavailable("This data key was not wrapped by this key.", which=[wrapping_key]) from None

    def reachable(self) -> None:
        self._read()
        self._cipher()

    def _wrapping(self, name: str) -> AESGCM:
        sealed = self._read()["wrapping"].get(check_key_name(name))
        if sealed is None:
            raise _no_key(name)
        return AESGCM(self._open(sealed, f"wrapping:{name}"))

    def _add(self, document: dict[str, Any], name: str, version: int) -> Key:
        key = Key(name, version, secrets.token_bytes(KEY_BYTES))
        document["tokens"].setdefault(name, {})[str(version)] = self._seal(key.material, f"tokens:{name}:{version}")
        self._write(document)
        return key

    def _seal(self, plain: bytes, label: str) -> str:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher().encrypt(nonce, plain, label.encode())).decode()

    def _open(self, sealed: str, label: str) -> bytes:
        body = base64.b64decode(sealed)
        try:
            return self._cipher().decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], label.encode())
        except InvalidTag:
            raise KeysUnavailable(
                "The key file does not open under this master key.", which=[self._path.name, self._master.name]
            ) from None

    def _cipher(self) -> AESGCM:
        try:
            return AESGCM(base64.b64decode(_read_private(self._master), validate=True))
        except ValueError:
            raise KeysUnavailable("The master key file is damaged.", which=[self._master.name]) from None

    def _read(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(_read_private(self._path))
        except ValueError:
            raise KeysUnavailable("The key file is damaged.", which=[self._path.name]) from None
        return document

    def _write(self, document: dict[str, Any]) -> None:
        """Replace the file whole: a reader sees the old keys or the new ones."""
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self._path)


def _read_private(path: Path) -> bytes:
    try:
        others = path.stat().st_mode & 0o077
        body = path.read_bytes()
    except FileNotFoundError:
        raise KeysUnavailable("There is no such key file.", which=[path.name], next_step=CREATE) from None
    except PermissionError:
        raise NotAllowed("The key file belongs to someone else.", which=[path.name]) from None
    if others:
        raise KeysUnavailable("Others may read the key file.", which=[path.name], next_step=f"chmod 600 {path.name}")
    return body


def _no_key(name: str) -> KeysUnavailable:
    return KeysUnavailable("There is no such key, or no such version.", which=[name], next_step=f"{CREATE}: reading makes none.")


def _exists(name: str) -> NotAllowed:
    return NotAllowed("The key exists already.", which=[name], next_step="wardlake keys rotate makes a new version.")
