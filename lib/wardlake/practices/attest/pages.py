"""Pages of the server that are for its operators."""

from __future__ import annotations

from wardlake.ports.warehouse_door import Caller, PageRequest
from wardlake.practices.attest.detector import CLOSED, named, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Scope, broken, held, unknown
from wardlake.practices.attest.target import Target

MANAGEMENT = ("/metrics", "/v1/jmx/mbean", "/v1/node", "/v1/thread", "/v1/service")
INTERNAL = ("/v1/memory", "/v1/task", "/v1/dynamicFilter")
OPEN = ("/v1/info", "/v1/status")  # for load balancers: that the server is up, and ids of running queries
NOT_THERE = (404, 405)


def _closed(name: str, tries: str, hole: str, paths: tuple[str, ...], caller: Caller) -> Probe:
    def run(at: Target) -> Attempt:
        found: list[Outcome] = []
        for path in paths:
            answer = yield PageRequest(path=path, caller=caller)
            if answer.done:
                found.append(broken(f"{path} is open"))
            elif answer.status in (*CLOSED, *NOT_THERE) or 300 <= answer.status < 400:  # noqa: PLR2004 - to a sign-in page
                found.append(held("refused"))
            else:
                found.append(unknown(f"the warehouse says HTTP {answer.status}"))
        return worst(*found)

    return Probe(name=name, tries=tries, hole=hole, run=run, scope=Scope.DEPLOYMENT)


def _open(at: Target) -> Attempt:
    for path in OPEN:
        answer = yield PageRequest(path=path, caller=Caller.NOBODY)
        if named(answer.text, (*at.others, at.other)):
            return broken(f"{path} names a practice or a user")
        if not answer.done and answer.status not in (*CLOSED, *NOT_THERE):
            return unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")
    return held("they name nobody")


PROBES = (
    _closed(
        "management-pages",
        "reads metrics, beans, nodes and threads",
        "a rule that gives analysts system information",
        MANAGEMENT,
        Caller.ATTACKER,
    ),
    _closed(
        "internal-pages",
        "reads what servers tell each other",
        "a gateway that speaks as one of the servers",
        INTERNAL,
        Caller.ATTACKER,
    ),
    _closed(
        "pages-without-credentials",
        "reads pages with no proof of anything",
        "a server without authentication",
        ("/v1/query", "/ui/api/query", "/ui/api/stats", *MANAGEMENT, *INTERNAL),
        Caller.NOBODY,
    ),
    Probe(
        name="open-pages",
        tries="reads pages that are open to all",
        hole="a gateway that puts more there",
        run=_open,
        scope=Scope.DEPLOYMENT,
    ),
)
