"""Other users' queries: their texts hold conditions, their plans counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from wardlake.ports.warehouse_door import Answer, PageRequest, Statement
from wardlake.practices.attest.detector import CLOSED, is_refused, must_be_refused, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, Scope, broken, held, unknown
from wardlake.practices.attest.target import Target, text

VIEW = "a rule for queries that lets others' be viewed"
KILL = "a rule for queries that lets others' be killed"
NOT_THERE = (404, 405, 410)


def _page(at: Target, answer: Answer) -> Outcome:
    theirs = rf'"(?:user|sessionUser)"\s*:\s*{re.escape(json.dumps(at.other))}'
    if at.their_query in answer.text or re.search(theirs, answer.text):
        return broken("shows the other user's query")
    if answer.cut:
        return unknown("the page is longer than is looked at")
    return held("not shown") if answer.done or answer.status in (*CLOSED, *NOT_THERE) else _failed(answer)


def _failed(answer: Answer) -> Outcome:
    return unknown(f"the warehouse says {answer.error or f'HTTP {answer.status}'}")


def _list(at: Target) -> Attempt:
    found: list[Outcome] = []
    for path in ("/v1/query", "/v1/query?state=RUNNING", "/v1/queryState"):
        found.append(_page(at, (yield PageRequest(path=path))))
    return worst(*found)


def _one(at: Target) -> Attempt:
    found: list[Outcome] = []
    for path in (f"/v1/query/{at.their_query}", f"/v1/query/{at.their_query}?pretty", f"/v1/queryState/{at.their_query}"):
        answer = yield PageRequest(path=path)
        found.append(broken("shows the other user's query") if answer.done else _page(at, answer))
    return worst(*found)


def _results(at: Target) -> Attempt:
    """The addresses of a statement's results hold a secret that only its owner has: without it, nothing."""
    found: list[Outcome] = []
    for stage in ("queued", "executing"):
        answer = yield PageRequest(path=f"/v1/statement/{stage}/{at.their_query}/x0123456789abcdef/1")
        found.append(broken("gives the other user's rows") if answer.done else _page(at, answer))
    return worst(*found)


def _kill_by_page(at: Target) -> Attempt:
    found: list[Outcome] = []
    for method, path in (("PUT", "/killed"), ("PUT", "/preempted"), ("DELETE", "")):
        answer = yield PageRequest(path=f"/v1/query/{at.their_query}{path}", method=method, body="attest" if path else "")
        found.append(broken("the other user's query can be ended") if answer.done else _page(at, answer))
    return worst(*found)


def _kill_by_call(at: Target) -> Attempt:
    answer = yield Statement(sql=f"CALL system.runtime.kill_query({text(at.their_query)}, 'attest')")
    return held("refused") if is_refused(answer) else broken("kill_query can be called")


def _runtime(at: Target) -> Attempt:
    answer = yield Statement(sql='SELECT "user", query_id FROM system.runtime.queries')
    if not answer.done:
        return must_be_refused(answer, allowed="")
    strangers = {row[0] for row in answer.rows} - {at.attacker}
    return broken("shows others' queries") if strangers else held("own queries only")


def _tasks(at: Target) -> Attempt:
    """Rows and bytes of every query's tasks."""
    answer = yield Statement(sql="SELECT count(*) FROM system.runtime.tasks")
    return must_be_refused(answer, allowed="shows how much others' queries read")


def _ui(at: Target) -> Attempt:
    """The pages that people see, signed in as the attacker."""
    listed = yield PageRequest(path="/ui/api/query", signed_in=True)
    one = yield PageRequest(path=f"/ui/api/query/{at.their_query}", signed_in=True)
    return worst(_page(at, listed), broken("shows the other user's query") if one.done else _page(at, one))


def _probe(name: str, tries: str, hole: str, run: Callable[[Target], Attempt]) -> Probe:
    return Probe(name=name, tries=tries, hole=hole, run=run, scope=Scope.DEPLOYMENT)


PROBES = (
    _probe("query-list", "lists queries", VIEW, _list),
    _probe("query-page", "opens the page of the other user's query", VIEW, _one),
    _probe("query-results", "asks for the other user's results", "a gateway that fills in their secret", _results),
    _probe("query-ui", "looks at queries in the web pages", VIEW, _ui),
    _probe("query-kill-page", "ends the other user's query by its page", KILL, _kill_by_page),
    _probe("query-kill-call", "ends the other user's query by a procedure", KILL, _kill_by_call),
    _probe("runtime-queries", "reads system.runtime.queries", f"{VIEW}, and one that grants the catalogue system", _runtime),
    _probe("runtime-tasks", "reads system.runtime.tasks", "a rule that grants the catalogue system", _tasks),
)
