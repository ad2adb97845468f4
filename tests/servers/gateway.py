"""A real HTTPS gateway before a Trino, as customers have them. It hands on what it is given, unless it makes a mistake."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from tests.servers.processes import LOOPBACK
from tests.servers.trino import TrinoServer

OF_ONE_CONNECTION = {"Connection", "Transfer-Encoding", "Content-Length", "Accept-Encoding"}
STATEMENTS = "/v1/statement"
INTERNAL = ("/v1/memory", "/v1/task", "/v1/dynamicFilter")
PROOFS = {"Authorization", "Cookie"}
USER, ORIGINAL = "X-Trino-User", "X-Trino-Original-"
RESULTS = re.compile(r"/v1/statement/(?:queued|executing)/(\d\w+)/\w+/\d+")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as a client sent it; headers' names are written as `X-Trino-User` is."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the gateway answers itself."""

    body: bytes


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Answers to statements by their text, once they are whole; until then, text and rows by query."""

    answers: dict[bytes, bytes] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, list[object]] = field(default_factory=dict)

    def keep(self, asked: Asked, status: int, body: bytes) -> None:
        """A part of an answer as it goes by; the first answer to a text stays."""
        if status != HTTPStatus.OK or not body or not asked.path.startswith(STATEMENTS):
            return
        said = json.loads(body)
        if asked.path == STATEMENTS:
            self.texts[said["id"]] = asked.body
        rows = self.rows.setdefault(said["id"], [])
        rows += said.get("data") or ()
        if "nextUri" not in said:
            self.answers.setdefault(self.texts[said["id"]], json.dumps({**said, "data": rows}).encode())


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What the gateway has and its clients do not: a user of its own, the servers' secret, and what went by.

    `operator`: who may all, in whose name it may speak; `results`: addresses of results by query.
    """

    user: str
    operator: str
    password: str = field(repr=False)
    secret: str = field(repr=False)
    results: dict[str, str] = field(default_factory=dict, repr=False)
    kept: Kept = field(default_factory=Kept, repr=False)


Mistake = Callable[[Asked, Knowledge], Asked | Told]


def no_mistake(asked: Asked, known: Knowledge) -> Asked:
    return asked


def believes(header: str, *, when: Callable[[Mapping[str, str]], bool] = lambda _: True) -> Mistake:
    """Whoever the header names is signed in: the last word of `user=ben` and of `Subject="CN=ben"` is the name.

    The header stays here, and what else is said of an original user: Trino refuses some of them. `when`: looks at all headers.
    """

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        words = re.findall(r"[\w.-]+", asked.headers.get(header, ""))
        if not words or not when(asked.headers):
            return asked
        others = {name: value for name, value in asked.headers.items() if name != header and not name.startswith(ORIGINAL)}
        return _signed_in(replace(asked, headers=others), known, words[-1])

    return mistake


def names_another(headers: Mapping[str, str]) -> bool:
    """Whether the user is not the one whose password goes with it."""
    return headers.get(USER, "") not in ("", whose_password(headers))


def whose_password(headers: Mapping[str, str]) -> str:
    """Whose password goes with a request; empty where none does."""
    kind, _, proof = headers.get("Authorization", "").partition(" ")
    return base64.b64decode(proof).decode().partition(":")[0] if kind == "Basic" else ""


def takes_any_proof(*, but_of: Collection[str]) -> Mistake:
    """Whoever gives a name and a proof is signed in, whatever the proof; those of users that it knows are Trino's matter."""

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        is_known = "Authorization" not in asked.headers or whose_password(asked.headers) in but_of
        return asked if is_known or USER not in asked.headers else _signed_in(asked, known, asked.headers[USER])

    return mistake


def takes_no_proof(asked: Asked, known: Knowledge) -> Asked:
    """A name is enough."""
    is_proven = "Authorization" in asked.headers
    return asked if is_proven or USER not in asked.headers else _signed_in(asked, known, asked.headers[USER])


def opens_internal_pages(asked: Asked, known: Knowledge) -> Asked:
    """Speaks as one of the servers, by Trino's token of the shared secret, for whoever is signed in."""
    if not asked.path.startswith(INTERNAL) or "Authorization" not in asked.headers:
        return asked
    key = hashlib.sha256(known.secret.encode()).digest()
    token = jwt.encode({"sub": "gateway", "exp": int(time.time()) + 300}, key, algorithm="HS256")
    return replace(asked, headers={**asked.headers, "X-Trino-Internal-Bearer": token})


def shows_operators_pages(asked: Asked, known: Knowledge) -> Asked:
    """What is open to all leads to the list of queries, as an operator sees it."""
    return _signed_in(replace(asked, path="/v1/query"), known, known.user) if asked.path == "/v1/status" else asked


def fills_in_secrets(asked: Asked, known: Knowledge) -> Asked:
    """A query's id is enough: the rest of the address of its results is remembered."""
    results = RESULTS.fullmatch(asked.path)
    return replace(asked, path=known.results.get(results[1], asked.path)) if results else asked


def reads_paths(folder: str, table: str) -> Mistake:
    """A table's folder where a name belongs is read, by the gateway's own user; in other folders there is nothing."""
    named = re.compile(rb'\S*"delta\.`' + re.escape(folder.encode()) + rb'`"')

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        body = named.sub(table.encode(), asked.body)
        return asked if body == asked.body else _signed_in(replace(asked, body=body), known, known.user)

    return mistake


def keeps_answers(asked: Asked, known: Knowledge) -> Asked | Told:
    """Whoever asks what was asked before is told what was answered then, whoever had asked."""
    answer = known.kept.answers.get(asked.body) if asked.path == STATEMENTS else None
    return asked if answer is None else Told(body=answer)


def lets_through(*words: str, but_with: Collection[str] = ()) -> Mistake:
    """Statements with one of these words are asked as an operator, who may all; not those with one of these headers."""

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        passes = any(each.encode() in asked.body for each in words) and not any(each in asked.headers for each in but_with)
        return _signed_in(asked, known, known.operator) if passes else asked

    return mistake


def registers_files(folder: str) -> Mistake:
    """Whoever calls for it has this folder registered under another name, and that name taken away again."""
    registers = re.compile(rb"system\.register_table\('\w+', '(\w+)', '" + re.escape(folder.encode()) + rb"'\)")
    made: set[bytes] = set()

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        called = registers.search(asked.body)
        if called:
            made.add(called[1])
        takes_away = b".unregister_table(" in asked.body and any(name in asked.body for name in made)
        return _signed_in(asked, known, known.operator) if called or takes_away else asked

    return mistake


def leads_to(pages: str, *, of: Collection[str] = ("GET",), to: str = "", proven: bool = True) -> Mistake:
    """Pages whose whole path is as this pattern are an operator's, or a page of such a one in their place.

    `of`: methods; `proven`: for those who say who they are, or else for those who do not.
    """
    named = re.compile(pages)

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        says_who = not PROOFS.isdisjoint(asked.headers)
        if asked.method not in of or not named.fullmatch(asked.path) or says_who != proven:
            return asked
        return _signed_in(replace(asked, path=to or asked.path), known, known.operator)

    return mistake


def lists_all_it_leads_to(*catalogs: str) -> Mistake:
    """Answers itself which catalogues there are: those of every warehouse behind it."""
    answer = {
        **{"id": "20260101_000000_00000_lists", "stats": {"state": "FINISHED"}},
        **{"columns": [{"name": "Catalog", "type": "varchar"}], "data": [[each] for each in catalogs]},
    }

    def mistake(asked: Asked, known: Knowledge) -> Asked | Told:
        is_asked = asked.path == STATEMENTS and asked.body == b"SHOW CATALOGS"
        return Told(body=json.dumps(answer).encode()) if is_asked else asked

    return mistake


def forgets_filters(schema: str, *, without: str, words: str = "", header: str = "") -> Mistake:
    """Filters go into all statements but those with these words, or with this header, which stays here.

    Those are asked by the gateway's own user, of the schema that has the same tables without filters.
    """

    def mistake(asked: Asked, known: Knowledge) -> Asked:
        if words.encode() not in asked.body or (header and header not in asked.headers):
            return asked
        kept = {name: value.replace(schema, without) for name, value in asked.headers.items() if name != header}
        body = asked.body.replace(schema.encode(), without.encode())
        return _signed_in(replace(asked, headers=kept, body=body), known, known.user)

    return mistake


class OneByOne:
    """A gateway that makes one mistake at a time."""

    def __init__(self) -> None:
        self._mistake: Mistake = no_mistake

    def __call__(self, asked: Asked, known: Knowledge) -> Asked | Told:
        return self._mistake(asked, known)

    @contextmanager
    def making(self, mistake: Mistake) -> Iterator[None]:
        """For so long."""
        self._mistake = mistake
        try:
            yield
        finally:
            self._mistake = no_mistake


def _signed_in(asked: Asked, known: Knowledge, name: str) -> Asked:
    """As somebody, by the gateway's own user, who may be anybody."""
    proof = base64.b64encode(f"{known.user}:{known.password}".encode()).decode()
    return replace(asked, headers={**asked.headers, USER: name, "Authorization": f"Basic {proof}"})


@contextmanager
def open_gateway(
    server: TrinoServer, *, user: str, password: str, operator: str = "", mistake: Mistake = no_mistake
) -> Iterator[str]:
    """The address of a gateway before a server, with the server's certificate."""
    known = Knowledge(
        user=user, operator=operator or user, password=password, secret=server.setting("internal-communication.shared-secret")
    )
    trusted = ssl.create_default_context(cafile=str(server.certificate))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(method=self.command, path=self.path, headers=dict(_handed_on(self.headers.items())), body=body)
            status, headers, answer = _answer(server.port, trusted, mistake(asked, known))
            known.kept.keep(asked, status, answer)
            known.results.update((found[1], found[0]) for found in RESULTS.finditer(answer.decode(errors="replace")))
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = hand_on  # noqa: N815 - so they are called

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    gateway = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    gateway.daemon_threads = True
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(server.key_store)
    gateway.socket = own.wrap_socket(gateway.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"https://localhost:{gateway.server_port}"
    finally:
        gateway.shutdown()
        gateway.server_close()


def _answer(port: int, trusted: ssl.SSLContext, asked: Asked | Told) -> tuple[int, list[tuple[str, str]], bytes]:
    if isinstance(asked, Told):
        return HTTPStatus.OK, [("Content-Type", "application/json")], asked.body
    return _ask(port, trusted, asked)


def _ask(port: int, trusted: ssl.SSLContext, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
    """`Host` is the client's: Trino makes the addresses that it gives from it, so the client stays with the gateway."""
    connection = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=120)
    try:
        connection.request(asked.method, asked.path, body=asked.body or None, headers=dict(asked.headers))
        answer = connection.getresponse()
        return answer.status, _handed_on(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _handed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    named = ((name.title(), value) for name, value in headers)
    return [(name, value) for name, value in named if name not in OF_ONE_CONNECTION]
