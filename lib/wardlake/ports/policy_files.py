"""The files that the warehouse reads its policies from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """What the two files hold; empty bytes where there is none. `ours`: whether both were written through this port."""

    rules: bytes = b""
    groups: bytes = b""
    ours: bool = True

    @property
    def rules_sha256(self) -> str:
        return hashlib.sha256(self.rules).hexdigest()

    @property
    def groups_sha256(self) -> str:
        return hashlib.sha256(self.groups).hexdigest()


class PolicyFiles(Protocol):
    """Rules and groups, each replaced as a whole: who reads them sees the old bytes or the new ones.

    Every method raises `StorageUnavailable` where the folder cannot be used, `ConfigurationError` where others may write to it.
    """

    def read(self) -> PolicyVersion: ...

    def write_rules(self, rules: bytes) -> None:
        """Put the rules in place, on disk once this returns, and keep them under their hash."""
        ...

    def write_groups(self, groups: bytes) -> None:
        """The same for the groups."""
        ...
