"""Several pagers as one: a page counts as delivered when at least one of them took it."""

from __future__ import annotations

from collections.abc import Sequence

from wardlake.ports.pager import Page, Pager, PagerUnavailable


class EveryPager:
    """The port `Pager` over all that an environment names."""

    def __init__(self, pagers: Sequence[Pager]) -> None:
        self._pagers = tuple(pagers)

    def page(self, page: Page) -> None:
        failed = [failure for pager in self._pagers if (failure := _failure(pager, page)) is not None]
        if len(failed) == len(self._pagers):
            raise PagerUnavailable("no pager took the page")


def _failure(pager: Pager, page: Page) -> PagerUnavailable | None:
    try:
        pager.page(page)
    except PagerUnavailable as failure:
        return failure
    return None
