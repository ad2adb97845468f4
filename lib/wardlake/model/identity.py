"""Who acts: established from credentials, never from a flag."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a person or job may do. The vault's or the identity provider's groups map to these."""

    PIPELINE = "pipeline"
    ENGINEER = "engineer"
    STEWARD = "steward"
    COMPLIANCE = "compliance"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller. `subject` is stable and unique; `source` says which credential spoke (`vault`, `oidc`, `operating-system`).

    `credential` is an opaque fingerprint of the credential's owner: two approvals by one `credential` are one person's.
    `names`: what this person is called elsewhere, as far as the credential says so.
    """

    subject: str
    roles: frozenset[Role]
    source: str
    credential: str
    second_factor: bool = False
    production: bool = True
    names: frozenset[str] = field(default=frozenset(), repr=False)

    def is_called(self, name: str) -> bool:
        """Whether the name is this person's, in capitals or not."""
        return name.casefold() in {each.casefold() for each in (self.subject, *self.names)}


def fingerprint(*owner: str) -> str:
    """Of a credential's owner, opaque. It begins with a letter: sixteen digits alone would read as a card number in a record."""
    return f"p{hashlib.sha256(':'.join(owner).encode()).hexdigest()[:16]}"
