"""A named set of codes that mean one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSet:
    """`codes`: by code its name. `concept` and `oid`: the value set of the eCQMs that this is a selection of, if there is one.

    One without codes is there for those of a practice: the eCQM names nothing in it but codes that need a licence (CPT, HCPCS).
    """

    name: str
    codes: Mapping[str, str]
    concept: str = ""
    oid: str = ""
