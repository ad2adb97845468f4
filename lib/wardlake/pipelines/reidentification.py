"""`wardlake reidentify`: which patient a token stands for, asked by one person, approved by another, told once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from wardlake.model.errors import ContractBroken
from wardlake.model.identity import Identity
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.tokens.mapping import Mappings
from wardlake.tokens.reidentify import Desk, approve, open_requests, request, reveal
from wardlake.tokens.reveal import Origin, SealedIdentifier, locate_identifier, open_identifier

APPROVE_WITHIN, REVEAL_WITHIN = timedelta(days=7), timedelta(hours=24)


def desk_of(ports: PortsInHand) -> Desk:
    """Where requests are kept and recorded."""
    return Desk(
        registry=ports.registry,
        record=ports.trail.append,
        clock=ports.clock,
        approve_within=APPROVE_WITHIN,
        reveal_within=REVEAL_WITHIN,
    )


def caller_of(ports: PortsInHand, code: str) -> Identity:
    """Who calls, with their second factor where a code is given."""
    return ports.identity.second_factor(code) if code else ports.identity.caller()


def ask(ports: PortsInHand, *, token: str, purpose: str, domain: str, reason: str) -> str:
    return request(desk_of(ports), ports.identity.caller(), token=token, purpose=purpose, domain=domain, reason=reason)


def list_asked(ports: PortsInHand) -> dict[str, Any]:
    """Every open request with what there is to do, for compliance; no token."""
    found = open_requests(desk_of(ports), ports.identity.caller())
    return {"requests": [{**each, "next": _next_step(each)} for each in found]}


def _next_step(each: Mapping[str, str]) -> str:
    who, step = ("another person of compliance", "approve") if each["state"] == "requested" else ("who asked", "reveal")
    return f"{who}: wardlake reidentify {step} {each['request']} --code CODE"


def describe_asked(found: Mapping[str, Any]) -> str:
    """What the command says to people."""
    return "\n".join(map(_words, found["requests"])) or "no request is open"


def _words(each: Mapping[str, str]) -> str:
    said = f"{each['request']}  {each['state']} since {each['since'][:16]}, asked by {each['asked_by']}"
    return f"{said} for a token of {each['purpose']}/{each['domain']}: {each['reason']}\n    next: {each['next']}"


def confirm(ports: PortsInHand, key: str, code: str) -> dict[str, str]:
    """Approve a request; what was approved, without its token."""
    return approve(desk_of(ports), caller_of(ports, code), key)


def tell(ports: PortsInHand, key: str, code: str, known: Origin | None = None) -> str:
    """The identifier, once, to who asked; it is nowhere but in the answer.

    What was approved says which mapping is opened, `known` which of a number's several rows is meant. Raises `KeysUnavailable`
    or `ContractBroken` where the vault does not answer or the mapping has no one row: the answer is then still to be had.
    """

    def locate(purpose: str, domain: str, token: str) -> SealedIdentifier:
        ports.keys.reachable()
        mappings = mappings_of(ports, purpose)
        require_mapping(mappings, domain)
        return locate_identifier(mappings, domain, token, known)

    def unseal(sealed: SealedIdentifier) -> str:
        return open_identifier(ports.keys, sealed)

    return reveal(desk_of(ports), caller_of(ports, code), key, locate=locate, unseal=unseal)


def mappings_of(ports: PortsInHand, purpose: str) -> Mappings:
    return Mappings(tables=ports.tables, layout=ports.layout, purpose=purpose)


def require_mapping(mappings: Mappings, domain: str) -> None:
    """Raise `ContractBroken` where no run has mapped anything of this domain."""
    if not mappings.exists(domain):
        raise ContractBroken(
            "There is no mapping for this purpose and domain.",
            which=[f"{mappings.purpose}/{domain}"],
            next_step="ask again with the right --purpose and --domain: wardlake reidentify request",
        )
