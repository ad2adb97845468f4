"""`conf/classification/SOURCE.yaml`: what was decided of each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from wardlake.model.treatments import (
    Classification,
    Decision,
    IdentifierKind,
    Profile,
    Rule,
    TokenMode,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeEntry:
    safe: Literal[True]
    kind: IdentifierKind | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedEntry:
    blocked: Literal[True]
    kind: IdentifierKind | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitiveEntry:
    sensitive: Annotated[Rule, Field(discriminator="rule")]
    kind: IdentifierKind | None = None
    reason: str = ""


def _form(entry: Any) -> str:
    if isinstance(entry, str):
        return "tagged-word"
    for key in ("sensitive", "blocked", "safe"):
        if isinstance(entry, Mapping) and key in entry:
            return f"tagged-{key}"
    return "tagged-word"


Entry = Annotated[
    Annotated[Literal["safe", "blocked"], Tag("tagged-word")]
    | Annotated[SafeEntry, Tag("tagged-safe")]
    | Annotated[BlockedEntry, Tag("tagged-blocked")]
    | Annotated[SensitiveEntry, Tag("tagged-sensitive")],
    Discriminator(_form),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationFile:
    """The file as people write it; `decisions` turns it into the model's form."""

    source: str
    profile: Profile
    token_mode: TokenMode
    agreement: str = ""
    tables: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def decisions(self) -> Classification:
        return Classification(
            source=self.source,
            profile=self.profile,
            token_mode=self.token_mode,
            agreement=self.agreement,
            tables={
                table: {path: decision_of(entry) for path, entry in columns.items()} for table, columns in self.tables.items()
            },
        )


def decision_of(entry: Any) -> Decision:
    """The decision that one entry writes."""
    match entry:
        case "safe":
            return Decision(verdict=Verdict.SAFE)
        case "blocked":
            return Decision(verdict=Verdict.BLOCKED)
        case SafeEntry():
            return Decision(verdict=Verdict.SAFE, kind=entry.kind, reason=entry.reason)
        case BlockedEntry():
            return Decision(verdict=Verdict.BLOCKED, kind=entry.kind, reason=entry.reason)
        case SensitiveEntry():
            return Decision(verdict=Verdict.SENSITIVE, rule=entry.sensitive, kind=entry.kind, reason=entry.reason)
    raise ValueError("not a decision")
