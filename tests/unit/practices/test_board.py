"""The board as a page and at a terminal: one document, the same told by both."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from wardlake.pipelines.practices.freshness import cautions, remarks, render, text_of

SIGN = "<img src=x onerror=alert(1)>"
HARMLESS_TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "p", "div", "span", "b"}
HARMLESS_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
NORTH = {
    "practice": "north",
    "lane": "steady",
    "standing": "quarantined",
    "reason": "a value is not of its column's type",
    "tables": ["visits"],
    "being_merged": True,
    "waiting_entries": 1234,
    "waiting_since": "2026-01-31T08:00:00+00:00",
    "merged_to": "2026-01-30T08:00:00+00:00",
    "merged_at": "2026-01-30T08:01:00+00:00",
    "freshness": "late",
    "has": "2026-01-29",
    "wants": "2026-01-30",
    "due": "2026-01-31T11:00:00+00:00",
    "estimate": None,
}
QUIET = {"practices": [NORTH], "not_let_in": [], "of_no_practice": 0, "clock_differs": 0}


class Page(HTMLParser):
    """What a browser makes of a page: its words outside of style, its tags, and where these lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)
        self.says = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style":
            self.words.append(data)


def board(**rest: Any) -> dict[str, Any]:
    return {"source": "clinics", "at": "2026-01-31T12:00:00+00:00", **QUIET, **rest}


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ({"not_let_in": ["new", "newer"]}, "not let in: new, newer"),
        ({"of_no_practice": 4321}, "4,321 entries of no practice wait: docs/runbooks/practice-set-aside.md"),
        ({"clock_differs": -90}, "clock differs from the queue's by -90 s: times below are not to be trusted"),
        ({"practices": []}, "no practice was let in yet"),
        ({}, "quarantined: a value is not of its column's type (visits)"),
        ({}, "1,234"),
    ],
)
def test_the_page_says_what_the_terminal_says(rest: dict[str, Any], told: str) -> None:
    assert told in text_of(board(**rest))
    assert told in Page(render(board(**rest))).says


def test_where_all_is_well_neither_has_more_to_say() -> None:
    assert [*cautions(board()), *remarks(board())] == []
    assert len(text_of(board()).splitlines()) == 1


def test_that_times_are_not_to_be_trusted_is_said_before_them() -> None:
    shown = board(clock_differs=90)
    assert "not to be trusted" in text_of(shown).splitlines()[0]
    says = Page(render(shown)).says
    assert says.index("not to be trusted") < says.index("north")


def test_whatever_is_told_of_a_practice_is_on_the_page() -> None:
    says = Page(render(board())).says
    for told in ("north", "late", "2026-01-29", "2026-01-31 11:00", "steady", "1,234 *", "2026-01-30 08:00", "not known"):
        assert told in says


def test_names_are_text_wherever_they_stand() -> None:
    signs = board(source=SIGN, practices=[{**NORTH, "practice": SIGN, "tables": [SIGN]}], not_let_in=[SIGN])
    page = Page(render(signs))
    assert page.tags <= HARMLESS_TAGS
    assert page.says.count(SIGN) == 5  # title, heading, practice, table, not let in


def test_nothing_is_fetched() -> None:
    text = render(board(not_let_in=["new"], of_no_practice=1, clock_differs=90))
    page = Page(text)
    assert "default-src 'none'" in text
    assert page.tags <= HARMLESS_TAGS
    assert page.attributes & {"src", "href", "srcset", "action", "background"} == set()
    assert "url(" not in text
    assert "@import" not in text
