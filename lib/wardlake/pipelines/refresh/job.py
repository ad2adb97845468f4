"""What every step of a refresh works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import cast

from pyspark.sql import DataFrame

from wardlake.audit.trail import AuditTrail
from wardlake.detect.matchers import content_matchers
from wardlake.detect.matching import Matcher
from wardlake.detect.storage import StorageOptions
from wardlake.model.errors import ConfigurationError
from wardlake.model.identity import Identity
from wardlake.model.plan import Outcome
from wardlake.model.snapshots import SnapshotManifest
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import (
    Classification,
    DateShift,
    EmbeddedTokens,
    FormatToken,
    Purpose,
    Surrogate,
    Token,
)
from wardlake.model.zones import LakeLayout
from wardlake.ports.clock import Clock
from wardlake.ports.contracts import Contracts
from wardlake.ports.keys import Keys
from wardlake.ports.objects import Objects
from wardlake.ports.pager import Pager
from wardlake.ports.registry import Registry
from wardlake.ports.sources import Sources
from wardlake.ports.tables import Tables
from wardlake.settings.environment import Retention
from wardlake.settings.knowledge import Knowledge
from wardlake.snapshot.manifest import read_manifest
from wardlake.tokens.keyring import KeyRing, KeyUse, open_ring

PURPOSE = Purpose.DEV.value
# Domains of keys that no column is tokenised with: known values are hashed with one, dataset ids committed with the other.
RESIDUE, DATASET = "residue", "dataset"


@dataclass(frozen=True, kw_only=True)
class RefreshJob:
    """One refresh of one source: what was asked, by whom, and the ports that it may use."""

    run_id: str
    started_at: str
    dataset: str  # what readers call it: the classification's name, by default the source's
    source: SourceSpec
    classification: Classification
    fraction: float  # of the patients; 1.0 is everybody
    actor: Identity
    knowledge: Knowledge
    retention: Retention
    expectations: Path
    reports: Path
    code_version: str
    rule_set: str
    tables: Tables
    layout: LakeLayout
    keys: Keys
    objects: Objects
    registry: Registry
    trail: AuditTrail
    audit_objects: Objects
    contracts: Contracts
    sources: Sources
    pager: Pager
    clock: Clock
    storage: StorageOptions | None = None

    @property
    def as_of(self) -> date:
        """The day that ages are counted to: the day of the run's snapshot, so that a rerun gives the same output."""
        return datetime.fromisoformat(self.started_at).date()

    @property
    def sampled(self) -> bool:
        return self.fraction < 1.0

    def ring(self, outcomes: Mapping[str, Outcome] | None = None) -> KeyRing:
        """All keys of the run; raises `KeysUnavailable` naming every domain without one.

        `outcomes` pins the versions that the output was made with: a key rotated since must not change what is checked.
        """
        made_with = (outcomes or {}).get("deidentify", {}).get("key_versions", {})
        domains = [*token_domains(self.classification), RESIDUE, DATASET]
        return open_ring(self.keys, PURPOSE, domains, versions=cast(Mapping[str, int], made_with))

    def patient_domain(self) -> str:
        """The token domain of the patients' own key; raises `ConfigurationError` where it has none."""
        people = self.source.patients
        decisions = self.classification.tables.get(people, {})
        key = decisions.get(self.source.tables[people].patient) if people else None
        if key is None or not isinstance(key.rule, Token | FormatToken):
            raise ConfigurationError(what=f"The patients of {self.source.name} have no key that is a token.")
        return key.rule.domain

    def matchers(self) -> tuple[Matcher, ...]:
        """Every detector, for the source and for the output alike."""
        return content_matchers(self.knowledge.patterns, self.knowledge.name_words)

    def manifest(self) -> SnapshotManifest:
        found = read_manifest(self.tables, self.layout, self.source.name, self.run_id)
        if found is None:
            raise FileNotFoundError(f"no snapshot of run {self.run_id}")
        return found

    def raw_frames(self) -> dict[str, DataFrame]:
        """The raw tables at the versions that the manifest names."""
        return {each.name: self.tables.read(each.path, each.version) for each in self.manifest().tables}


def token_domains(classification: Classification) -> tuple[str, ...]:
    """Every token domain that the rules of a classification use, in order of first use."""
    domains: dict[str, None] = {}
    for decisions in classification.tables.values():
        for decision in decisions.values():
            match decision.rule:
                case Token(domain=domain) | FormatToken(domain=domain) | Surrogate(domain=domain) | EmbeddedTokens(domain=domain):
                    domains[domain] = None
                case DateShift() | None:
                    continue  # the patient's own domain, which its token rule names
                case _:
                    continue
    return tuple(domains)


def secret(ring: KeyRing, domain: str) -> bytes:
    """The bytes that a reserved domain's key gives for hashing and committing."""
    return ring.subkey(domain, KeyUse.LOOKUP)
