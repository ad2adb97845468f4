"""The pager: tells on-call people that a run halted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A call for a person: table and column names only, never a value.

    `key` identifies the incident: the same incident pages once.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    runbook: str
    run_id: str


class Pager(Protocol):
    def page(self, page: Page) -> None:
        """Deliver, or raise `PagerUnavailable`. The run halts with its own exit code either way."""
        ...


class PagerUnavailable(Exception):
    """The page could not be delivered."""
