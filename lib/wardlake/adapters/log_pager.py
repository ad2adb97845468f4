"""A pager that writes one JSON line a page to a file. For one machine: nobody is woken."""

from __future__ import annotations

from pathlib import Path

from wardlake.adapters.page_text import page_json
from wardlake.ports.pager import Page, PagerUnavailable


class LogPager:
    """The port `Pager` over a file, made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def page(self, page: Page) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(page_json(page) + b"\n")
        except OSError as error:
            raise PagerUnavailable(f"the page cannot be written: {error.strerror}") from None
