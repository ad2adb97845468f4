"""The owner of a vault token as caller, with a second factor from the vault's TOTP engine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from wardlake.adapters.openbao_session import VaultAddress, ask, connect
from wardlake.model.errors import KeysUnavailable, NotAllowed
from wardlake.model.identity import Identity, Role, fingerprint

SOURCE = "vault"
POLICY_PREFIX = "wardlake-"


class OpenBaoIdentity:
    """The port `IdentityProvider` over the caller's own token.

    The token's entity is the person: aliases of several logins merge into one entity, so one person with two accounts is
    still one. Roles come from the policies `wardlake-ROLE` and from nowhere else. A token without an entity, a root token
    for one, is nobody.
    """

    def __init__(self, address: VaultAddress, token: str, *, totp: str = "totp") -> None:
        self._client = connect(address, token)
        self._totp = totp

    def caller(self) -> Identity:
        if not self._client.token:
            raise NotAllowed("There is no vault token.", next_step="Log in to the vault, then run again.")
        data: dict[str, Any] = ask(self._client.auth.token.lookup_self, "token")["data"]
        entity, policies = data.get("entity_id"), [*data["policies"], *(data.get("identity_policies") or [])]
        if not entity or "root" in policies:
            raise NotAllowed("The vault token belongs to nobody.", next_step="Log in as yourself, not as root.")
        roles = roles_of(policies)
        if not roles:
            raise NotAllowed("The vault token carries no role.", next_step="Ask for a policy wardlake-ROLE.")
        return Identity(
            subject=f"vault:{entity}",
            roles=roles,
            source=SOURCE,
            credential=fingerprint(SOURCE, entity),
            names=frozenset({name} if isinstance(name := (data.get("meta") or {}).get("username"), str) else ()),
        )

    def second_factor(self, code: str) -> Identity:
        caller = self.caller()
        path = f"{self._totp}/code/{caller.subject.removeprefix('vault:')}"
        try:
            answer = ask(lambda: self._client.write_data(path, data={"code": code}), "second factor")
        except KeysUnavailable as error:
            if error.which == ("second factor",):  # the vault answers 400 to no enrolment and to a code used before
                raise NotAllowed("The code is wrong, used already, or there is no second factor.") from None
            raise
        if answer["data"]["valid"] is not True:
            raise NotAllowed("The code is wrong.")
        return replace(caller, second_factor=True)


def roles_of(policies: Collection[str]) -> frozenset[Role]:
    """The roles that these policies give; a policy of another name gives none."""
    return frozenset(role for role in Role if f"{POLICY_PREFIX}{role.value}" in policies)
