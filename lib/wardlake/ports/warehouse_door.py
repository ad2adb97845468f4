"""The warehouse as somebody outside finds it: statements with any headers, and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Caller(StrEnum):
    """Whose credentials go with a question: the attacker's, those of the one who is attacked, or none."""

    ATTACKER = "attacker"
    OTHER = "other"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement by somebody. `headers` are added to the usual ones, or stand in their place; an empty one is left out."""

    sql: str
    caller: Caller = Caller.ATTACKER
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A request for a page of the warehouse's own server. `path` begins with a slash.

    `signed_in`: through the form of the web pages, as people are; a caller with a token alone cannot.
    """

    path: str
    method: str = "GET"
    caller: Caller = Caller.ATTACKER
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    signed_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `error` is the name of the engine's error, `text` its message or the page: both may hold rows' values.

    `status` is of HTTP; `rows` at most as many as the door takes, `cut` says that there were more.
    """

    status: int
    error: str = ""
    text: str = field(default="", repr=False)
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = field(default=(), repr=False)
    cut: bool = False
    query: str = ""  # the engine's id of it

    @property
    def done(self) -> bool:
        """Whether the statement was carried out, or the page given."""
        return 200 <= self.status < 300 and not self.error  # noqa: PLR2004 - HTTP's successes


class DoorUnavailable(Exception):
    """The warehouse does not answer, or not as it should. Says the kind of failure, never what was asked."""


class Standing(Protocol):
    """A statement that runs until it is ended."""

    @property
    def query(self) -> str:
        """The engine's id of it."""
        ...

    def runs(self) -> bool:
        """Whether it is still at work."""
        ...

    def end(self) -> None: ...


class WarehouseDoor(Protocol):
    """Every method raises `DoorUnavailable` where no answer comes; a refusal is an answer."""

    def ask(self, statement: Statement) -> Answer: ...

    def get(self, request: PageRequest) -> Answer: ...

    def begin(self, statement: Statement) -> Standing:
        """Start a statement and leave it at work."""
        ...
