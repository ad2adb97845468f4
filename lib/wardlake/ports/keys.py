"""Keys: token keys that a run may hold in memory, and a wrapping key that never leaves the vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Key:
    """Key material with its version. `material` stays out of `repr`."""

    name: str
    version: int
    material: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key for encrypting one body of data: `plain` for the run's memory, `wrapped` to be stored beside the data."""

    plain: bytes = field(repr=False)
    wrapped: str


class Keys(Protocol):
    """The vault. Names are `purpose/domain`, e.g. `dev/patient`.

    Every method raises `KeysUnavailable` when the vault is sealed, unreachable or does not hold the key, and `NotAllowed` when
    the caller's policy forbids it. Reading never creates.
    """

    def latest(self, name: str) -> Key:
        """The newest version of a token key."""
        ...

    def version(self, name: str, version: int) -> Key:
        """One version of a token key; old versions stay readable so that old tokens still map."""
        ...

    def versions(self, name: str) -> tuple[int, ...]:
        """All versions that can be read, oldest first; empty where the key does not exist."""
        ...

    def create(self, name: str) -> Key:
        """A new 256-bit key; raises `NotAllowed` where it exists already."""
        ...

    def rotate(self, name: str) -> Key:
        """A new version of an existing key."""
        ...

    def create_wrapping_key(self, name: str) -> None:
        """A new wrapping key, which nobody can read; raises `NotAllowed` where it exists already."""
        ...

    def new_data_key(self, wrapping_key: str) -> DataKey:
        """A fresh 256-bit data key wrapped by `wrapping_key`, which never leaves the vault."""
        ...

    def unwrap(self, wrapping_key: str, wrapped: str) -> bytes:
        """The plain data key again; only roles that may re-identify or run the pipeline are allowed to."""
        ...

    def reachable(self) -> None:
        """Return if the vault answers and is unsealed; raise `KeysUnavailable` otherwise."""
        ...
