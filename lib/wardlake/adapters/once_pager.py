"""The same incident pages once: what was delivered is remembered in the registry."""

from __future__ import annotations

from wardlake.ports.clock import Clock
from wardlake.ports.pager import Page, Pager, PagerUnavailable
from wardlake.ports.registry import Registry, RegistryUnavailable

COLLECTION = "pages"


class OncePager:
    """The port `Pager` around another. When in doubt it pages again: a registry that is away silences nobody."""

    def __init__(self, pager: Pager, registry: Registry, clock: Clock) -> None:
        self._pager = pager
        self._registry = registry
        self._clock = clock

    def page(self, page: Page) -> None:
        if not self._first(page):
            return
        try:
            self._pager.page(page)
        except PagerUnavailable:
            self._forget(page)
            raise

    def _first(self, page: Page) -> bool:
        document = {"run_id": page.run_id, "at": self._clock.now().isoformat()}
        try:
            return self._registry.insert(COLLECTION, page.key, document)
        except RegistryUnavailable:
            return True

    def _forget(self, page: Page) -> None:
        try:
            self._registry.delete(COLLECTION, page.key)
        except RegistryUnavailable as error:
            raise PagerUnavailable(f"the page was not delivered, and {error}") from None
