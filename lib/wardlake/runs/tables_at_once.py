"""The same work over many tables, a few at a time: small tables fill the gaps that big ones leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def for_each(items: Iterable[T], work: Callable[[T], R], *, at_once: int) -> list[R]:
    """Results in the order of `items`; the first failure in that order is raised once all begun work has ended."""
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="table") as pool:
        futures = [pool.submit(work, item) for item in items]
        return [future.result() for future in futures]
