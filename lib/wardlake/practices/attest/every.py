"""All probes, by name."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.practices.attest import (
    caches,
    elsewhere,
    errors,
    files,
    history,
    impersonation,
    pages,
    plans,
    procedures,
    queries,
    reading,
    sessions,
    writing,
)
from wardlake.practices.attest.probe import Probe

_FAMILIES = (
    reading,
    errors,
    plans,
    files,
    history,
    writing,
    caches,
    sessions,
    procedures,
    impersonation,
    queries,
    pages,
    elsewhere,
)
PROBES: Mapping[str, Probe] = {probe.name: probe for family in _FAMILIES for probe in family.PROBES}
