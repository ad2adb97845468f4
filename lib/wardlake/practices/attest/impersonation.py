"""Headers that claim to be somebody else."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.ports.warehouse_door import Answer, Caller, Statement
from wardlake.practices.attest.detector import CLOSED, is_refused
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Scope, broken, held, unknown
from wardlake.practices.attest.target import Target

OF_THE_ENGINE = ("user", "original-user", "both-users", "original-roles")
IMPERSONATED = "a rule that lets users be impersonated"
REFUSED_WAYS = ("original-user", "original-roles")
REFUSED_HEADER = 406  # Trino does not take forwarded headers unless it is told to


def claims(at: Target) -> Mapping[str, Mapping[str, str]]:
    """The ways to claim, each with its headers."""
    return {
        "user": {"X-Trino-User": at.other},
        "presto-user": {"X-Trino-User": "", "X-Presto-User": at.other},  # a server that knows both takes one at a time
        "original-user": {"X-Trino-Original-User": at.other},
        "both-users": {"X-Trino-User": at.other, "X-Trino-Original-User": at.attacker},
        "original-roles": {"X-Trino-Original-User": at.other, "X-Trino-Original-Roles": "ALL"},
        "extra-credential": {"X-Trino-Extra-Credential": f"user={at.other}"},
        "forwarded": {"X-Forwarded-User": at.other},
        "remote-user": {"X-Remote-User": at.other, "Remote-User": at.other},
        "certificate": {"X-Forwarded-Client-Cert": f'Subject="CN={at.other}"'},
    }


def _claims(way: str) -> Probe:
    def run(at: Target) -> Attempt:
        answer = yield Statement(sql="SELECT current_user", headers=claims(at)[way])
        if way in REFUSED_WAYS and answer.done:  # whoever they are now, they may go back to being the other
            return broken("the claim is believed")
        return who(at, answer)

    return Probe(
        name=f"claims-{way}",
        tries=f"claims to be another user ({way})",
        hole=IMPERSONATED if way in OF_THE_ENGINE else "a gateway that believes such a header",
        run=run,
        scope=Scope.DEPLOYMENT,
    )


def who(at: Target, answer: Answer) -> Outcome:
    """Whom the warehouse took the attacker for."""
    if is_refused(answer) or answer.status == REFUSED_HEADER:
        return held("refused")
    if not answer.done:
        return unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")
    return held("taken for who they are") if answer.rows == ((at.attacker,),) else broken("taken for somebody else")


def _nobody(at: Target) -> Attempt:
    """A name without anything that proves it."""
    answer = yield Statement(sql="SELECT current_user", caller=Caller.NOBODY, headers={"X-Trino-User": at.other})
    if answer.status in CLOSED:
        return held("refused")
    return broken("a name is enough") if answer.done else unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")


def _wrong_proof(at: Target) -> Attempt:
    """The other's name, with a password and a token that nobody gave them."""
    for proof in ("Basic " + "d3Jvbmc6d3Jvbmc=", "Bearer " + "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."):
        headers = {"X-Trino-User": at.other, "Authorization": proof}
        answer = yield Statement(sql="SELECT current_user", caller=Caller.NOBODY, headers=headers)
        if answer.done:
            return broken("a proof that is wrong is enough")
        if answer.status not in CLOSED:
            return unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")
    return held("refused")


WAYS = ("user", "presto-user", "original-user", "both-users", "original-roles", "extra-credential", "forwarded", "remote-user")
PROBES = (
    *map(_claims, (*WAYS, "certificate")),
    Probe(
        name="no-credentials",
        tries="gives a name and no proof",
        hole="a server without authentication",
        run=_nobody,
        scope=Scope.DEPLOYMENT,
    ),
    Probe(
        name="wrong-credentials",
        tries="gives proofs that are wrong",
        hole="a gateway that signs in whoever gives a name",
        run=_wrong_proof,
        scope=Scope.DEPLOYMENT,
    ),
)
