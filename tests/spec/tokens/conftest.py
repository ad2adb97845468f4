"""Keys, clock and mappings for the token tests: embedded ones, all real."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.model.zones import LakeLayout
from wardlake.ports.keys import Key, Keys
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.mapping import Mappings
from wardlake.tokens.reveal import Origin, locate_identifier, open_identifier

DOMAINS = ("patient", "provider", "encounter")


def make_ring(purpose: str = "dev", *, seed: int = 1, version: int = 1) -> KeyRing:
    """A ring with one key per domain; two seeds have no key in common."""
    keys = {domain: Key(f"{purpose}/{domain}", version, bytes([seed, number]) * 16) for number, domain in enumerate(DOMAINS)}
    return KeyRing(purpose=purpose, keys=keys)


def find_identifier(mappings: Mappings, keys: Keys, domain: str, token: str, known: Origin | None = None) -> str:
    """The identifier behind a token, as an approved request is answered."""
    return open_identifier(keys, locate_identifier(mappings, domain, token, known))


@pytest.fixture
def ring() -> KeyRing:
    return make_ring()


@pytest.fixture
def mappings(spark: SparkSession, tmp_path: Path) -> Mappings:
    return Mappings(tables=DeltaTables(spark), layout=LakeLayout(str(tmp_path / "lake")), purpose="dev")
