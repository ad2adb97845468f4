"""The subject of an OpenID Connect token as caller."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jwt

from wardlake.adapters.system_clock import SystemClock
from wardlake.model.errors import NotAllowed
from wardlake.model.identity import Identity, Role, fingerprint
from wardlake.ports.clock import Clock

SOURCE = "oidc"
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA")  # no HMAC: a public key is no shared secret
REQUIRED = ("exp", "iat", "iss", "sub", "aud")
SKEW_SECONDS = 30
NAMES = ("preferred_username", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIssuer:
    """Whose tokens count. `keys` is the issuer's JWKS document; `role_claim` the one claim that roles are read from.

    `factors` are the values of the claim `amr` that mean a second factor was checked, at most `factor_seconds` ago.
    """

    issuer: str
    audience: str
    keys: Mapping[str, Any]
    role_claim: str
    roles: Mapping[str, Role]  # value of the claim to role
    factors: Collection[str] = ("mfa", "otp", "hwk")
    factor_seconds: int = 300


class OidcIdentity:
    """The port `IdentityProvider` over a signed ID token."""

    def __init__(self, issuer: OidcIssuer, token: str, *, clock: Clock | None = None) -> None:
        self._issuer = issuer
        self._token = token
        self._clock = clock or SystemClock()

    def caller(self) -> Identity:
        return self._identity(self._claims(self._token))

    def second_factor(self, code: str) -> Identity:
        """`code` is a fresh ID token of the same subject, issued after the provider checked a second factor."""
        caller, claims = self.caller(), self._claims(code)
        if self._identity(claims).credential != caller.credential:
            raise NotAllowed("The second factor is another person's.")
        checked, now = claims.get("auth_time"), self._clock.now().timestamp()
        factors = claims.get("amr")
        known = isinstance(factors, list) and any(factor in self._issuer.factors for factor in factors)
        recent = isinstance(checked, int) and -SKEW_SECONDS <= now - checked <= self._issuer.factor_seconds
        if not (known and recent):
            raise NotAllowed("The token shows no second factor, or not a recent one.", next_step="Sign in again.")
        return replace(caller, second_factor=True)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        values = claims.get(self._issuer.role_claim)
        named = values if isinstance(values, list) else [values]
        roles = frozenset(self._issuer.roles[name] for name in named if isinstance(name, str) and name in self._issuer.roles)
        if not roles:
            raise NotAllowed("The token carries no role.", next_step=f"Ask for a value of the claim {self._issuer.role_claim}.")
        owner = fingerprint(SOURCE, claims["iss"], claims["sub"])
        names = frozenset(name for claim in NAMES if isinstance(name := claims.get(claim), str) and name)
        return Identity(subject=f"oidc:{owner}", roles=roles, source=SOURCE, credential=owner, names=names)

    def _claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token that this issuer signed for us and that is in its time."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key=self._key(token),
                algorithms=list(ALGORITHMS),
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
                leeway=SKEW_SECONDS,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise NotAllowed(f"The token is not valid: {type(error).__name__}.", next_step="Sign in again.") from None
        return claims

    def _key(self, token: str) -> jwt.PyJWK:
        wanted = jwt.get_unverified_header(token).get("kid")
        for key in jwt.PyJWKSet.from_dict(dict(self._issuer.keys)).keys:
            if key.key_id == wanted:
                return key
        raise jwt.InvalidKeyError
