"""`wardlake keys`: keys are made and rotated on purpose, each recorded first; reading one never makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wardlake.model.errors import ConfigurationError
from wardlake.model.identity import Role
from wardlake.model.treatments import Classification
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.refresh.begin import require_role
from wardlake.pipelines.refresh.job import DATASET, PURPOSE, RESIDUE, token_domains
from wardlake.settings.load import Settings
from wardlake.snapshot.create import WRAPPING_KEY
from wardlake.tokens.keyring import key_name
from wardlake.tokens.rotation import create, ensure_wrapping_key, rotate


def domains_needed(classification: Classification) -> tuple[str, ...]:
    """Every domain that a refresh under this classification takes a key of."""
    return (*token_domains(classification), RESIDUE, DATASET)


def domains_of_file(settings: Settings, name: str) -> tuple[str, ...]:
    """`domains_needed` of the file `conf/classification/NAME.yaml`; raises `ConfigurationError` where there is none.

    Elsewhere a source without a file is one that is undecided; keys made for it would be keys for a name misspelt.
    """
    if name not in settings.classifications:
        listed = ", ".join(sorted(settings.classifications)) or "none"
        raise ConfigurationError(
            what=f"No classification is called {name}, so no key was made. There are: {listed}.",
            next_step="wardlake keys create --source NAME, a name under conf/classification/",
        )
    return domains_needed(settings.classification(name))


def create_keys(ports: PortsInHand, domains: Sequence[str], *, purpose: str = PURPOSE) -> dict[str, Any]:
    """Make the keys of these domains that do not exist yet, and the keys that wrap; answers what was made and what was there."""
    actor = ports.identity.caller()
    require_role(actor, Role.PIPELINE, "Making keys")
    ports.prepare_key_file()
    keys = ports.keys
    missing = [domain for domain in dict.fromkeys(domains) if not keys.versions(key_name(purpose, domain))]
    for domain in missing:
        create(keys, purpose, domain, actor=actor.subject, clock=ports.clock, record=ports.trail.append)
    for name in (f"{purpose}/mapping", WRAPPING_KEY):
        ensure_wrapping_key(keys, name, actor=actor.subject, clock=ports.clock, record=ports.trail.append)
    return {"purpose": purpose, "created": missing, "existing": [d for d in dict.fromkeys(domains) if d not in missing]}


def rotate_keys(ports: PortsInHand, domains: Sequence[str], *, purpose: str = PURPOSE) -> dict[str, Any]:
    """A new version of each domain's key; the next refresh uses it, and old tokens still lead back."""
    actor = ports.identity.caller()
    require_role(actor, Role.PIPELINE, "Rotating keys")
    absent = [key_name(purpose, domain) for domain in domains if not ports.keys.versions(key_name(purpose, domain))]
    if absent:
        raise ConfigurationError(
            what=f"There is no key to rotate: {', '.join(absent)}.",
            next_step=f"wardlake keys create --purpose {purpose} --domain DOMAIN",
        )
    versions = {
        domain: rotate(ports.keys, purpose, domain, actor=actor.subject, clock=ports.clock, record=ports.trail.append)
        for domain in domains
    }
    return {"purpose": purpose, "versions": versions}
