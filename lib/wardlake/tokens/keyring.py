"""Key rings: the token keys of one purpose, and the subkey each use of a key has for itself."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wardlake.model.errors import KeysUnavailable
from wardlake.ports.keys import Key, Keys

BLOCK = 64  # bytes of a SHA-256 block: the length of both HMAC pads
_DERIVATION = b"wardlake/tokens/v1"


class KeyUse(StrEnum):
    """What a subkey is used for. No two uses share a key, so that no output of one tells anything of another."""

    TOKEN = "token"  # noqa: S105 - the name of a use
    NUMBER = "number"
    FORMAT = "format"
    DATE = "date"
    SURROGATE = "surrogate"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys of one purpose by token domain, in memory only; `repr` shows names and versions."""

    purpose: str
    keys: Mapping[str, Key] = field(repr=False)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.keys)

    @property
    def versions(self) -> dict[str, int]:
        """Key version by domain: what a dataset's record says of the keys it was made with."""
        return {domain: key.version for domain, key in self.keys.items()}

    def subkey(self, domain: str, use: KeyUse) -> bytes:
        """The 256-bit key of one use in one domain: HMAC-SHA256 of purpose, domain and use under the domain's key."""
        if domain not in self.keys:
            raise _missing(self.purpose, [domain])
        return derive_subkey(self.keys[domain].material, purpose=self.purpose, domain=domain, use=use)


def key_name(purpose: str, domain: str) -> str:
    """The vault's name of a token key."""
    return f"{purpose}/{domain}"


def open_ring(keys: Keys, purpose: str, domains: Iterable[str], *, versions: Mapping[str, int] | None = None) -> KeyRing:
    """The keys of every domain named, each at its newest version or the one in `versions`.

    Raises `KeysUnavailable` naming every domain without a key. Never creates one.
    """
    wanted = versions or {}
    found: dict[str, Key] = {}
    missing: list[str] = []
    for domain in dict.fromkeys(domains):
        name = key_name(purpose, domain)
        if not keys.versions(name):
            missing.append(domain)
        else:
            found[domain] = keys.version(name, wanted[domain]) if domain in wanted else keys.latest(name)
    if missing:
        raise _missing(purpose, missing)
    return KeyRing(purpose=purpose, keys=found)


def derive_subkey(material: bytes, *, purpose: str, domain: str, use: KeyUse) -> bytes:
    """One use's 256-bit key. Fields are NUL-separated, which no name contains, so no two uses derive alike."""
    label = b"\x00".join([_DERIVATION, purpose.encode(), domain.encode(), use.value.encode()])
    return hmac.digest(material, label, hashlib.sha256)


def hmac_pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and outer blocks of HMAC-SHA256 (RFC 2104) for a key no longer than a block."""
    block = key.ljust(BLOCK, b"\x00")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def _missing(purpose: str, domains: list[str]) -> KeysUnavailable:
    return KeysUnavailable(
        "There is no token key for these domains.",
        which=[key_name(purpose, domain) for domain in domains],
        next_step="wardlake keys create --source S",
    )
