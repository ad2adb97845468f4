"""Trino's door from outside, by its HTTP protocol: its client library refuses to send the headers that an attacker would."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from wardlake.model.errors import ConfigurationError
from wardlake.ports.warehouse_door import Answer, Caller, DoorUnavailable, PageRequest, Statement

MOST_ROWS = 20_000
MOST_TEXT = 2_000_000  # characters of a page
SECONDS = 120.0  # of a statement
TRIES = 3
_OK = 200
_BUSY = (502, 503, 504)
_ENDED = ("FINISHED", "FAILED")
_SLOW = 0.5  # seconds between looks at a statement that is at work


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user's name with the password or the token that proves it."""

    user: str
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


class TrinoDoor:
    """The port `WarehouseDoor`. Raises `ConfigurationError` for an address that is not of TLS: passwords go there."""

    def __init__(self, url: str, callers: Mapping[Caller, Credentials], *, authority: str = "") -> None:
        place = urlsplit(url)
        if place.scheme != "https" or not place.hostname:
            raise ConfigurationError(
                what="The warehouse's address does not begin with https.", next_step="mend url in the deployment's file"
            )
        self._url, self._callers = url.rstrip("/"), callers
        self._session = requests.Session()
        self._session.trust_env = False  # a bundle or a password that the environment names would be preferred to ours
        self._session.verify = authority or True

    def ask(self, statement: Statement) -> Answer:
        answer, rows, columns, ends = self._post(statement), [], (), time.monotonic() + SECONDS
        if answer.status_code != _OK:
            return _refused(answer)
        while True:
            said = _json(answer)
            columns = columns or tuple(each["name"] for each in said.get("columns") or ())
            rows += [tuple(row) for row in said.get("data") or ()]
            follow = said.get("nextUri")
            if follow and (len(rows) > MOST_ROWS or time.monotonic() > ends):
                self._send("DELETE", follow, statement)
                if len(rows) <= MOST_ROWS:
                    raise DoorUnavailable(f"a statement took more than {SECONDS:.0f} seconds")
                follow = None
            if not follow:
                return _answer(said, rows, columns)
            answer = self._send("GET", follow, statement)
            if answer.status_code != _OK:
                return _refused(answer)

    def get(self, request: PageRequest) -> Answer:
        if request.signed_in:
            return self._get_signed_in(request)
        headers = self._headers(request.caller) | dict(request.headers)
        return _refused(self._request(request.method, f"{self._url}{request.path}", headers, request.body))

    def _get_signed_in(self, request: PageRequest) -> Answer:
        """By the cookie that the form gives; without one the page is asked for all the same, and its answer says so."""
        caller = self._callers[request.caller]
        with _explained(), requests.Session() as session:
            session.trust_env, session.verify = False, self._session.verify
            form = {"username": caller.user, "password": caller.password}
            session.post(f"{self._url}/ui/login", data=form, timeout=SECONDS, allow_redirects=False)
            page = session.request(request.method, f"{self._url}{request.path}", timeout=SECONDS, allow_redirects=False)
            return _refused(page)

    def begin(self, statement: Statement) -> TrinoStanding:
        answer = self._post(statement)
        if answer.status_code != _OK:
            raise DoorUnavailable(f"a statement is refused with HTTP {answer.status_code}")
        standing = TrinoStanding(self, statement, _json(answer))
        standing.fetch()  # it is queued until somebody asks for its rows
        return standing

    def _post(self, statement: Statement) -> requests.Response:
        return self._send("POST", f"{self._url}/v1/statement", statement, body=statement.sql)

    def _send(self, method: str, url: str, statement: Statement, *, body: str = "") -> requests.Response:
        given, ends = self._headers(statement.caller) | dict(statement.headers), time.monotonic() + SECONDS
        headers = {name: value for name, value in given.items() if value}
        while (answer := self._request(method, url, headers, body)).status_code in _BUSY and time.monotonic() < ends:
            time.sleep(_SLOW)
        return answer

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: str) -> requests.Response:
        """Once more where the connection breaks: Trino closes it after some refusals, which the next request finds out."""
        with _explained():
            for _ in range(TRIES - 1):
                with suppress(requests.ConnectionError):
                    return self._once(method, url, headers, body)
            return self._once(method, url, headers, body)

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: str) -> requests.Response:
        return self._session.request(
            method, url, data=body.encode() or None, headers=dict(headers), timeout=SECONDS, allow_redirects=False
        )

    def _headers(self, caller: Caller) -> dict[str, str]:
        if caller is Caller.NOBODY:
            return {}
        credentials = self._callers[caller]
        usual = {"X-Trino-User": credentials.user, "X-Trino-Source": "wardlake attest"}
        if not (credentials.token or credentials.password):
            return usual
        if credentials.token:
            return usual | {"Authorization": f"Bearer {credentials.token}"}
        signed = requests.Request(auth=(credentials.user, credentials.password), method="GET", url=self._url).prepare()
        return usual | {"Authorization": str(signed.headers["Authorization"])}


class TrinoStanding:
    """The port's `Standing`. Its rows are left where they are: fetching some would let it make more."""

    def __init__(self, door: TrinoDoor, statement: Statement, said: Mapping[str, Any]) -> None:
        self._door, self._statement, self._said = door, statement, said

    @property
    def query(self) -> str:
        return str(self._said["id"])

    def runs(self) -> bool:
        page = self._door.get(PageRequest(path=f"/v1/queryState/{self.query}", caller=self._statement.caller))
        if page.status == _OK:
            with _explained():
                return json.loads(page.text)["queryState"] not in _ENDED
        return self.fetch()  # where a proxy leaves that page out

    def fetch(self) -> bool:
        """The next of its rows; whether there are any."""
        if self._said.get("nextUri"):
            answer = self._door._send("GET", str(self._said["nextUri"]), self._statement)
            if answer.status_code != _OK:
                return False
            self._said = _json(answer)
        return bool(self._said.get("nextUri")) and not self._said.get("error")

    def end(self) -> None:
        if self._said.get("nextUri"):
            self._door._send("DELETE", str(self._said["nextUri"]), self._statement)


def _answer(said: Mapping[str, Any], rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> Answer:
    problem = said.get("error") or {}
    return Answer(
        status=_OK,
        error=str(problem.get("errorName", "")),
        text=str(problem.get("message", "")),
        columns=columns,
        rows=tuple(rows[:MOST_ROWS]),
        cut=len(rows) > MOST_ROWS,
        query=str(said.get("id", "")),
    )


def _refused(answer: requests.Response) -> Answer:
    return Answer(status=answer.status_code, text=answer.text[:MOST_TEXT], cut=len(answer.text) > MOST_TEXT)


def _json(answer: requests.Response) -> Mapping[str, Any]:
    with _explained():
        said = answer.json()
    if not isinstance(said, dict):
        raise DoorUnavailable("the warehouse does not speak Trino's protocol")
    return said


@contextmanager
def _explained() -> Iterator[None]:
    """Failures by their kind alone: their messages hold addresses and statements."""
    try:
        yield
    except (requests.RequestException, ValueError, LookupError) as problem:
        raise DoorUnavailable(f"the warehouse does not answer as it should: {type(problem).__name__}") from None
