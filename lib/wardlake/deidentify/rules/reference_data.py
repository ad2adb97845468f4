"""What the rules need to know of the world, read from versioned configuration by whoever runs them."""

from __future__ import annotations

from dataclasses import dataclass, field

from wardlake.deidentify.rules.free_text import TextVocabulary
from wardlake.deidentify.rules.surrogate_lists import SurrogateLists


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceData:
    """The ZIP3 allow-list, the surrogate lists, the hash of the dev password, and what free text is searched for."""

    zip3_allowed: frozenset[str]
    surrogates: SurrogateLists
    password_hash: str
    text_vocabulary: TextVocabulary = field(default_factory=TextVocabulary)
